"""Compares a classifier's compiled C with TensorFlow Lite Micro on a labelled dataset."""

from micronet_keras.cli.evaluate_compiled import run

if __name__ == "__main__":
    run()
