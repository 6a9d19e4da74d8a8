"""The whole road from photographs to a board, from one file."""

from micronet_cli.pipeline import run

if __name__ == "__main__":
    run()
