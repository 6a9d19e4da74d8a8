"""Measures figures that the README states, and makes its tables from the file that holds them."""

from micronet_cli.figures import run

if __name__ == "__main__":
    run()
