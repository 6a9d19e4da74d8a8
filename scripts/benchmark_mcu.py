"""Counts what an int8 .tflite, compiled to C, costs on Cortex-M4, M7 and M55."""

from micronet_cli.benchmark_mcu import run

if __name__ == "__main__":
    run()
