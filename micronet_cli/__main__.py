"""`python -m micronet_cli`, for who has no `micronet` on the path."""

from micronet_cli.micronet import run

if __name__ == "__main__":
    run()
