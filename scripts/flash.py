"""Builds an exported firmware project and flashes it, with the platform's own tool."""

from micronet_cli.flash import run

if __name__ == "__main__":
    run()
