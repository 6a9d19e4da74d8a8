"""The whole way in one go: draw a dataset, train MicroNet-M0, quantize, convert, run it on TFLM."""

from micronet_cli.demo import run

if __name__ == "__main__":
    run()
