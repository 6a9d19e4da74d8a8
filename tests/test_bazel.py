"""BUILD, tflm/BUILD and MODULE.bazel: read and built by Bazel where it is there."""

import importlib.util
import os
import re
import subprocess
from pathlib import Path

import bazel_workspace
import optional
import pytest
from paths import ROOT
from tiny_tflite import small_micronet

from micronet_mcu.version import __version__


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    optional.require("bazel", "gcc")
    folder = tmp_path_factory.mktemp("bazel") / "checkout"
    folder.mkdir()
    bazel_workspace.make(folder)
    yield folder
    bazel_workspace.bazel(folder, "shutdown")


@pytest.mark.slow
def test_every_target_loads(workspace):
    done = bazel_workspace.bazel(workspace, "query", "//...")
    assert done.returncode == 0, done.stderr
    scripts = {f"//:{path.stem}" for path in (ROOT / "scripts").glob("*.py")}
    tflm = {
        f"//tflm:{n}" for n in ("detection", "firmware", "kernels", "keypoints", "ops", "runner")
    }
    expected = {"//:micronet_cli", "//:micronet_keras", "//:micronet_mcu", *scripts, *tflm}
    assert expected <= set(done.stdout.split())


@pytest.mark.slow
def test_the_c_libraries_build_and_the_int8_side_runs(workspace, tmp_path):
    done = bazel_workspace.bazel(
        workspace, "build", "--spawn_strategy=local", "--jobs=2", "//tflm/...", "//:compile"
    )
    assert done.returncode == 0, done.stderr
    model, out = tmp_path / "model.tflite", tmp_path / "c"
    model.write_bytes(small_micronet())
    # The Python packages are stand-ins in the workspace, so the real ones come from here.
    packages = Path(importlib.util.find_spec("numpy").origin).parents[1]
    compiled = subprocess.run(
        [workspace / "bazel-bin" / "compile", f"--model={model}", f"--out={out}"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(packages)},
        timeout=120,
    )
    assert compiled.returncode == 0, compiled.stderr
    assert (out / "micronet_kernels.h").is_file()


def test_the_module_names_what_the_targets_load():
    module = (ROOT / "MODULE.bazel").read_text()
    declared = set(re.findall(r'bazel_dep\(name = "(\w+)"|use_repo\(pip, "(\w+)"', module))
    builds = (ROOT / "BUILD").read_text() + (ROOT / "tflm" / "BUILD").read_text()
    used = set(re.findall(r'"@(\w+)//', re.sub(r"#.*", "", builds)))
    assert used == {name for pair in declared for name in pair if name}
    assert f'version = "{__version__}"' in module.split(")")[0]


def test_every_python_package_is_locked():
    locked = set(re.findall(r"^([\w-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    used = set(re.findall(r'"@pypi//(\w+)"', (ROOT / "BUILD").read_text()))
    assert {name.replace("_", "-") for name in used} <= locked
