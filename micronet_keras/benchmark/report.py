"""Tables and plots of a suite, from nothing but its result files."""

import os
import re
import statistics
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from micronet_keras.benchmark.record import read_record
from micronet_keras.benchmark.suite import Suite
from micronet_mcu.errors import UserError
from micronet_mcu.files import replacing

NOT_YET = "-"


class Entry(NamedTuple):
    """A network and variant with the finished runs of all its seeds, in the order of the seeds."""

    model: str
    variant: str
    records: list[dict]

    def accuracies(self, of: Callable[[dict], float | None]) -> list[float]:
        """A share of each run, where it has one, in per cent."""
        shares = map(of, self.records)
        return [100 * share for share in shares if share is not None]


def read_results(suite: Suite, folder: str | os.PathLike) -> list[dict]:
    """The records of the suite's runs that have begun, in the suite's order.

    Raises:
        UserError: a file is no JSON.
    """
    records = (read_record(Path(folder, f"{run.name}.json")) for run in suite.runs)
    return [record for record in records if record]


def entries(records: list[dict]) -> list[Entry]:
    """The finished runs, those that differ by the seed together."""
    found = defaultdict(list)
    for record in records:
        if record["state"] == "finished":
            found[record["model"], record["variant"]].append(record)
    return [Entry(*key, sorted(group, key=_seed)) for key, group in found.items()]


