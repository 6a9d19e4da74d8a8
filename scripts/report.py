"""Writes what there is to know about a run into one HTML file that needs no other."""

from micronet_cli.report import run

if __name__ == "__main__":
    run()
