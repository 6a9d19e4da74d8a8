"""The stress harness: kills, collisions, damaged input and fuzzing, in one command.

  python tests/stress/run.py --all --keep          the full counts; hours
  python tests/stress/run.py --all --minutes=30    as many of them as fit
  python tests/stress/run.py --only=kills,fuzzing --share=0.1

With --keep the figures go into results.json beside this file, and RESULTS.md is written from it.
Needs what the tests need, and clang with libFuzzer; where nothing may be mounted, a limit of the
size of files stands for the full disk.
Exit status: 0 when nothing was found.
"""

import argparse
import datetime
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import collisions  # noqa: E402
import damage  # noqa: E402
import fuzzing  # noqa: E402
import kills  # noqa: E402
import material  # noqa: E402

KILLS, ROUNDS, MUTATIONS, FUZZ_RUNS = 100, 10, 20_000, 1_000_000
_COUNTS = {"flatbuffers": 200_000}
PARTS = ("kills", "collisions", "mutations", "fuzzing")


def jobs(parts: list[str], share: float, place: Path) -> dict[str, Callable[[float], dict]]:
    """What is to be done, by name: from the seconds it may take to counts and findings."""

    def scaled(count: int) -> int:
        return max(1, round(count * share))

    def killed(name):
        def job(seconds):
            end = time.monotonic() + seconds
            report = kills.kill(name, scaled(KILLS), _place(place, name), end)
            return {"count": report.kills, "of": KILLS, "findings": report.findings}

        return job

    def collided(name):
        def job(seconds):
            end = time.monotonic() + seconds
            report = collisions.collide(name, scaled(ROUNDS), _place(place, name), end)
            return {"count": report.kills, "findings": report.findings}

        return job

    def mutated(kind):
        def job(seconds):
            count = _COUNTS.get(kind, MUTATIONS)
            done = damage.mutate(kind, scaled(count), place, seconds)
            return {"count": done["cases"], "of": count, "refused": done["refused"],
                    "findings": done["findings"]}  # fmt: skip

        return job

    def fuzzed(target):
        def job(seconds):
            done = fuzzing.fuzz(target, scaled(FUZZ_RUNS), place, int(max(seconds, 10)))
            return {"count": done["runs"], "of": FUZZ_RUNS, "findings": done["findings"]}

        return job

    table = {
        "kills": (killed, kills.COMMANDS),
        "collisions": (collided, kills.COMMANDS),
        "mutations": (mutated, damage.KINDS),
        "fuzzing": (fuzzed, fuzzing.TARGETS),
    }
    return {
        f"{part} {name}": make(name) for part in parts for make, names in [table[part]]
        for name in names
    }  # fmt: skip


def _place(place: Path, name: str) -> Path:
    """A folder of a command, where material/ is what all share."""
    folder = place / f"command_{name}"
    folder.mkdir(exist_ok=True)
    shared = place / "material"
    material.make(shared, name not in ("compile", "export_firmware"))
    if not (folder / "material").exists():
        (folder / "material").symlink_to(shared)
    return folder


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true", help="all parts")
    parser.add_argument("--only", default="", help=f"parts with commas: {','.join(PARTS)}")
    parser.add_argument("--names", default="", help="only these commands, kinds or targets")
    parser.add_argument("--minutes", type=float, default=24 * 60, help="at most so long")
    parser.add_argument("--keep", action="store_true", help="write results.json and RESULTS.md")
    parser.add_argument("--share", type=float, default=1.0, help="of the full counts")
    given = parser.parse_args()
    parts = list(PARTS) if given.all else [part for part in given.only.split(",") if part]
    if not parts or set(parts) - set(PARTS):
        parser.error(f"--all, or --only with some of {', '.join(PARTS)}")
    end, found = time.monotonic() + 60 * given.minutes, 0
    with tempfile.TemporaryDirectory(prefix="micronet-stress-") as place:
        wanted = jobs(parts, given.share, Path(place))
        if given.names:
            names = given.names.split(",")
            wanted = {name: job for name, job in wanted.items() if name.split()[1] in names}
        for number, (name, job) in enumerate(wanted.items()):
            started = time.monotonic()
            if started > end:
                print(f"{name}: no time left")
                continue
            done = job((end - started) / (len(wanted) - number))
            done |= {"seconds": round(time.monotonic() - started),
                     "day": datetime.date.today().isoformat()}  # fmt: skip
            print(f"{name}: {done['count']}, findings: {len(done['findings'])}", flush=True)
            for finding in done["findings"]:
                print(finding, flush=True)
            found += len(done["findings"])
            if given.keep:
                _keep(name, done)
    return 1 if found else 0


def _keep(name: str, done: dict) -> None:
    file = HERE / "results.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    # Findings have places of this machine in them; their number is what counts.
    results[name] = done | {"findings": len(done["findings"])}
    file.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    rows = [
        "| what | count | of | refused | findings | seconds | day |",
        "|---|---|---|---|---|---|---|",
    ]
    for key, row in sorted(results.items()):
        cells = [row.get(name, "") for name in ("count", "of", "refused", "findings", "seconds")]
        rows.append(" | ".join([f"| {key}", *(f"{c:,}" if c != "" else "" for c in cells),
                                f"{row['day']} |"]))  # fmt: skip
    (HERE / "RESULTS.md").write_text(_HEAD + "\n".join(rows) + "\n")


_HEAD = """# Results of the stress harness

Written by `tests/stress/run.py`; `of` is the full count, `count` what the last run of this row did.

- kills: `kill -9` of a running command at random moments, half of them while the result is
  written; a finding is a result lost or half-written, a stray file, the same command that does not
  finish, or an end that differs from that of an undisturbed run (times apart).
- collisions: two processes at one output, a file size limit and a 64 KB disk that are too small, a
  read-only disk, a link, odd names; `count` is calls. A finding is more than one line, a loss, or a
  stray file.
- mutations: damaged files and answers; `refused` got their one line, the others were harmless. A
  finding is a traceback, a crash or a hang.
- fuzzing: libFuzzer with the address and undefined-behaviour sanitizers over the firmware's code.

"""


if __name__ == "__main__":
    sys.exit(main())
