"""Networks trained side by side by one recipe; every figure is in a file that says how it came."""

from micronet_keras.benchmark.networks import NETWORKS, VARIANTS, build_network
from micronet_keras.benchmark.report import fill_page, pair_table, plot, read_results, table
from micronet_keras.benchmark.runner import OutOfTime, Runner
from micronet_keras.benchmark.suite import SUITES, Run, Search, Suite, read_suite

__all__ = [
    "NETWORKS",
    "SUITES",
    "VARIANTS",
    "OutOfTime",
    "Run",
    "Runner",
    "Search",
    "Suite",
    "build_network",
    "fill_page",
    "pair_table",
    "plot",
    "read_results",
    "read_suite",
    "table",
]


def __dir__() -> list[str]:
    return list(__all__)
