"""Both distributions, built and installed into an environment with what they declare, no more."""

import importlib.metadata
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from paths import ROOT
from tiny_tflite import small_micronet

from micronet_cli.commands import COMMANDS
from micronet_mcu.version import __version__

HERE = Path(sysconfig.get_path("purelib"))


def run(*command, **options) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=600, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pip(*arguments) -> str:
    return run(sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """Built from copies, since setuptools leaves its build folder beside what it builds."""
    place = tmp_path_factory.mktemp("wheels")
    tracked = run("git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard")
    copy = place / "checkout"
    for name in tracked.splitlines():
        source, target = ROOT / name, copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            target.symlink_to(os.readlink(source))
        elif source.is_file():
            target.write_bytes(source.read_bytes())
    for folder in (copy / "distributions" / "micronet-mcu", copy):
        pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", place, folder)
    return {path.name.split("-")[0]: path for path in place.glob("*.whl")}


class Environment:
    """A virtual environment; packages come from that of the tests, as links."""

    def __init__(self, folder: Path):
        venv.create(folder, symlinks=True)
        self.folder = folder
        (self.packages,) = (folder / "lib").glob("python*/site-packages")
        self._there: set[str] = set()

    def install(self, wheel: Path) -> None:
        """The wheel, and what it and its dependencies declare."""
        pip("--python", self.folder, "install", "--no-deps", "--no-index", wheel)
        name = wheel.name.split("-")[0]
        (found,) = importlib.metadata.distributions(name=name, path=[str(self.packages)])
        self._there.add(_plain(name))
        self._link(found)

    def _link(self, owner: importlib.metadata.Distribution) -> None:
        for text in owner.requires or ():
            needed = Requirement(text)
            if needed.marker and not needed.marker.evaluate({"extra": ""}):
                continue
            if _plain(needed.name) in self._there:
                continue
            self._there.add(_plain(needed.name))
            found = importlib.metadata.distribution(needed.name)
            for top in {file.parts[0] for file in found.files} - {"..", "__pycache__"}:
                link = self.packages / top
                if not link.exists():
                    link.symlink_to(HERE / top)
            self._link(found)

    def run(self, program: str, *arguments, cwd: Path) -> str:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        return run(self.folder / "bin" / program, *arguments, cwd=cwd, env=clean)


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")


@pytest.fixture(scope="module")
def mcu(wheels, tmp_path_factory):
    environment = Environment(tmp_path_factory.mktemp("environment") / "venv")
    environment.install(wheels["micronet_mcu"])
    return environment


@pytest.mark.slow
def test_the_int8_side_works_alone(mcu, tmp_path):
    code = """
import importlib.util, micronet_mcu
print(micronet_mcu.__version__, micronet_mcu.__file__)
print([n for n in ("tensorflow", "keras", "micronet_keras") if importlib.util.find_spec(n)])
"""
    version, there = mcu.run("python", "-c", code, cwd=tmp_path).splitlines()
    assert version.startswith(f"{__version__} {mcu.packages}")
    assert there == "[]"
    (tmp_path / "model.tflite").write_bytes(small_micronet())
    mcu.run("micronet", "compile", "model.tflite", "--out=c", cwd=tmp_path)
    run("gcc", "-std=c99", "-Wall", "-Werror", "-c", *(tmp_path / "c").glob("*.c"), cwd=tmp_path)
    export = ("--platform=pico", "model.tflite", "--output=pico")
    mcu.run("micronet", "export", *export, cwd=tmp_path)
    assert (tmp_path / "pico" / "CMakeLists.txt").is_file()
    for name in ("benchmark", "flash"):
        assert "usage: " in mcu.run("micronet", name, "--help", cwd=tmp_path)
    listed, missing = mcu.run("micronet", cwd=tmp_path).split("After `pip install micronet-keras`")
    assert "  compile " in listed and "  train " in missing
    assert "micronet-keras is not installed" in mcu.run("micronet", "doctor", cwd=tmp_path)


@pytest.mark.slow
def test_all_of_it_works_from_the_wheels(mcu, wheels, tmp_path):
    mcu.install(wheels["micronet_keras"])
    code = """
import keras, micronet_keras
print(micronet_keras.__file__)
print(micronet_keras.MicroNetM0(input_shape=(32, 32, 3), classes=3).output_shape)
"""
    place, shape = mcu.run("python", "-c", code, cwd=tmp_path).splitlines()[-2:]
    assert place.startswith(str(mcu.packages))
    assert shape == "(None, 3)"
    assert [path.name for path in (mcu.folder / "bin").glob("micronet*")] == ["micronet"]
    assert "After" not in mcu.run("micronet", cwd=tmp_path)
    for command in COMMANDS:
        assert "flags, and" in mcu.run("micronet", command, "--help", cwd=tmp_path)
