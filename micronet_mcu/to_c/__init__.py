"""Compiles int8 flatbuffers to plain C."""

from micronet_mcu.to_c.compiler import Compiled, compile_model, plan
from micronet_mcu.to_c.picture import draw_plan
from micronet_mcu.to_c.report import plan_text

__all__ = ["Compiled", "compile_model", "draw_plan", "plan", "plan_text"]


def __dir__() -> list[str]:
    return list(__all__)
