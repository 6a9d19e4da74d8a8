"""Checkpoints: a `.keras` file that also holds what an exact continuation needs.

Keras leaves random-number states out of `.keras` files, and the raw weights beside their running
average have no place there either. All of it goes into one extra member of the same zip file, so
that model and state are replaced in one atomic step; `keras.saving.load_model` ignores the member.
"""

import io
import json
import os
import zipfile
from pathlib import Path

import keras
import numpy as np

from micronet_mcu.errors import UserError
from micronet_mcu.files import replacing

_MEMBER = "training_state.npz"


def save_checkpoint(
    path: str | os.PathLike,
    model: keras.Model,
    arrays: list[np.ndarray] | None = None,
    history: list[dict] | None = None,
) -> None:
    """Writes `model` to `path` (`.keras`), with the training state when `arrays` are given.

    Raises:
        UserError: the place cannot be written (no permission, disk full). What was there stays.
    """
    with replacing(path) as temporary:
        model.save(temporary)
        if arrays is not None:
            state = io.BytesIO()
            np.savez(state, *arrays, history=json.dumps(history))
            with zipfile.ZipFile(temporary, "a") as archive:
                archive.writestr(_MEMBER, state.getvalue())


def read_checkpoint(path: str | os.PathLike) -> tuple[list[np.ndarray], list[dict]]:
    """The arrays and the history that `save_checkpoint` stored.

    Raises:
        UserError: `path` is not such a file, or is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            state = io.BytesIO(archive.read(_MEMBER))
        with np.load(state, allow_pickle=False) as stored:
            arrays = [stored[f"arr_{index}"] for index in range(len(stored.files) - 1)]
            history = json.loads(stored["history"].item())
        _check_history(history)
        return arrays, history
    except Exception as error:  # Of every kind, from zipfile, zlib, numpy and json.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"{path} is not a checkpoint of a training run, or is damaged ({reason}); "
            "`force=True` starts anew"
        ) from error


def _check_history(history) -> None:
    """Raises ValueError unless there is one row of numbers, of the same names, for each epoch."""
    if not isinstance(history, list) or not all(isinstance(row, dict) for row in history):
        raise ValueError("the history is no list of epochs")
    for number, row in enumerate(history, 1):
        if row.get("epoch") != number or row.keys() != history[0].keys():
            raise ValueError(f"epoch {number} of the history is another")
        if not all(type(value) in (int, float) for value in row.values()):
            raise ValueError(f"epoch {number} of the history holds something that is no number")


def training_variables(model: keras.Model, average=None) -> list[keras.Variable]:
    """Every variable that decides how the training of a compiled model goes on.

    Weights, random-number states, optimizer state and, with a `WeightAverage`, its variables;
    always in the same order for the same model.
    """
    # Dropout and the like keep their random-number state in `variables`, not in `weights`.
    extra = average.variables if average else []
    return [*model.variables, *model.optimizer.variables, *extra]


def capture(variables: list[keras.Variable]) -> list[np.ndarray]:
    """Copies of the values."""
    return [np.array(keras.ops.convert_to_numpy(variable.value)) for variable in variables]


def restore(variables: list[keras.Variable], arrays: list[np.ndarray], path: Path) -> None:
    """Assigns all arrays, or none where they do not fit.

    Raises:
        UserError: number or shape of the arrays differ from the variables'.
    """
    shapes = [tuple(variable.shape) for variable in variables]
    numbers = all(array.dtype.kind in "biuf" for array in arrays)
    if not numbers or shapes != [array.shape for array in arrays]:
        raise UserError(f"{path} is of another model; name another output or give `force=True`")
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def all_finite(arrays: list[np.ndarray]) -> bool:
    return all(np.isfinite(array).all() for array in arrays if array.dtype.kind == "f")
