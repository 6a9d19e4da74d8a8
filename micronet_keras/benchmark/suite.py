"""A suite: what is trained, on what, by which recipe and in which order, as a small JSON file."""

import dataclasses
import os
from pathlib import Path
from typing import NamedTuple

from micronet_keras.benchmark.networks import NETWORKS, VARIANTS
from micronet_keras.tasks import ClassificationConfig, replace
from micronet_mcu.errors import UserError
from micronet_mcu.files import read_json
from micronet_settings.training import flat

SUITES = Path(__file__).parent / "suites"


class Run(NamedTuple):
    """One training of a suite."""

    model: str
    variant: str
    seed: int

    @property
    def name(self) -> str:
        """What its files are called."""
        return f"{self.model}_{self.variant}_seed{self.seed}"


class Search(NamedTuple):
    """Short trainings that choose each network's learning rate, as many for all of them.

    Attributes:
        learning_rates: those that are tried, with seed 0.
        epochs: of each trial.
        part: every so many-th training picture is left out of the trials; 2 is a half.
    """

    learning_rates: tuple[float, ...]
    epochs: int
    part: int


@dataclasses.dataclass(frozen=True)
class Suite:
    """What a suite file says.

    Attributes:
        name: of the file, without its ending.
        title: a line for the head of its tables.
        dataset: as `load_dataset` takes it.
        recipe: of all its runs; the learning rate is the search's where there is one.
        search: None where the recipe's learning rate holds.
        runs: in the order in which they are trained.
        pairs: of networks that are compared: (the one that is said to be better, the other).
    """

    name: str
    title: str
    dataset: str
    recipe: ClassificationConfig
    search: Search | None
    runs: tuple[Run, ...]
    pairs: tuple[tuple[str, str], ...]


def read_suite(name: str | os.PathLike) -> Suite:
    """Reads a suite that comes with the package, or a file of the user's own.

    Args:
        name: e.g. "classification", or the path of a `.json` file.

    Raises:
        UserError: no such suite, no JSON, an unknown key, network or variant, or a value that the
            recipe refuses.

    Example:

    >>> read_suite("classification").runs[0].name
    'micronet_m0_as_published_seed0'
    """
    path = Path(name)
    if path.suffix != ".json":
        path = SUITES / f"{name}.json"
    if not path.exists():
        known = ", ".join(sorted(file.stem for file in SUITES.glob("*.json")))
        raise UserError(
            f"there is no suite {str(name)!r}; choose among {known}, or give a .json file"
        )
    content = read_json(path, "a suite of benchmarks")
    try:
        return _suite(path.stem, content)
    except (TypeError, KeyError, ValueError) as error:
        raise UserError(f"{path}: {error}") from error


def _suite(name: str, content: dict) -> Suite:
    _only("suite", content, ("title", "dataset", "recipe", "queue"), ("search", "pairs"))
    recipe = content["recipe"]
    _only("recipe", recipe, (), flat(ClassificationConfig()))
    search = content.get("search")
    if search is not None:
        _only("search", search, Search._fields)
        search = Search(tuple(search["learning_rates"]), search["epochs"], search["part"])
    runs = [run for entry in content["queue"] for run in _queue_entry(entry)]
    if len(set(runs)) != len(runs):
        raise ValueError("a run is in the queue twice")
    pairs = tuple((first, second) for first, second in content.get("pairs", ()))
    for pair in pairs:
        _known("pairs", pair, NETWORKS)
    return Suite(
        name=name,
        title=content["title"],
        dataset=content["dataset"],
        recipe=replace(ClassificationConfig(), **recipe),
        search=search,
        runs=tuple(runs),
        pairs=pairs,
    )


def _queue_entry(entry: dict) -> list[Run]:
    _only("queue", entry, ("models", "variants", "seeds"))
    _known("models", entry["models"], NETWORKS)
    _known("variants", entry["variants"], VARIANTS)
    return [
        Run(model, variant, seed)
        for seed in entry["seeds"]
        for variant in entry["variants"]
        for model in entry["models"]
    ]


def _known(where: str, names, known) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"{where} has no {unknown[0]!r}; choose among {', '.join(known)}")


def _only(where: str, content: dict, required, optional=()) -> None:
    unknown = [key for key in content if key not in (*required, *optional)]
    if unknown:
        raise ValueError(f"{where} has an unknown key {unknown[0]!r}")
    missing = [key for key in required if key not in content]
    if missing:
        raise ValueError(f"{where} lacks {missing[0]!r}")
