"""Compiles int8 flatbuffers to plain C."""

from micronet_keras.codegen.compiler import Compiled, compile_model, plan
from micronet_keras.codegen.picture import draw_plan
from micronet_keras.codegen.report import plan_text

__all__ = ["Compiled", "compile_model", "draw_plan", "plan", "plan_text"]