def table(suite: Suite, records: list[dict]) -> str:
    """The suite's results as a Markdown table: finished runs, then what is being trained."""
    lines = [
        "| network | stem | seeds | MAdds | parameters | learning rate | float | int8 on TFLM "
        "| M4 instructions | SRAM | flash |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for entry in sorted(entries(records), key=lambda e: (e.variant, _madds(e))):
        first = entry.records[0]
        cells = [
            entry.model,
            _STEMS[entry.variant],
            ", ".join(str(_seed(record)) for record in entry.records),
            _millions(_madds(entry)),
            _millions(first["figures"]["parameters"]),
            f"{first['recipe']['learning_rate']:g}",
            _mean_and_spread(entry.accuracies(float_accuracy)),
            _mean_and_spread(entry.accuracies(int8_accuracy)),
            *(
                _board_figure(first, name, unit)
                for name, unit in (
                    ("instructions", _millions),
                    ("sram_bytes", _kilobytes),
                    ("flash_bytes", _kilobytes),
                )
            ),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        f"\nIn training: {record['model']}, {_STEMS[record['variant']]} stem, seed "
        f"{record['seed']}: epoch {len(record['history'])} of {record['recipe']['epochs']}."
        for record in records
        if record["state"] != "finished"
    ]
    waiting = len(suite.runs) - len(records)
    if waiting:
        lines.append(f"\nNo result file yet: {waiting} of {len(suite.runs)} runs.")
    return "\n".join(lines)


def pair_table(suite: Suite, records: list[dict]) -> str:
    """What the suite's pairs differ by, in points of test accuracy."""
    lines = [
        "| pair | stem | MAdds | float, by seed | mean |",
        "|---|---|---|---|---|",
    ]
    found = {(entry.model, entry.variant): entry for entry in entries(records)}
    for variant in dict.fromkeys(run.variant for run in suite.runs):
        for names in suite.pairs:
            ours, other = (found.get((name, variant)) for name in names)
            title = f"{names[0]} against {names[1]}"
            if ours is None or other is None:
                lines.append(f"| {title} | {_STEMS[variant]} | {NOT_YET} | {NOT_YET} | {NOT_YET} |")
                continue
            points = _differences(ours, other)
            mean = f"{statistics.mean(points):+.2f}" if points else NOT_YET
            lines.append(
                f"| {title} | {_STEMS[variant]} | {_madds(ours) / _madds(other):.2f} times | "
                f"{', '.join(f'{p:+.2f}' for p in points) or NOT_YET} | {mean} |"
            )
    return "\n".join(lines)


def _differences(ours: Entry, other: Entry) -> list[float]:
    """In points, of the seeds that both have."""
    theirs = {_seed(record): float_accuracy(record) for record in other.records}
    return [
        100 * (float_accuracy(record) - theirs[_seed(record)])
        for record in ours.records
        if _seed(record) in theirs
    ]


def fill_page(page: str, suites: list[tuple[Suite, list[dict]]]) -> str:
    """A Markdown page with the present tables between its markers.

    Markers are `<!-- results: NAME -->` and `<!-- pairs: NAME -->`, both ended by `<!-- end -->`.

    Raises:
        UserError: the page has a marker without its end, or none at all.
    """
    makers = {"results": table, "pairs": pair_table}
    known = {suite.name: (suite, records) for suite, records in suites}

    def fill(match):
        kind, name = match[1], match[2]
        if name not in known:
            return match[0]
        return f"<!-- {kind}: {name} -->\n\n{makers[kind](*known[name])}\n\n<!-- end -->"

    pattern = r"<!-- (results|pairs): (\w+) -->\n.*?<!-- end -->"
    opened = len(re.findall(r"<!-- (?:results|pairs): \w+ -->", page))
    filled, count = re.subn(pattern, fill, page, flags=re.DOTALL)
    if not count or count != opened:
        raise UserError(
            f"the page has {opened} markers such as <!-- results: quick --> and {count} "
            "of them with <!-- end -->"
        )
    return filled


def plot(suite: Suite, records: list[dict], path: str | os.PathLike) -> None:
    """Accuracy against what it costs, as PNG: float against MAdds and parameters, int8 on a board.

    Raises:
        UserError: the file cannot be written.
    """
    figure = Figure(figsize=(13, 9), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(suite.title)
    for axes, (label, cost, accuracy) in zip(figure.subplots(2, 2).flat, _PANELS, strict=True):
        for entry in entries(records):
            x, y = cost(entry.records[0]), entry.accuracies(accuracy)
            if x is None or not y:
                continue
            ours = entry.model.startswith("micronet")
            filled = entry.variant == "as_published"
            axes.plot(
                x,
                statistics.mean(y),
                "o" if ours else "s",
                color="tab:red" if ours else "tab:blue",
                markerfacecolor=None if filled else "none",
            )
            axes.annotate(
                entry.model, (x, statistics.mean(y)), xytext=(5, 4), textcoords="offset points",
                fontsize=8,
            )  # fmt: skip
        axes.set(xscale="log", xlabel=label, ylabel="test accuracy in %")
        axes.grid(alpha=0.3, which="both")
    with replacing(path) as temporary:
        figure.savefig(temporary)


def float_accuracy(record: dict) -> float:
    """In float, of the epoch that the held-out pictures chose; a share."""
    return record["result"]["test_accuracy"]


def int8_accuracy(record: dict) -> float | None:
    """On TensorFlow Lite Micro; None where it is not measured or cannot be."""
    return record["figures"].get("int8", {}).get("accuracy")


def _board(name: str) -> Callable[[dict], int | None]:
    return lambda record: record["figures"].get("cortex_m4", {}).get(name)


_STEMS = {"as_published": "stride 2", "stem_stride1": "stride 1"}
_PANELS = (
    ("MAdds (float)", lambda record: record["figures"]["madds"], float_accuracy),
    ("parameters (float)", lambda record: record["figures"]["parameters"], float_accuracy),
    ("instructions on the Cortex-M4 (int8)", _board("instructions"), int8_accuracy),
    ("bytes of SRAM on the Cortex-M4 (int8)", _board("sram_bytes"), int8_accuracy),
)


def _seed(record: dict) -> int:
    return record["seed"]


def _madds(entry: Entry) -> int:
    return entry.records[0]["figures"]["madds"]


def _mean_and_spread(values: list[float]) -> str:
    """The spread is the standard deviation, from two runs on."""
    if not values:
        return NOT_YET
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{spread} %"


def _board_figure(record: dict, name: str, unit: Callable[[float], str]) -> str:
    board = record["figures"].get("cortex_m4", {})
    if "missing" in board:
        return "not compiled"
    return unit(board[name]) if name in board else NOT_YET


def _millions(count: float) -> str:
    return f"{count / 1e6:.2f}M"


def _kilobytes(count: float) -> str:
    return f"{count / 1024:.1f} KB"
