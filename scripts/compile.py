"""Compiles an int8 .tflite to plain C: no interpreter, no heap, one static arena."""

from micronet_cli.compile import run

if __name__ == "__main__":
    run()
