"""Keras without graphs, for tests of a few steps."""

import contextlib
import warnings

import tensorflow as tf


@contextlib.contextmanager
def eagerly():
    """To make the graph of a MicroNet takes longer than the few steps of an example."""
    tf.config.run_functions_eagerly(True)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*does not apply to tf.data functions")
            yield
    finally:
        tf.config.run_functions_eagerly(False)
