"""Compiled classifiers against TFLM over a folder of pictures."""

import numpy as np
import pytest
from PIL import Image
from script_runner import ScriptRunner
from tiny_tflite import TinyModel

from micronet_keras import data
from micronet_keras.evaluate.compiled import compare_with_tflm
from micronet_mcu.to_c import compile_model


@pytest.fixture(scope="module")
def evaluate_compiled():
    runner = ScriptRunner("evaluate_compiled")
    yield runner
    runner.close()


@pytest.fixture
def model_file(tmp_path):
    m = TinyModel()
    y = m.conv(m.input((1, 6, 6, 3)), 4, (3, 3), activation="RELU6")
    path = tmp_path / "tiny.tflite"
    path.write_bytes(m.build(m.dense(m.pool(y), 3, gain=8)))
    return path


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    for label in ("a", "b", "c"):
        folder = tmp_path / "pictures" / "test" / label
        folder.mkdir(parents=True)
        for number in range(4):
            pixels = rng.integers(0, 256, (14, 14, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "pictures"


@pytest.mark.slow
def test_evaluates_compiled_code(evaluate_compiled, model_file, pictures, tmp_path, capsys):
    arguments = (f"--model={model_file}", f"--dataset={pictures}")
    assert evaluate_compiled(*arguments) == 0
    printed = dict(line.split() for line in capsys.readouterr().out.splitlines()[-5:])
    assert printed["images"] == "12" and printed["largest_difference"] == "0"
    assert printed["agreement"] == "1.0000"
    assert printed["c_accuracy"] == printed["tflm_accuracy"]
    # Code that answers otherwise is told from TFLM.
    out = tmp_path / "c"
    compiled = compile_model(model_file, out)
    kernel = out / "micronet_fully_connected.c"
    kernel.write_text(kernel.read_text().replace("p->offset, p->shift", "p->offset, p->shift - 1"))
    source = data.load_dataset(str(pictures))
    result = compare_with_tflm(compiled, model_file, source, images=5)
    assert result["images"] == 5 and result["largest_difference"] > 0


@pytest.mark.slow
def test_evaluates_only_what_fits(evaluate_compiled, model_file, pictures, tmp_path, capsys):
    for picture in (pictures / "test" / "c").iterdir():
        picture.unlink()
    (pictures / "test" / "c").rmdir()
    arguments = (f"--model={model_file}", f"--dataset={pictures}")
    assert evaluate_compiled(*arguments) == 2
    assert "has 2 classes, the model 3" in capsys.readouterr().err
