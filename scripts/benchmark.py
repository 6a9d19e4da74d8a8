"""Trains the networks of a suite side by side by one recipe, and makes tables of the results."""

from micronet_keras.cli.benchmark import run

if __name__ == "__main__":
    run()
