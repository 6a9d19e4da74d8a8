"""What importing the packages brings, and what it leaves alone."""

import subprocess
import sys

import pytest
from small_micronet import small_micronet

import micronet_keras
import micronet_mcu


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    return done.stdout.strip()


def test_the_int8_side_imports_no_tensorflow():
    code = """
import importlib, pkgutil, sys
import micronet_mcu
from absl import flags
for module in pkgutil.walk_packages(micronet_mcu.__path__, "micronet_mcu."):
    # Several commands define the same flags, and would not be imported into one process.
    for name in list(flags.FLAGS):
        delattr(flags.FLAGS, name)
    if not module.name.endswith("arena_probe"):
        importlib.import_module(module.name)
print({m for m in ("tensorflow", "keras", "tf_keras", "micronet_keras") if m in sys.modules})
"""
    assert run(code) == "set()"


@pytest.mark.parametrize("package", [micronet_keras, micronet_mcu])
def test_dir_is_the_public_face(package):
    assert dir(package) == sorted(package.__all__)
    assert all(getattr(package, name) is not None for name in package.__all__)


@pytest.mark.slow
def test_importing_installs_no_hook():
    code = (
        "import sys\nbefore = list(sys.meta_path)\nimport keras, tensorflow, tensorflow_datasets\n"
    )
    code += "import tf_keras, tensorflow_model_optimization\nlibraries = list(sys.meta_path)\n"
    code += "import micronet_keras, micronet_mcu\nprint(sys.meta_path == libraries)"
    assert run(code) == "True"


@pytest.mark.slow
@pytest.mark.parametrize(
    "imports",
    [
        "import keras, micronet_keras",
        "import micronet_keras, keras",
        "import micronet_keras, tensorflow, keras",
        "import micronet_keras.layers, keras",
    ],
)
def test_keras_knows_the_layers_of_a_saved_model(tmp_path, imports):
    """In whatever order things were imported."""
    path = tmp_path / "model.keras"
    small_micronet().save(path)
    assert int(run(f"{imports}\nprint(keras.saving.load_model({str(path)!r}).count_params())"))
