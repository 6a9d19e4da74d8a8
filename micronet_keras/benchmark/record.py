"""The result file of a run: one JSON that says what was measured, with what, and on what."""

import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path

from micronet_mcu.files import read_json, replacing

_PACKAGES = ("keras", "tensorflow", "jax", "torch", "numpy")


def write_record(path: Path, record: dict) -> None:
    """Writes a result; a crash leaves the earlier one.

    Raises:
        UserError: the place cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def read_record(path: Path) -> dict | None:
    """The content of a result file, None where there is none.

    Raises:
        UserError: the file is damaged.
    """
    if not path.exists():
        return None
    return read_json(path, "a result of a benchmark", advice="remove it to measure again")


def environment() -> dict:
    """What a result depends on besides the suite.

    Returns:
        `processor` (the kernel's name of it), `cores` (those that this process may use), `system`,
        `python`, `packages` (name to version, of those installed), `backend` and `commit` (None
        outside a git checkout; ends in "+changes" where files differ from it).
    """
    import keras

    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": _versions(),
        "backend": keras.backend.backend(),
        "commit": _commit(),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _versions() -> dict[str, str]:
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _commit() -> str | None:
    def git(*arguments):
        return subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", ".")
        return git("rev-parse", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None
