"""Weights of the authors' PyTorch code (liyunsheng13/micronet) for our models."""

import dataclasses
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import keras
import numpy as np

from micronet_keras.layers import DYShiftMax, MicroBlockA, MicroBlockB, MicroBlockC, MicroStemConv2D
from micronet_mcu.errors import UserError

# The layer that depends on the number of classes, in the authors' names.
_LAST_LAYER = "classifier.2."
# Counters that the authors' batch normalizations keep and nothing reads.
_IGNORED = "num_batches_tracked"


@dataclasses.dataclass(frozen=True)
class _Entry:
    """One tensor of the checkpoint: its name there, our variable, and how to turn it."""

    name: str
    variable: keras.Variable
    layout: str = "vector"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape in PyTorch: OIHW for convolutions, OI for linear layers."""
        shape = tuple(self.variable.shape)
        if self.layout == "convolution":
            height, width, rows, filters = shape
            return filters, rows, height, width
        if self.layout == "depthwise":
            height, width, channels, multiplier = shape
            return channels * multiplier, 1, height, width
        return shape[::-1]

    def converted(self, tensor: np.ndarray) -> np.ndarray:
        if self.layout == "convolution":
            return tensor.transpose(2, 3, 1, 0)
        if self.layout == "depthwise":
            return tensor.transpose(2, 3, 0, 1).reshape(self.variable.shape)
        return tensor.T


def load_pytorch_checkpoint(
    model: keras.Model, path: str | os.PathLike, skip_head: bool = False
) -> None:
    """Loads one of the authors' `.pth` files into a MicroNet of this package.

    The file is opened with `weights_only=True`, so it cannot run code. A plain state dict, one
    nested under "state_dict", and names that begin with "module." (from DataParallel) are all
    understood. Needs torch (`pip install "micronet-keras[torch]"`).

    Args:
        model: made by `MicroNet` or `MicroNetM0` ... `MicroNetM3`, in any input size.
        path: the checkpoint.
        skip_head: leave the last dense layer and its batch normalization as they are: for another
            number of classes. For a model with `include_top=False`: leave out the classifier.

    Raises:
        UserError: torch is missing, the file is not a checkpoint, or a tensor in it is missing,
            unknown, misshapen or not finite. All such tensors are listed, and the model is
            unchanged.
        ValueError: `model` is not a MicroNet.

    Example:

    >>> model = micronet_keras.models.MicroNetM0()
    >>> micronet_keras.load_pytorch_checkpoint(model, "micronet-m0.pth")
    """
    load_state_dict(model, read_state_dict(path), skip_head, source=str(path))


def load_state_dict(
    model: keras.Model,
    state_dict: Mapping[str, np.ndarray],
    skip_head: bool = False,
    source: str = "the state dict",
) -> None:
    """Assigns numpy arrays under the authors' names and in PyTorch's layouts to `model`.

    As `load_pytorch_checkpoint`, without a file and without torch. `source` is named in errors.

    Raises:
        UserError: a tensor is missing, unknown, misshapen or not finite; the model is unchanged.
        ValueError: `model` is not a MicroNet.
    """
    entries = list(_entries(model))
    state_dict = {n: v for n, v in state_dict.items() if not n.endswith(_IGNORED)}
    if skip_head:
        entries = [entry for entry in entries if not entry.name.startswith(_LAST_LAYER)]
        unwanted = _LAST_LAYER if _has_classifier(entries) else "classifier."
        state_dict = {n: v for n, v in state_dict.items() if not n.startswith(unwanted)}
    complaints = _complaints(entries, state_dict)
    if complaints:
        advice = "" if skip_head else " (a model with other classes or no head needs skip_head)"
        raise UserError(
            f"{source} does not fit {model.name}{advice}, nothing was loaded: "
            + "; ".join(complaints)
        )
    for entry in entries:
        entry.variable.assign(entry.converted(np.asarray(state_dict[entry.name])))


def read_state_dict(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads a `.pth` file into numpy arrays, with nesting and "module." prefixes taken away.

    Raises:
        UserError: torch is missing, or the file is missing, damaged or not a checkpoint.
    """
    try:
        import torch
    except ImportError as error:
        raise UserError(
            'reading a PyTorch checkpoint needs torch: pip install "micronet-keras[torch]"'
        ) from error
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} is not a file; pass the authors' .pth checkpoint")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Of odd bytes in damaged files: the error says it.
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # Of every kind, from pickle, zipfile, struct and torch itself.
        raise UserError(
            f"{path} is not a PyTorch checkpoint or is damaged; fetch it again"
        ) from error
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    tensors = isinstance(content, Mapping) and content and all(
        isinstance(name, str) and isinstance(value, torch.Tensor)
        for name, value in content.items()
    )  # fmt: skip
    if not tensors:
        raise UserError(f"{path} holds no state dict: names and tensors are expected")
    try:
        return {
            name.removeprefix("module."): value.detach().to(torch.float32).numpy()
            for name, value in content.items()
        }
    except Exception as error:  # Sparse, quantized, on no device, larger than memory, ...
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"{path} holds tensors that are no plain numbers ({reason[:100]}); fetch it again"
        ) from error


