"""What a test needs beyond the locked requirements: skipped with advice here, an error in CI."""

import importlib.util
import os
import shutil

import pytest

_ADVICE = {
    "bazel": "apt-get install bazel-bootstrap",
    "torch": "pip install torch==2.13.0",
    "jax": "pip install jax==0.10.2 jaxlib==0.10.2",
    "arm-none-eabi-gcc": "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "clang": "apt-get install clang",
    "g++": "apt-get install g++",
    "gcc": "apt-get install gcc",
    "qemu-system-arm": "apt-get install qemu-system-arm",
}


def require(*names: str) -> None:
    """Skips the calling test when a module or program is missing; fails it in CI."""
    for name in names:
        if shutil.which(name) or ("-" not in name and importlib.util.find_spec(name)):
            continue
        message = f"needs {name}: {_ADVICE[name]}"
        if os.environ.get("MICRONET_REQUIRE_ALL") == "1":
            pytest.fail(message)
        pytest.skip(message)
