"""Sends a test set to a board through its serial port; reports accuracy and latency."""

from micronet_cli.run_on_board import run

if __name__ == "__main__":
    run()
