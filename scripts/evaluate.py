"""Compares a Keras model with its int8 form on the real TensorFlow Lite Micro interpreter."""

from micronet_cli.evaluate import run

if __name__ == "__main__":
    run()
