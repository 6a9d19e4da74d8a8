"""Keras 2 and tfmot, which knows no other Keras. No other module imports either.

Importing tfmot sets TF_USE_LEGACY_KERAS for the whole process, and with it turns `tf.keras` into
Keras 2 where nobody has used it yet. Whoever imports this package wants neither.
"""

import os

import tensorflow as tf
import tf_keras

_SWITCH = "TF_USE_LEGACY_KERAS"
_before = os.environ.get(_SWITCH)
tf.keras.layers  # noqa: B018 (looked up once, it stays what it is)

import tensorflow_model_optimization as tfmot  # noqa: E402

if _before is None:
    os.environ.pop(_SWITCH, None)
else:
    os.environ[_SWITCH] = _before

__all__ = ["tf_keras", "tfmot"]
