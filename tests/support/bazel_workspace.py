"""This checkout as a workspace for a Bazel of any age, without a network.

What MODULE.bazel fetches are stand-ins here: the rules are Bazel's own, the Python packages are
empty, TFLM is the headers that the firmware's tests use.
"""

import os
import re
import subprocess
from pathlib import Path

from paths import DATA, ROOT

_CC = ("binary", "import", "library", "proto_library", "test", "toolchain", "toolchain_suite")
_JAVA = (
    *("binary", "import", "library", "lite_proto_library", "package_configuration", "plugin"),
    *("proto_library", "runtime", "test", "toolchain"),
)
_CC_LIBRARY = """\
load("@rules_cc//cc:defs.bzl", "cc_library")
cc_library(
    name = "{name}",
    hdrs = glob(["**/*.h"]),
    includes = ["{top}"],
    visibility = ["//visibility:public"],
)
"""
_TFLM_LIBRARIES = (
    ("tensorflow/lite/c", "common"),
    ("tensorflow/lite/micro", "micro_log"),
    ("tensorflow/lite/micro/kernels", "micro_ops"),
)
_LINKED = ("BUILD", ".bazelignore", "micronet_cli", "micronet_keras", "micronet_mcu",
           "micronet_settings", "requirements.lock", "scripts", "tflm")  # fmt: skip


def make(folder: Path) -> None:
    """Writes the workspace and its stand-ins into an empty folder."""
    for name in _LINKED:
        (folder / name).symlink_to(ROOT / name)
    outside = folder.parent / f"{folder.name}-external"
    labels = re.findall(r'"@pypi//(\w+)"', (ROOT / "BUILD").read_text())
    files = {
        "rules_cc/cc/defs.bzl": _natives("cc", _CC),
        "rules_java/java/defs.bzl": _natives("java", _JAVA),
        "rules_python/python/defs.bzl": _natives("py", ("binary", "library")),
        **{f"pypi/{name}/BUILD": _py_library(name) for name in labels},
    }
    for name, text in files.items():
        _write(outside / name, text)
        if name.endswith(".bzl"):
            _write(outside / name.replace("defs.bzl", "BUILD"), "")
    for path in (DATA / "firmware" / "tflm_stub").rglob("*.h"):
        place = path.relative_to(DATA / "firmware" / "tflm_stub")
        _write(outside / "tflm" / place, path.read_text())
    for package, name in _TFLM_LIBRARIES:
        top = "/".join([".."] * len(package.split("/")))
        _write(outside / "tflm" / package / "BUILD", _CC_LIBRARY.format(name=name, top=top))
    repositories = sorted(path.name for path in outside.iterdir())
    for name in repositories:
        _write(outside / name / "WORKSPACE", "")
    lines = [f'local_repository(name = "{n}", path = "{outside / n}")\n' for n in repositories]
    _write(folder / "WORKSPACE", 'workspace(name = "micronet_keras")\n' + "".join(lines))


def bazel(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs Bazel in the workspace, with all that it keeps beside it."""
    root = folder.parent / f"{folder.name}-output"
    return subprocess.run(
        ["bazel", f"--output_user_root={root}", "--max_idle_secs=60", *arguments],
        cwd=folder, capture_output=True, text=True, timeout=600, env={**os.environ, "CC": "gcc"},
    )  # fmt: skip


def _natives(kind: str, rules: tuple[str, ...]) -> str:
    return "".join(f"{kind}_{rule} = native.{kind}_{rule}\n" for rule in rules)


def _py_library(name: str) -> str:
    load = 'load("@rules_python//python:defs.bzl", "py_library")\n'
    return f'{load}py_library(name = "{name}", visibility = ["//visibility:public"])\n'


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
