"""Writes a firmware project for a board: its tool chain's files, the application, the model."""

from micronet_cli.export_firmware import run

if __name__ == "__main__":
    run()
