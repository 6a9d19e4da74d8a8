"""Quantizes a trained model: with quantization-aware training (QAT) or post-training (PTQ)."""

from micronet_cli.quantize import run

if __name__ == "__main__":
    run()
