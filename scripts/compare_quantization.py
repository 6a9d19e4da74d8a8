"""Trains networks by one recipe and compares them in float, after PTQ and after QAT."""

from micronet_cli.compare_quantization import run

if __name__ == "__main__":
    run()
