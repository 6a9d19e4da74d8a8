"""What importing the packages brings, and what it leaves alone."""

import importlib
import pkgutil
import subprocess
import sys

import pytest
from small_micronet import small_micronet

import micronet_keras
import micronet_mcu


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    small_micronet().save(path)
    return str(path)


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


PACKAGES = [
    importlib.import_module(found.name)
    for root in (micronet_keras, micronet_mcu)
    for found in [
        pkgutil.ModuleInfo(None, root.__name__, True),
        *pkgutil.iter_modules(root.__path__, f"{root.__name__}."),
    ]
    # Behind the commands there is nothing to be called, and the int8 graph is for the compiler.
    if found.ispkg and found.name.split(".")[-1] not in ("cli", "graph")
]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_dir_is_the_public_face(package):
    assert dir(package) == sorted(package.__all__)
    assert all(getattr(package, name) is not None for name in package.__all__)


def test_packages_are_there_without_a_second_import():
    assert micronet_keras.data.load_dataset and micronet_keras.quantize.QuantizedGraph
    assert micronet_mcu.to_tflm.Interpreter is micronet_mcu.Interpreter


LOAD = "print(keras.saving.load_model({path!r}).name)"
LIBRARIES = "keras, tensorflow, tensorflow_datasets, tf_keras, tensorflow_model_optimization"


# All that must be seen from a fresh process: importing TensorFlow takes seconds.
@pytest.mark.slow
def test_keras_imported_first_knows_the_layers_and_gets_no_hook(saved):
    code = f"import sys, {LIBRARIES}\nlibraries = list(sys.meta_path)\n"
    code += "import micronet_keras, micronet_mcu\nprint(sys.meta_path == libraries)\n"
    assert run(code + LOAD.format(path=saved)).split() == ["True", "small"]


@pytest.mark.slow
def test_keras_imported_last_knows_the_layers(saved):
    """The layers alone, too, bring what a model of them needs."""
    code = "import micronet_keras.layers, tensorflow, keras\n"
    assert run(code + LOAD.format(path=saved)) == "small"
