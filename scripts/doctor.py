"""Says what is installed, what is missing and how to get it."""

from micronet_cli.doctor import run

if __name__ == "__main__":
    run()
