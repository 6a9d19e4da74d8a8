"""One call from a model and images to files for a board, and what it reports."""

import dataclasses
import subprocess

import keras
import numpy as np
import optional
import pytest
from small_micronet import images

from micronet_keras import deploy
from micronet_keras.quantize import quantize_aware
from micronet_mcu import Interpreter
from micronet_mcu.errors import UserError

PIXELS = images(8, 16)
FILES = ["c", "model.tflite", "model_data.cc", "model_data.h", "op_resolver.h"]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    x = image = keras.Input((16, 16, 3))
    x = keras.layers.Rescaling(1 / 255)(x)
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, keras.layers.Dense(3)(x))


@pytest.fixture(scope="module")
def report(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("deploy") / "board"
    return deploy(model, PIXELS, folder, class_names=("a", "<b>", "c"), board=None)


def seen(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_all_files_are_there_and_of_one_model(report):
    assert seen(report.folder) == FILES
    assert (report.folder / "model.tflite").read_bytes() == report.flatbuffer
    sources = map(str, (report.folder / "c").glob("*.c"))
    subprocess.run(["cc", "-std=c99", "-fsyntax-only", *sources], check=True)
    header = (report.folder / "model_data.h").read_text()
    assert "MODEL_LABEL_COUNT 3" in header
    assert "16 x 16 x 3 pixels, 0 to 255, stored as pixel - 128." in header
    # The test vector is the first picture.
    answer = Interpreter(report.flatbuffer).invoke((PIXELS[:1].astype(int) - 128).astype(np.int8))
    np.testing.assert_array_equal(report.outputs[0], answer)


def test_the_report_says_what_it_costs(report):
    rows = dict(report.facts())
    assert rows["input"] == "16 x 16 x 3 pixels, 0 to 255, stored as pixel - 128"
    assert rows["int8 against float"] == f"{report.quantized.signal_to_noise:.1f} dB"
    assert rows["flatbuffer"] == f"{len(report.flatbuffer):,} bytes"
    assert rows["on TFLM"].startswith(f"{report.arena_bytes:,} bytes")
    assert rows["as plain C, SRAM"].startswith(f"{report.compiled.program.arena.plan.size:,} ")
    assert "not counted" not in rows and report.cost is None
    assert "scale 0.00392157, zero point -128" in str(report)
    assert all(text in str(report) for text in FILES[1:])


def test_in_a_notebook_it_is_a_table(report):
    doubtful = dataclasses.replace(report.quantized, doubts=("a < b",))
    page = dataclasses.replace(report, quantized=doubtful)._repr_html_()
    assert page.startswith("<table>") and page.count("<tr>") == len(report.facts()) + 1
    assert "a &lt; b" in page and "a < b" not in page


def test_instructions_are_counted_where_the_tools_are(report, tmp_path):
    optional.require("arm-none-eabi-gcc", "qemu-system-arm")
    counted = deploy(report.quantized, None, tmp_path / "m4")
    rows = dict(counted.facts())
    assert counted.cost.instructions > 8 * 8 * 8 * 27
    assert rows["on a cortex-m4"] == f"{counted.cost.instructions:,} instructions an image"
    assert "of code" in rows["as plain C, flash"] and "with the stack" in rows["as plain C, SRAM"]


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("count_on_board", "code, stack and instructions on a cortex-m4: install it"),
        ("compile_model", "no plain C: install it"),
    ],
)
def test_what_is_missing_is_said_in_a_word(report, tmp_path, monkeypatch, what, says):
    def lacking(*args, **options):
        raise UserError("install it")

    monkeypatch.setitem(deploy.__globals__, what, lacking)
    found = deploy(report.quantized, None, tmp_path / "out")
    assert dict(found.facts())["not counted"] == says
    assert (found.compiled is None) == ("c/*.[ch]" not in found.files) == (what == "compile_model")


def test_what_is_quantized_already_is_taken_as_it_is(model, report, tmp_path):
    report.quantized.save(tmp_path / "q.npz")
    loaded = deploy(tmp_path / "q.npz", PIXELS, tmp_path / "npz", board=None)
    assert loaded.flatbuffer == report.flatbuffer
    assert loaded.quantized.signal_to_noise == pytest.approx(report.quantized.signal_to_noise)
    qat = deploy(quantize_aware(model, PIXELS, engine="keras"), None, tmp_path / "qat", board=None)
    assert qat.quantized.signal_to_noise > 15
    again = deploy(report.quantized, None, tmp_path / "qat", class_names="xyz", board=None)
    assert again.flatbuffer == report.flatbuffer and seen(tmp_path / "qat") == FILES
    assert again.quantized.class_names == ("x", "y", "z")


def test_the_order_of_before_writes_the_same_files(report, tmp_path):
    made = deploy(tmp_path / "old", report.quantized, "mine", fuse="none")
    assert made.flatbuffer == report.flatbuffer
    assert "mine.tflite" in seen(tmp_path / "old") and "c" not in seen(tmp_path / "old")


def test_mistakes_are_said_before_the_work(model, report, tmp_path):
    for arguments, message in (
        ((model, None, tmp_path / "x"), "quantized with training images; give some hundreds"),
        ((model, PIXELS), "name the folder to write"),
        ((model, PIXELS[:, :8], tmp_path / "x"), r"images of \(16, 16, 3\), these are"),
        ((7, PIXELS, tmp_path / "x"), "only what is quantized becomes int8.* Received: int"),
    ):
        with pytest.raises(UserError, match=message):
            deploy(*arguments)
    with pytest.raises(UserError, match="cortex-m9"):
        deploy(model, PIXELS, tmp_path / "x", board="cortex-m9")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "model.tflite").write_text("precious")
    with pytest.raises(UserError, match="nothing says that deploy wrote it"):
        deploy(model, PIXELS, tmp_path / "mine")
    assert (tmp_path / "mine" / "model.tflite").read_text() == "precious"
