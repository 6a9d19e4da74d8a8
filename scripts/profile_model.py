"""Says what every layer of a Keras model costs: output, parameters, multiply-adds, activations."""

from micronet_cli.profile_model import run

if __name__ == "__main__":
    run()
