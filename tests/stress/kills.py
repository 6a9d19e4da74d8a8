"""kill -9 at random moments: no result is lost or half-written, and the same command finishes."""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import material
from warm import Warm


@dataclass(frozen=True)
class Command:
    """A command that is to be killed.

    Attributes:
        module: where its `run` is.
        output: the name of what it writes.
        arguments: from the material's folder and the output to the command line without --force.
        variants: additions to it; their results differ.
        unfinished: it goes on where it was stopped. Else it begins again.
    """

    module: str
    output: str
    arguments: Callable[[Path, Path], list]
    variants: tuple[list, ...] = ([],)
    unfinished: bool = False


COMMANDS = {
    "compile": Command(
        "micronet_cli.compile", "c",
        lambda m, out: [f"--model={m / 'model.tflite'}", f"--out={out}"],
        (["--name=one"], ["--name=two"]),
    ),
    "export_firmware": Command(
        "micronet_cli.export_firmware", "project",
        lambda m, out: ["--platform=host", "--runtime=c", f"--model={m / 'model.tflite'}",
                        f"--output={out}"],
        (["--name=one"], ["--name=two"]),
    ),
    "convert": Command(
        "micronet_cli.convert", "int8",
        lambda m, out: [f"--model={m / 'ptq.npz'}", f"--out={out}"],
        (["--name=one"], ["--name=two"]),
    ),
    "import_checkpoint": Command(
        "micronet_cli.import_checkpoint", "m0.keras",
        lambda m, out: ["--model=m0", f"--checkpoint={m / 'm0.pth'}", f"--output={out}"],
    ),
    "quantize": Command(
        "micronet_cli.quantize", "qat.npz",
        lambda m, out: [m / "run", f"--out={out}", "--epochs=3", "--batch_size=8"],
        unfinished=True,
    ),
    "train": Command(
        "micronet_cli.train", "trained",
        lambda m, out: [f"--dataset={m / 'pictures'}", "--image_size=32", "--batch_size=8",
                        "--epochs=3", "--warmup_epochs=1", f"--out={out}"],
        unfinished=True,
    ),
}  # fmt: skip


class Report:
    """Counts, and what went wrong in words."""

    def __init__(self):
        self.kills = self.finished_before = 0
        self.findings: list[str] = []

    def check(self, good: bool, words: str) -> None:
        if not good:
            self.findings.append(words)


def kill(name: str, count: int, place: Path, end: float, seed: int = 0) -> Report:
    """Kills a command so many times, or until the clock (`time.monotonic`) says `end`.

    Args:
        name: one of `COMMANDS`.
        count: kills that met a running process.
        place: a folder with material/; the rest of it is used.
    """
    command, report, rng = COMMANDS[name], Report(), random.Random(seed)
    with Warm(command.module) as warm:
        attempt = _Attempts(command, warm, place)
        if command.unfinished:
            _kill_unfinished(attempt, report, rng, count, end)
        else:
            _kill_replacing(attempt, report, rng, count, end)
    return report


class _Attempts:
    def __init__(self, command: Command, warm: Warm, place: Path):
        self.warm, self.place, self.command = warm, place, command
        self.log, self.folder = place / "log", place / "out"
        self.output = self.folder / command.output
        self._material = place / "material"

    def line(self, variant: list, *more) -> list:
        return [*self.command.arguments(self._material, self.output), *variant, *more]

    def reference(self, variant: list) -> tuple[str, float]:
        """What an undisturbed call writes, and how long it takes."""
        self.clear()
        started = time.monotonic()
        status = self.warm.call(self.line(variant), self.log)
        if status:
            raise RuntimeError(f"{self.command.module} does not work: {self.words()}")
        return material.digest(self.output), time.monotonic() - started

    def killed(self, arguments: list, after_s: float) -> bool:
        """Whether the call was still running when it was killed."""
        child = self.warm.start(arguments, self.log)
        time.sleep(after_s)
        os.kill(child, signal.SIGKILL)
        return self.warm.wait() == -signal.SIGKILL

    def clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()

    def words(self) -> str:
        return self.log.read_text(errors="replace")[-1500:]


def _kill_replacing(attempt: _Attempts, report: Report, rng, count: int, end: float) -> None:
    """Half of the time something is there already, which --force replaces."""
    references = [attempt.reference(variant) for variant in attempt.command.variants]
    digests = [digest for digest, _ in references]
    longest = max(seconds for _, seconds in references)
    arguments = attempt.line(attempt.command.variants[-1], "--force")
    while report.kills < count and time.monotonic() < end:
        old = rng.choice([None, digests[0]])
        if old is None:
            attempt.clear()
        elif material.digest(attempt.output) != old:
            attempt.reference(attempt.command.variants[0])
        for _ in range(rng.randint(1, 5)):
            # Half of the kills come when the result is being written, at the end.
            earliest = rng.choice([0, 0.8])
            if not attempt.killed(arguments, rng.uniform(earliest, 1.05) * longest):
                report.finished_before += 1
                break
            report.kills += 1
            whole = _digest(attempt.output) in (old, digests[-1])
            report.check(whole, f"kill {report.kills}: half a result")
        status = attempt.warm.call(arguments, attempt.log)
        report.check(status == 0, f"kill {report.kills}: the same command: {attempt.words()}")
        same = _digest(attempt.output) == digests[-1]
        report.check(same, f"kill {report.kills}: another end")
        left = material.strays(attempt.folder, {attempt.command.output})
        report.check(not left, f"kill {report.kills}: left over: {left}")


def _kill_unfinished(attempt: _Attempts, report: Report, rng, count: int, end: float) -> None:
    """Killed again and again, until it comes through; then it is as if nothing had been."""
    wanted, seconds = attempt.reference([])
    arguments = attempt.line([])
    while report.kills < count and time.monotonic() < end:
        attempt.clear()
        for last in (False,) * rng.randint(1, 8) + (True,):
            if last:
                status = attempt.warm.call(arguments, attempt.log)
                report.check(status == 0, f"kill {report.kills}: the same: {attempt.words()}")
            elif attempt.killed(arguments, rng.uniform(0, 1.1 * seconds)):
                report.kills += 1
            else:
                report.finished_before += 1
                if not attempt.command.output.endswith(".npz"):
                    continue
                break  # The result is there; the same command would be refused.
        report.check(_digest(attempt.output) == wanted, f"kill {report.kills}: another end")
        left = material.strays(attempt.folder, {attempt.command.output})
        report.check(not left, f"kill {report.kills}: left over: {left}")


def _digest(path: Path) -> str | None:
    try:
        return material.digest(path)
    except Exception as error:  # Of every kind, for half a result.
        return f"damaged: {error!r}"
