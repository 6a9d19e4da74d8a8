"""What a model's outputs mean, for the firmware: classes, objects or points; its model_answer.h."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from micronet_mcu import csource
from micronet_mcu.decode import Int8Decoder, detector_header
from micronet_mcu.errors import UserError
from micronet_mcu.tflite.model import Model, Tensor

# Of each kind the files of the library that it needs, below tflm/.
ANSWER_FILES = {
    "classes": ("micronet/answer_classes.cc",),
    "objects": ("micronet/answer_objects.cc", "detection/micronet_detection.c",
                "detection/micronet_detection.h"),
    "points": ("micronet/answer_points.cc", "keypoints/micronet_keypoints.c",
               "keypoints/micronet_keypoints.h"),
}  # fmt: skip
_MILLION = 1_000_000
# exp(0) in the table of a softmax: a thousand classes' sum stays far below 64 bits.
_ONE = 1 << 24


def answer_kind(model: Model) -> str:
    """ "classes", "objects" or "points".

    Raises:
        UserError: the outputs are none of these.
    """
    outputs = [model.tensors[index] for index in model.outputs]
    if len(outputs) == 1 and outputs[0].size == outputs[0].shape[-1]:
        return "classes"
    if len(outputs) == 1 and len(outputs[0].shape) == 4:
        return "points"
    try:
        Int8Decoder(outputs, _image_size(model))
    except UserError:
        shapes = ", ".join(str(list(tensor.shape)) for tensor in outputs)
        raise UserError(
            f"the outputs {shapes} are neither one vector of scores, nor the heatmaps of "
            "keypoints, nor scores and boxes of a detector's levels in turn"
        ) from None
    return "objects"


def answer_header(model: Model, class_names: Sequence[str] = ()) -> str:
    """The text of model_answer.h: the constants for one of tflm/micronet/answer_*.cc."""
    outputs = [model.tensors[index] for index in model.outputs]
    kind = answer_kind(model)
    if kind == "objects":
        return detector_header(Int8Decoder(outputs, _image_size(model)), class_names)
    if kind == "points":
        _, height, width, points = outputs[0].shape
        step = round(float(outputs[0].scale[0]) * 65535)
        body = f"""\
constexpr int kModelMapHeight = {height}, kModelMapWidth = {width}, kModelPoints = {points};
constexpr int kModelZeroPoint = {int(outputs[0].zero_point[0])};
// 65535 times the output's scale.
constexpr int32_t kModelScoreStep = {step};
"""
    else:
        logits = is_logits(model)
        what = "exp(-d * scale) * 2^24" if logits else "millionths of the value of d - 128"
        table = csource.array("static const int32_t kModelScores[256]", _scores(outputs[0], logits))
        body = f"constexpr bool kModelLogits = {str(logits).lower()};\n// {what}\n{table}"
    return f"""\
// What the model's output means.
#ifndef MODEL_ANSWER_H_
#define MODEL_ANSWER_H_

#include <cstdint>

{body}
#endif  // MODEL_ANSWER_H_
"""


def is_logits(model: Model) -> bool:
    """Whether a softmax is needed to make probabilities of the scores."""
    last = next(op for op in reversed(model.operators) if model.outputs[0] in op.outputs)
    size = model.tensors[model.outputs[0]].size
    while last.name in ("RESHAPE", "QUANTIZE"):
        before = [op for op in model.operators if last.inputs[0] in op.outputs]
        if not before:
            break
        last = before[0]
    return size > 1 and last.name not in ("SOFTMAX", "LOGISTIC")


def _scores(output: Tensor, logits: bool) -> np.ndarray:
    scale, zero_point = float(output.scale[0]), int(output.zero_point[0])
    if logits:
        return np.rint(_ONE * np.exp(-scale * np.arange(256))).astype(np.int32)
    values = np.rint(_MILLION * scale * (np.arange(-128, 128) - zero_point))
    return np.clip(values, -(2**31) + 1, 2**31 - 1).astype(np.int32)


def _image_size(model: Model) -> tuple[int, int]:
    height, width = model.tensors[model.inputs[0]].shape[1:3]
    return height, width
