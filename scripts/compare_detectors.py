"""Measures the paper's claim: MicroNet-M3 against MobileNetV3-Small under one detection head."""

from micronet_cli.compare_detectors import run

if __name__ == "__main__":
    run()
