"""Synthetic weights for the authors' architecture: anyone can make them again, PyTorch or not.

The reference files in `reference/` hold what the authors' PyTorch model answers with these weights
and images: batch-norm statistics to use, per-channel statistics and a corner of every block's
output, the pooled features and the logits.
"""

import math
import zlib

import numpy as np
from paths import DATA

from micronet_keras.models import pytorch

FOLDER = DATA / "reference"


def tensor(name, shape, seed=0):
    """The synthetic tensor of this name and PyTorch shape."""
    r = np.random.RandomState((zlib.crc32(name.encode()) & 0xFFFFFFFF) + seed)
    if name.endswith("running_var"):
        value = r.uniform(0.5, 1.5, shape)
    elif name.endswith(("running_mean", "bias")):
        value = r.standard_normal(shape) * 0.1
    elif len(shape) == 1:
        value = r.uniform(0.7, 1.3, shape)
    else:
        value = r.standard_normal(shape) * math.sqrt(2 / np.prod(shape[1:]))
    return value.astype("float32")


def state_dict(model):
    """A synthetic state dict with the authors' names and layouts, for any MicroNet model."""
    return {e.name: tensor(e.name, e.shape) for e in pytorch._entries(model)}


def reference(size):
    """The stored answers for "m0" ... "m3"."""
    with np.load(FOLDER / f"micronet_{size}_seed0.npz") as stored:
        return dict(stored)


def reference_state_dict(model, stored):
    """`state_dict` with the batch-norm statistics that the reference used."""
    state = state_dict(model)
    statistics = {k.removeprefix("bn/"): v for k, v in stored.items() if k.startswith("bn/")}
    assert set(statistics) <= set(state)
    return state | statistics


def reference_images():
    """Two images, NHWC float32, as the reference was fed."""
    images = np.random.RandomState(1234).uniform(-2, 2, (2, 3, 224, 224))
    return images.astype("float32").transpose(0, 2, 3, 1)
