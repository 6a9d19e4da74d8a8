"""The forms in which a flatbuffer goes onto a board: operators fused or not, groups or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from micronet_mcu.errors import UserError
from micronet_mcu.graph.read import read_model
from micronet_mcu.shown import Shown, bytes_text, size_text, some_of
from micronet_mcu.tflite.reader import flatbuffer_bytes
from micronet_mcu.to_tflm.cmsis_nn import tune_for_cmsis_nn
from micronet_mcu.to_tflm.fused_arena import measure_fused_arena
from micronet_mcu.to_tflm.fused_ops import fuse as fuse_model
from micronet_mcu.to_tflm.groups import FORMS as GROUPS
from micronet_mcu.to_tflm.groups import rewrite_groups
from micronet_mcu.to_tflm.interpreter import Interpreter, refuse_custom_operators
from micronet_mcu.to_tflm.run_fused import run_fused

FUSE = ("none", "activations", "all")
# Kernels of TFLM that a model's layers can be put into a better form for.
TUNE = ("none", "cmsis_nn")


@dataclass(frozen=True, eq=False, repr=False)
class Prepared(Shown):
    """What `prepare_flatbuffer` made.

    Attributes:
        flatbuffer: bytes of the ``.tflite`` file in its form.
        arena_bytes: what TFLM needs for it, as a 64-bit machine counts; a 32-bit board needs less.
        outputs: its int8 answers to the test image, one array for each output.
    """

    flatbuffer: bytes
    arena_bytes: int
    outputs: list[np.ndarray]

    def facts(self) -> list[tuple[str, str]]:
        return [
            ("flatbuffer", bytes_text(len(self.flatbuffer))),
            ("on TFLM", f"{bytes_text(self.arena_bytes)} of arena at most"),
            ("outputs", some_of([size_text(output.shape) for output in self.outputs])),
        ]


def check_forms(fuse: str, groups: str | None, tune: str) -> None:
    """Raises UserError when `prepare_flatbuffer` does not take these, or not together."""
    for what, value, known in (
        ("fuse", fuse, FUSE),
        ("groups", groups, (None, *GROUPS)),
        ("tune", tune, TUNE),
    ):
        if value not in known:
            names = ", ".join(name for name in known if name)
            raise UserError(f"the {what} must be one of {names}, not {value!r}")
    for what, given in (("groups", groups not in (None, "native")), ("tune", tune != "none")):
        if fuse == "all" and given:
            raise UserError(
                f"`{what}` is for TFLM's own convolutions, and `fuse=all` leaves none to it; "
                f"leave `{what}` out, or take `fuse=activations`"
            )


def prepare_flatbuffer(
    model: Any,
    image: np.ndarray,
    fuse: str = "none",
    groups: str | None = None,
    tune: str = "none",
) -> Prepared:
    """Gives a model the form that a board's TFLM is to run.

    Args:
        model: an int8 ``.tflite`` file of builtin operators, or its bytes.
        image: int8, of the input's shape: the test image.
        fuse: "none" keeps builtin operators; "activations" makes one custom operator of every
            DY-ShiftMax and one of every dense layer of its coefficients; "all" makes custom
            operators of all convolutions and dense layers.
        groups: "native", "split" or "dense", see `rewrite_groups`; None is "native".
        tune: "cmsis_nn" for TFLM that runs on CMSIS-NN, see `tune_for_cmsis_nn`.

    Raises:
        UserError: an argument is none of these, the model has custom operators already, is not
            usable, or TFLM cannot run it.

    Example:

    >>> plain = prepare_flatbuffer(flatbuffer, image)
    >>> plain.arena_bytes > prepare_flatbuffer(flatbuffer, image, fuse="all").arena_bytes
    True
    """
    check_forms(fuse, groups, tune)
    model = flatbuffer_bytes(model)
    refuse_custom_operators(read_model(model))
    if tune == "cmsis_nn":
        model = tune_for_cmsis_nn(model)
    flatbuffer = rewrite_groups(model, groups or "native")
    if fuse == "none":
        interpreter = Interpreter(flatbuffer)
        return Prepared(flatbuffer, interpreter.arena_bytes, interpreter.invoke_all(image))
    # The kernels give TFLM's results for layers with weights, so the answer is that without them.
    outputs = run_fused(fuse_model(flatbuffer, layers="none"), image)
    fused = fuse_model(flatbuffer, layers="all" if fuse == "all" else "coefficients")
    return Prepared(fused, measure_fused_arena(fused), outputs)
