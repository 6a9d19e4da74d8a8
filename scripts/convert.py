"""Converts a quantized model to an int8 flatbuffer and to C sources for TensorFlow Lite Micro."""

from micronet_cli.convert import run

if __name__ == "__main__":
    run()
