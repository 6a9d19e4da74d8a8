"""Trains the networks of a suite side by side by one recipe, and makes tables of the results.

Every run leaves one JSON in --results with its history, figures, machine, versions and commit.
Stopped in whatever way, the same command goes on after the last finished epoch; finished runs are
left alone. A suite is a small JSON file: one of the package by its name, or your own by its path.

Examples:

  # MicroNet against MobileNetV2, V3-Small and ShuffleNetV2 on photographs: days on two cores.
  micronet train-suite --suite=classification --data_dir=/data/tfds

  # Two of its networks, one seed, for two hours; the same command another day goes on.
  micronet train-suite --suite=classification --data_dir=/data/tfds \\
      --only=micronet_m2,mobilenet_v3_small_0.35 --seeds=0 --max_minutes=120

  # Two networks on the bundled dataset, in five minutes.
  micronet train-suite --suite=quick

  # The tables of a page between its markers and the plots, from the result files alone.
  micronet train-suite --report=docs/claims.md
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from micronet_cli import script
from micronet_mcu.errors import UserError
from micronet_mcu.files import check_writable, read_bytes, replacing

if TYPE_CHECKING:
    from micronet_keras.benchmark import Run, Suite

_SUITE = flags.DEFINE_string("suite", "classification", "name of a suite, or a .json file")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "where TFDS keeps its datasets")
_RESULTS = flags.DEFINE_string("results", "benchmarks/results", "folder of the result files")
_OUT = flags.DEFINE_string("out", "out/benchmark", "folder of checkpoints")
_ONLY = flags.DEFINE_list("only", [], "networks to train; all of the suite when not given")
_VARIANTS = flags.DEFINE_list("variants", [], "variants to train; all when not given")
_SEEDS = flags.DEFINE_list("seeds", [], "seeds to train; all when not given")
_STAGE = flags.DEFINE_enum(
    "stage", "all", ["all", "train", "measure"], "measure: of finished runs, int8 and its costs"
)
_MAX_MINUTES = flags.DEFINE_float("max_minutes", None, "stop after the epoch that passes this")
_REPORT = flags.DEFINE_string(
    "report", None, "train nothing; make the tables of this Markdown page and the plots anew"
)


def chosen_runs(suite: Suite) -> list[Run]:
    """Those that the flags leave, in the suite's order.

    Raises:
        UserError: a flag names what no run has.
    """
    runs = list(suite.runs)
    for flag, field in ((_ONLY, "model"), (_VARIANTS, "variant"), (_SEEDS, "seed")):
        known = sorted({str(getattr(run, field)) for run in suite.runs})
        for value in flag.value:
            if value not in known:
                raise UserError(
                    f"suite {suite.name} has no {field} {value!r} (--{flag.name}); choose among: "
                    + ", ".join(known)
                )
        if flag.value:
            runs = [run for run in runs if str(getattr(run, field)) in flag.value]
    return runs


def suites_with_results(folder: Path) -> list[tuple[Suite, list[dict]]]:
    """The package's suites and what there is of their results."""
    from micronet_keras.benchmark import SUITES, read_results, read_suite

    suites = [read_suite(path.stem) for path in sorted(SUITES.glob("*.json"))]
    return [(suite, read_results(suite, folder / suite.name)) for suite in suites]


def report(page: Path, folder: Path) -> None:
    """Fills the page's tables and draws `accuracy.png` into the folder of every suite.

    Raises:
        UserError: the page cannot be read or written, or has no markers.
    """
    from micronet_keras.benchmark import fill_page, plot

    suites = suites_with_results(folder)
    text = fill_page(read_bytes(page).decode("utf-8"), suites)
    with replacing(page) as temporary:
        temporary.write_text(text, encoding="utf-8")
    for suite, records in suites:
        if any(record["state"] == "finished" for record in records):
            plot(suite, records, folder / suite.name / "accuracy.png")


def main(argv: list[str]) -> int:
    del argv
    check_writable(_REPORT.value)
    if _REPORT.value:
        report(Path(_REPORT.value), Path(_RESULTS.value))
        return 0
    from micronet_keras import data
    from micronet_keras.benchmark import (
        OutOfTime,
        Runner,
        pair_table,
        read_results,
        read_suite,
        table,
    )

    suite = read_suite(_SUITE.value)
    runs = chosen_runs(suite)
    check_writable(_RESULTS.value, _OUT.value, inside=True)
    runner = Runner(
        suite,
        data.load_dataset(suite.dataset, _DATA_DIR.value),
        Path(_RESULTS.value, suite.name),
        Path(_OUT.value, suite.name),
        _MAX_MINUTES.value,
    )
    failed = []
    for number, run in enumerate(runs, start=1):
        try:
            if _STAGE.value != "measure":
                print(f"run {number} of {len(runs)}: {run.name}", flush=True)
                runner.train(run)
            if _STAGE.value != "train":
                runner.measure(run)
        except OutOfTime:
            print("the minutes are over; the same command goes on")
            break
        except UserError as error:  # The others are worth their time all the same.
            failed.append(run.name)
            print(f"{run.name} failed: {error}", flush=True)
    records = read_results(suite, runner.results)
    print(f"\n{table(suite, records)}\n\n{pair_table(suite, records)}")
    if failed:
        raise UserError(f"not trained: {', '.join(failed)}; see above")
    return 0


def run() -> None:
    """The console script."""
    script.run(main)
