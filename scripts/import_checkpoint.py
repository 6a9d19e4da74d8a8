"""Turns one of the authors' PyTorch checkpoints into a Keras file."""

from micronet_cli.import_checkpoint import run

if __name__ == "__main__":
    run()