def _complaints(entries: list[_Entry], state_dict: Mapping[str, np.ndarray]) -> list[str]:
    expected = {entry.name: entry for entry in entries}
    found = []
    missing = [name for name in expected if name not in state_dict]
    if missing:
        found.append("missing " + ", ".join(missing))
    unknown = [name for name in state_dict if name not in expected]
    if unknown:
        found.append("unknown " + ", ".join(unknown))
    for name, entry in expected.items():
        if name not in state_dict:
            continue
        tensor = np.asarray(state_dict[name])
        if tensor.shape != entry.shape:
            found.append(f"{name} has shape {tensor.shape} instead of {entry.shape}")
        elif not np.isfinite(tensor).all():
            found.append(f"{name} holds values that are not finite")
    return found


def _has_classifier(entries: list[_Entry]) -> bool:
    return any(entry.name.startswith("classifier.") for entry in entries)


def _entries(model: keras.Model) -> Iterator[_Entry]:
    """Every tensor that the authors' state dict of this architecture has."""
    stems = [layer for layer in model.layers if isinstance(layer, MicroStemConv2D)]
    blocks = [
        layer
        for layer in model.layers
        if isinstance(layer, MicroBlockA | MicroBlockB | MicroBlockC)
    ]
    if len(stems) != 1 or not blocks:
        raise ValueError(f"A MicroNet model is expected. Received: model={model.name}")
    yield from _vertical_horizontal("features.0.stem.0.conv", stems[0], "convolution")
    for i, block in enumerate(blocks, start=1):
        # In the authors' rows the expansion comes first and belongs to the next row.
        row = f"features.{i}.layers"
        depthwise, squeeze = (3, 7) if isinstance(block, MicroBlockC) else (0, 4)
        yield from _vertical_horizontal(f"{row}.{depthwise}.conv", block.depthwise, "depthwise")
        yield from _activation(
            f"{row}.{5 if isinstance(block, MicroBlockC) else 1}", block.depthwise_activation
        )
        yield from _pointwise(f"{row}.{squeeze}.conv", block.squeeze)
        yield from _activation(f"{row}.{squeeze + 1}", block.squeeze_activation)
        if not isinstance(block, MicroBlockA):
            row = f"features.{i + 1}.layers"
            yield from _pointwise(f"{row}.0.conv", block.expand)
            yield from _activation(f"{row}.1", block.expand_activation)
    layers = {layer.name: layer for layer in model.layers}
    for prefix, name in (("classifier.0", "hidden"), ("classifier.2", "logits")):
        if f"{name}_dense" in layers:
            yield from _dense(f"{prefix}.linear.0", layers[f"{name}_dense"])
            yield from _normalization(f"{prefix}.linear.1", layers[f"{name}_bn"])


def _vertical_horizontal(prefix, layer, vertical_layout):
    yield _Entry(f"{prefix}.0.weight", layer.vertical_kernel, vertical_layout)
    yield from _normalization(f"{prefix}.1", layer.vertical_normalization)
    yield _Entry(f"{prefix}.2.weight", layer.horizontal_kernel, "depthwise")
    yield from _normalization(f"{prefix}.3", layer.horizontal_normalization)


def _pointwise(prefix, layer):
    yield _Entry(f"{prefix}.0.weight", layer.kernel, "convolution")
    yield from _normalization(f"{prefix}.1", layer.normalization)


def _activation(prefix, layer):
    if isinstance(layer, DYShiftMax):
        yield from _dense(f"{prefix}.fc.0", layer.squeeze)
        yield from _dense(f"{prefix}.fc.2", layer.coefficients)


def _dense(prefix, layer):
    yield _Entry(f"{prefix}.weight", layer.kernel, "linear")
    yield _Entry(f"{prefix}.bias", layer.bias)


def _normalization(prefix, layer):
    yield _Entry(f"{prefix}.weight", layer.gamma)
    yield _Entry(f"{prefix}.bias", layer.beta)
    yield _Entry(f"{prefix}.running_mean", layer.moving_mean)
    yield _Entry(f"{prefix}.running_var", layer.moving_variance)
