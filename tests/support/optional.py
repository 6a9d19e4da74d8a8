"""What a test needs beyond the locked requirements: skipped with advice here, an error in CI."""

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import pytest

_ADVICE = {
    "bazel": "apt-get install bazel-bootstrap",
    "torch": "pip install torch==2.13.0",
    "jax": "pip install jax==0.10.2 jaxlib==0.10.2",
    "arm-none-eabi-gcc": "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "clang": "apt-get install clang",
    "clang-tidy": "apt-get install clang-tidy",
    "cppcheck": "apt-get install cppcheck",
    "libFuzzer": "apt-get install clang libclang-rt-dev",
    "g++": "apt-get install g++",
    "gcc": "apt-get install gcc",
    "qemu-system-arm": "apt-get install qemu-system-arm",
}


def require(*names: str) -> None:
    """Skips the calling test when a module or program is missing; fails it in CI."""
    for name in names:
        if name == "libFuzzer":
            if _has_libfuzzer():
                continue
        elif shutil.which(name) or ("-" not in name and importlib.util.find_spec(name)):
            continue
        message = f"needs {name}: {_ADVICE[name]}"
        if os.environ.get("MICRONET_REQUIRE_ALL") == "1":
            pytest.fail(message)
        pytest.skip(message)


def _has_libfuzzer() -> bool:
    if not shutil.which("clang"):
        return False
    command = ["clang", "-print-runtime-dir"]
    folder = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return any(Path(folder).glob("libclang_rt.fuzzer*"))
