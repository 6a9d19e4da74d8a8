"""What is imported when: the compiler and the firmware tools start without TensorFlow and Keras."""

import subprocess
import sys

import pytest
from small_micronet import small_micronet

_LIGHT = (
    "micronet_keras.board",
    "micronet_keras.codegen",
    "micronet_keras.convert",
    "micronet_keras.convert.op_resolver",
    "micronet_keras.evaluate.fused",
    "micronet_keras.firmware",
)
_LIGHT_SCRIPTS = ("benchmark_mcu", "compile", "export_firmware", "flash")


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    return done.stdout.strip()


def test_tools_without_models_import_no_tensorflow():
    modules = [*_LIGHT, *(f"micronet_keras_scripts.{name}" for name in _LIGHT_SCRIPTS)]
    code = "import sys\n"
    for module in modules:
        # Several scripts define the same flags, and would not be imported into one process.
        code += "from absl import flags\nfor f in list(flags.FLAGS): delattr(flags.FLAGS, f)\n"
        code += f"import {module}\n"
    code += (
        "print({m for m in ('tensorflow', 'keras', 'tf_keras', 'matplotlib') if m in sys.modules})"
    )
    assert run(code) == "set()"


@pytest.mark.slow
def test_everything_that_is_announced_is_there():
    code = "import importlib\n"
    for package in ("micronet_keras", "micronet_keras.convert", "micronet_keras.evaluate"):
        code += f"""
module = importlib.import_module({package!r})
for name in module.__all__:
    assert getattr(module, name) is not None, name
try:
    module.no_such_name
except AttributeError as error:
    assert "no_such_name" in str(error)
else:
    raise SystemExit("no error")
"""
    run(f"{code}import micronet_keras as m; assert set(m.__all__) <= set(dir(m))")


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
