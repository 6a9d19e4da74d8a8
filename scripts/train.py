"""Trains MicroNet-M0 .. M3, from a preset that any flag overrides."""

from micronet_cli.train import run

if __name__ == "__main__":
    run()
