"""Says what is installed, which optional parts are missing and how to get them.

Nothing is imported that takes time, nothing is changed. Exit status 1 when something is missing
without which a command cannot work at all.

Example:

  micronet doctor
"""

import importlib.metadata
import os
import platform
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from micronet_cli import script
from micronet_cli.commands import COMMANDS, installed
from micronet_mcu.boards.toolchain import PROGRAMS
from micronet_mcu.firmware.flash import TOOLS
from micronet_mcu.version import __version__

# Distributions that are no requirement, what for, and how to get them.
_OPTIONAL = {
    "torch": (
        "the authors' checkpoints; Keras' torch backend",
        'pip install "micronet-keras[torch]"',
    ),
    "jax": ("a backend of Keras", 'pip install "micronet-keras[jax]"'),
    "tensorboard": ("to look at a run's tensorboard/ folder", "pip install tensorboard"),
}
_HOST = {
    "gcc": ("compiled C on this machine: evaluate --compiled", "apt-get install gcc"),
    "cmake": ("firmware projects for pico and host", "apt-get install cmake"),
}


def main(argv: list[str]) -> int:
    del argv
    print(f"micronet {__version__}, Python {platform.python_version()}, {platform.platform()}")
    print(f"{os.cpu_count()} processors; {_free()} free here")
    missing = _packages("micronet-mcu")
    if installed(COMMANDS["train"]):
        missing += _packages("micronet-keras")
        _keras()
    else:
        print("\nmicronet-keras is not installed: training, quantization and conversion need it")
        print("  get it: pip install micronet-keras")
    print("\noptional packages")
    for name, (use, advice) in _OPTIONAL.items():
        _row(name, _version(name), use, advice)
    print("\nprograms")
    for name, (use, advice) in _HOST.items():
        _row(name, shutil.which(name), use, advice)
    for name, advice in PROGRAMS.items():
        _row(name, shutil.which(name), "counting on emulated boards: benchmark, pipeline", advice)
    for template, (name, advice) in TOOLS.items():
        _row(name, shutil.which(name), f"building and flashing for {template}", advice)
    if missing:
        print(f"\nmissing, and needed: {', '.join(missing)}; pip install the same package again")
    return 1 if missing else 0


def _packages(distribution: str) -> list[str]:
    """Prints what a distribution requires; returns what is not there."""
    print(f"\n{distribution}")
    try:
        required = importlib.metadata.requires(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        print("  used from a checkout; not installed itself")
        return []
    missing = []
    for name in _names(required):
        found = _version(name)
        _row(name, found, "", "pip install " + name)
        if found is None:
            missing.append(name)
    return missing


def _names(required: Iterable[str]) -> list[str]:
    plain = [text for text in required if "extra ==" not in text]
    return [re.split(r"[^\w.-]", text, maxsplit=1)[0] for text in plain]


def _keras() -> None:
    home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    weights = sorted(path.name for path in home.glob("**/*micronet*") if path.is_file())
    print(f"\nKeras backend: {os.environ.get('KERAS_BACKEND', 'tensorflow')} (KERAS_BACKEND)")
    advice = script.command("import-checkpoint")
    print(f"ImageNet weights: {', '.join(weights) or f'none; {advice} brings them in'}")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _row(name: str, found: str | None, use: str, advice: str) -> None:
    text = found or f"missing; {advice}"
    print(f"  {name:32} {text}" + (f"  ({use})" if use else ""))


def _free() -> str:
    return f"{shutil.disk_usage('.').free / 2**30:.1f} GiB"


def run() -> None:
    script.run(main)
