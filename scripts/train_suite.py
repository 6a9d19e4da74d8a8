"""Trains the networks of a suite side by side by one recipe, and makes tables of the results."""

from micronet_cli.train_suite import run

if __name__ == "__main__":
    run()
