"""Two processes at one output, full and read-only disks, links, devices and odd names."""

import contextlib
import os
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import material
from kills import COMMANDS, Command, Report
from warm import Warm

# A space, quotes, a newline, other scripts, a byte that is no UTF-8, a dash in front.
ODD_NAMES = ("a b", 'it\'s "odd"', "two\nlines", "\u00fc\u65e5\U0001f600", "\udcff", "-rf", "%s{0}")


class _Place:
    """A command, its material, and a folder for its output."""

    def __init__(self, name: str, place: Path):
        self.command: Command = COMMANDS[name]
        self.material, self.log = place / "material", place / "log"
        self.folder = place / "collisions"
        self.output = self.folder / self.command.output
        self.folder.mkdir(exist_ok=True)

    def line(self, output: Path, variant: int = 0, *more) -> list:
        return [*self.command.arguments(self.material, output),
                *self.command.variants[variant], *more]  # fmt: skip

    def clear(self) -> None:
        subprocess.run(["rm", "-rf", "--", self.folder], check=True)
        self.folder.mkdir()


def collide(name: str, rounds: int, place: Path, end: float, seed: int = 0) -> Report:
    """Everything but kills; `kills` of the report counts the calls.

    Args:
        name: one of `kills.COMMANDS`.
        rounds: how often two processes begin at once, and how many full disks there are.
        place: a folder with material/.
        end: no round begins after it (`time.monotonic`).
    """
    report, rng, there = Report(), random.Random(seed), _Place(name, place)
    with Warm(there.command.module) as one:
        started = time.monotonic()
        there.clear()
        status = one.call(there.line(there.output), there.log)
        seconds = time.monotonic() - started
        report.check(status == 0, f"it does not work: {there.log.read_text()[-1500:]}")
        wanted = material.digest(there.output)
        with Warm(there.command.module) as other:
            for _ in range(rounds):
                if time.monotonic() < end:
                    _two_at_once(there, one, other, rng.uniform(0, seconds / 2), wanted, report)
        for _ in range(rounds):
            if time.monotonic() < end:
                _file_too_large(there, one, rng, wanted, report)
        with _tmpfs(place / "small", "size=64k") as small:
            _refused(there, one, small / there.command.output, "No space", report)
        with _tmpfs(place / "locked", "size=64k,ro") as locked:
            _refused(there, one, locked / there.command.output, "Read-only", report)
        _links_and_names(there, one, wanted, report)
    return report


def _two_at_once(there, one: Warm, other: Warm, wait_s: float, wanted: str, report) -> None:
    there.clear()
    second_log = there.log.with_name("log2")
    one.start(there.line(there.output), there.log)
    time.sleep(wait_s)
    other.start(there.line(there.output), second_log)
    ends = [(one.wait(), there.log), (other.wait(), second_log)]
    report.kills += 2
    for status, log in ends:
        # An unfinished training may be asked for again when it is done.
        again = there.command.output == "trained" and status == 0
        report.check(again or status in (0, 2), f"two at once: {log.read_text()[-1500:]}")
        if status:
            _one_line(log, "two at once", report)
    report.check(any(status == 0 for status, _ in ends), "two at once: none wins")
    report.check(material.digest(there.output) == wanted, "two at once: another result")
    left = material.strays(there.folder, {there.command.output})
    report.check(not left, f"two at once: left over: {left}")


def _file_too_large(there, warm: Warm, rng, wanted: str, report) -> None:
    """A full disk, as the limit of a file's size has it."""
    there.clear()
    limit = rng.choice([0, 100, 4096, 20_000, 100_000])
    status = warm.call(there.line(there.output), there.log, file_bytes=limit)
    report.kills += 1
    if status:
        report.check(status == 2, f"{limit} bytes a file: {there.log.read_text()[-1500:]}")
        if limit > 1000:  # Else the message does not fit into the log.
            _one_line(there.log, f"{limit} bytes a file", report)
    status = warm.call(there.line(there.output), there.log)
    done = status == 0 or "exists already" in there.log.read_text()
    report.check(done, f"after {limit} bytes a file: {there.log.read_text()[-1500:]}")
    report.check(material.digest(there.output) == wanted, "after a full disk: another result")
    left = material.strays(there.folder, {there.command.output})
    report.check(not left, f"after a full disk: left over: {left}")


def _refused(there, warm: Warm, output: Path, reason: str, report) -> None:
    if not os.path.ismount(output.parent):
        print(f"not tried, no file system can be mounted here: {reason}")
        return
    status = warm.call(there.line(output), there.log)
    report.kills += 1
    words = there.log.read_text(errors="replace")
    # What is small fits.
    if status or reason != "No space":
        report.check(status == 2 and reason in words, f"{reason}: {status}: {words[-1500:]}")
        _one_line(there.log, reason, report)
        left = [p.name for p in output.parent.rglob(".micronet-*")]
        report.check(not left, f"{reason}: left over: {left}")


def _links_and_names(there, warm: Warm, wanted: str, report) -> None:
    there.clear()
    suffix = "".join(there.output.suffixes)
    (there.folder / "real").mkdir()
    link = there.folder / f"link{suffix}"
    link.symlink_to(Path("real") / there.command.output)
    outputs = [(link, there.folder / "real" / there.command.output)]
    outputs += [(there.folder / f"{name}{suffix}", None) for name in ODD_NAMES]
    for output, real in outputs:
        status = warm.call(there.line(output), there.log)
        report.kills += 1
        words = there.log.read_text(errors="replace")
        # Some libraries take no such name: then one line, and nothing is left.
        report.check(status in (0, 2), f"{output.name!r}: {words[-1500:]}")
        if status:
            _one_line(there.log, f"{output.name!r}", report)
            continue
        same = material.digest(real or output) == wanted
        report.check(same, f"{output.name!r}: another result")
    report.check(link.is_symlink(), "the link is gone")
    left = [str(path) for path in there.folder.rglob(".micronet-*")]
    report.check(not left, f"links and odd names: left over: {left}")


def _one_line(log: Path, when: str, report) -> None:
    words = log.read_text(errors="replace")
    lines = [line for line in words.splitlines() if line.startswith("error: ")]
    report.check(len(lines) == 1 and "Traceback" not in words, f"{when}: {words[-1500:]}")


@contextlib.contextmanager
def _tmpfs(place: Path, options: str) -> Iterator[Path]:
    """A small file system; nothing is mounted where that is not allowed."""
    place.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", place]
    mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield place
    finally:
        if mounted:
            subprocess.run(["umount", place], check=True)
