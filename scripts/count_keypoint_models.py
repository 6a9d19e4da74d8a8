"""Counts the keypoint models: multiply-adds and parameters, beside the paper's figures."""

from micronet_cli.count_keypoint_models import run

if __name__ == "__main__":
    run()
