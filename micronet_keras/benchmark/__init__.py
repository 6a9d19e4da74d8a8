"""Networks trained side by side by one recipe; every figure is in a file that says how it came."""

from micronet_keras.benchmark.networks import NETWORKS, VARIANTS, build_network
from micronet_keras.benchmark.runner import OutOfTime, Runner
from micronet_keras.benchmark.suite import Run, Search, Suite, read_suite

__all__ = [
    "NETWORKS",
    "VARIANTS",
    "OutOfTime",
    "Run",
    "Runner",
    "Search",
    "Suite",
    "build_network",
    "read_suite",
]
