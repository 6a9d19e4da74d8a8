"""Where a model's weights come from: a file, or the authors' checkpoint converted once."""

import os
from pathlib import Path

import keras

from micronet_mcu.errors import UserError

AUTHORS_FILES = "http://www.svcl.ucsd.edu/projects/micronet/assets"


def imagenet_path(size: str) -> Path:
    """Where the converted checkpoint of "m0" ... "m3" is kept: in Keras' cache folder."""
    home = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
    return home / "models" / f"micronet_{size}_imagenet.weights.h5"


def imagenet_weights(size: str) -> Path:
    """`imagenet_path(size)` where the file exists.

    Raises:
        UserError: it does not; the message says what to fetch and which command converts it.
    """
    path = imagenet_path(size)
    if not path.is_file():
        file = f"micronet-{size}.pth"
        raise UserError(
            f"there are no ImageNet weights at {path}: fetch {AUTHORS_FILES}/{file} (linked in the "
            "README of github.com/liyunsheng13/micronet), then run "
            f"micronet import-checkpoint --model={size} --checkpoint={file}"
        )
    return path


def load_weights_file(model: keras.Model, path: str | os.PathLike) -> None:
    """Loads a `.weights.h5` or `.keras` file into `model`.

    A `.weights.h5` file must be of the same architecture. Of a whole saved model the layers of the
    same names are taken, so that one with a classifier fits a model without.

    Raises:
        UserError: the file is missing or damaged, of another kind, or does not fit the model.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} is not a file; pass a .weights.h5 or .keras file")
    if path.name.endswith(".weights.h5"):
        _attempt(path, lambda: model.load_weights(path), f"does not fit {_describe(model)}")
    elif path.suffix == ".keras":
        _copy(read_keras(path), model, path)
    else:
        raise UserError(f"{path} is not a .weights.h5 or .keras file")


def read_keras(path: str | os.PathLike) -> keras.Model:
    """Loads a `.keras` file, not compiled.

    Raises:
        UserError: there is no such file, it is not a Keras model, or is damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    return _attempt(
        path, lambda: keras.saving.load_model(path, compile=False), "is not a Keras model file"
    )


def _attempt(path, load, problem):
    try:
        return load()
    except Exception as error:  # From h5py, zipfile, json or Keras: all sorts, none documented.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path} {problem}, or is damaged ({reason})") from error


def _copy(donor: keras.Model, model: keras.Model, path: Path) -> None:
    donors = {layer.name: layer for layer in donor.layers}
    receivers = [layer for layer in model.layers if layer.weights]
    for layer in receivers:
        given = donors[layer.name].weights if layer.name in donors else []
        if [tuple(w.shape) for w in given] != [tuple(w.shape) for w in layer.weights]:
            raise UserError(
                f"{path} does not fit {_describe(model)}: layer {layer.name} is missing or differs"
            )
    for layer in receivers:
        layer.set_weights(donors[layer.name].get_weights())


def _describe(model: keras.Model) -> str:
    return f"{model.name} with output {tuple(model.output_shape)}"
