"""scripts/quantize.py, convert.py and evaluate.py: as they are meant, and a user's mistakes."""

import json
import re
import shutil

import keras
import numpy as np
import pytest
import wheel_ops
from PIL import Image
from script_runner import ScriptRunner
from small_micronet import images, small_micronet
from small_run import make_run

from micronet_mcu.to_tflm import Interpreter
from micronet_mcu.to_tflm.op_resolver import op_resolver_header, operators_of

pytestmark = pytest.mark.slow
NAMES = ("a", "b", "c", "d")


def script(name):
    @pytest.fixture
    def fixture():
        runner = ScriptRunner(name)
        yield runner
        runner.close()

    return fixture


quantize, convert, evaluate = script("quantize"), script("convert"), script("evaluate")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the run of a model of four classes and pictures of them."""
    folder = tmp_path_factory.mktemp("place")
    for split, count in (("train", 8), ("test", 3)):
        for i, name in enumerate(NAMES):
            (folder / "pictures" / split / name).mkdir(parents=True)
            for number, picture in enumerate(images(count, seed=i)):
                path = folder / "pictures" / split / name / f"{number}.png"
                Image.fromarray(picture).save(path)
    make_run(folder / "run", small_micronet(), folder / "pictures")
    return folder


@pytest.fixture(scope="module")
def quantized(place):
    runner = ScriptRunner("quantize")
    status = runner(
        place / "run",
        f"--out={place / 'qat.npz'}",
        "--epochs=1",
        "--batch_size=8",
    )
    runner.close()
    assert status == 0
    return place / "qat.npz"


@pytest.fixture(scope="module")
def converted(place, quantized):
    runner = ScriptRunner("convert")
    status = runner(f"--model={quantized}", f"--out={place / 'int8'}")
    runner.close()
    assert status == 0
    return place / "int8"


def last_error(capsys) -> str:
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("error: ")
    assert "Traceback" not in "".join(lines)
    return lines[-1]


def test_nothing_but_the_results_is_left(place, converted):
    assert sorted(path.name for path in converted.iterdir()) == [
        ".micronet.json",
        "model.tflite",
        "model_data.cc",
        "model_data.h",
        "op_resolver.h",
    ]
    left = {path.name for path in place.iterdir()}
    assert left - {"ptq.npz"} == {"run", "int8", "pictures", "qat.npz"}
    assert {path.name for path in (place / "run").iterdir()} <= {
        "config.json",
        "best.keras",
        "ptq.npz",
    }


def test_evaluation(place, converted, evaluate, capsys):
    status = evaluate(
        place / "run",
        f"--tflite={converted / 'model.tflite'}",
        f"--json={place / 'int8' / 'figures.json'}",
        f"--picture={place / 'int8' / 'confusion.png'}",
    )
    assert status == 0
    figures = json.loads((place / "int8" / "figures.json").read_text())
    assert figures["images"] == 12
    assert figures["flash_bytes"] == (converted / "model.tflite").stat().st_size
    assert figures["agreement"] > 0.5
    assert f"{figures['int8_accuracy']:.4f}" in capsys.readouterr().out
    (place / "int8" / "figures.json").unlink()
    (place / "int8" / "confusion.png").unlink()


def test_post_training_quantization_goes_into_the_run(place, quantize):
    assert quantize(place / "run", "--mode=ptq") == 0
    assert (place / "run" / "ptq.npz").exists()


def test_existing_results_are_kept(place, quantized, converted, quantize, capsys):
    assert quantize(place / "run", f"--out={quantized}") == 2
    assert "exists already" in last_error(capsys)


def test_conversion_keeps_what_is_there_unless_forced(quantized, converted, convert, capsys):
    before = (converted / "model.tflite").read_bytes()
    assert convert(f"--model={quantized}", f"--out={converted}") == 2
    assert "--force" in last_error(capsys)
    (converted / "mine").write_text("")
    for name in ("other", "model"):
        arguments = (f"--model={quantized}", f"--out={converted}", f"--name={name}", "--force")
        assert convert(*arguments) == 0
    assert (converted / "mine").exists() and not (converted / "other.tflite").exists()
    (converted / "mine").unlink()
    assert (converted / "model.tflite").read_bytes() == before


@pytest.mark.parametrize(
    ("flags", "custom", "absent"),
    [
        (["--fuse"], {"MicroNetDYShiftMax"}, {"MUL", "MAXIMUM"}),
        (["--fuse=all"], {"MicroNetDYShiftMax", "MicroNetFullyConnected"}, {"CONV_2D"}),
        (["--groups=dense"], set(), {"SPLIT"}),
        (["--fuse=activations", "--groups=split"], {"MicroNetDYShiftMax", "SPLIT"}, {"MUL"}),
        (["--nofuse", "--tune=cmsis_nn"], set(), set()),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_forms_of_the_flatbuffer(
    quantized, converted, convert, tmp_path, capsys, flags, custom, absent
):
    """The arena that is stated and written is enough, and the resolver is this model's."""
    out = tmp_path / "int8"
    assert convert(f"--model={quantized}", f"--out={out}", *flags) == 0
    printed = capsys.readouterr().out
    flatbuffer = (out / "model.tflite").read_bytes()
    assert set(operators_of(flatbuffer)) >= custom and not set(operators_of(flatbuffer)) & absent
    assert (out / "op_resolver.h").read_text() == op_resolver_header(flatbuffer)
    header, code = ((out / f"model_data.{suffix}").read_text() for suffix in ("h", "cc"))
    arena = int(re.search(r"MODEL_ARENA_SIZE (\d+)", header)[1])
    assert f"arena: {arena} bytes" in printed
    numbers = {
        name: np.array(re.search(rf"{name}\[\w+\] = {{(.*?)}}", code, re.DOTALL)[1].split(",")[:-1])
        for name in ("model_test_input", "model_test_output")
    }
    image = numbers["model_test_input"].astype(np.int8).reshape(1, 32, 32, 3)
    answer = wheel_ops.run(flatbuffer, image, arena)[0]
    np.testing.assert_array_equal(numbers["model_test_output"].astype(np.int8), answer)
    plain = Interpreter((converted / "model.tflite").read_bytes()).invoke(image)[0]
    if any("--fuse" in flag for flag in flags):
        assert np.abs(answer.astype(int) - plain).max() <= 12
    else:
        np.testing.assert_array_equal(answer, plain)


def test_mistakes_of_quantize(place, quantize, tmp_path, capsys):
    x = keras.Input((32, 32, 3))
    gelu = keras.layers.Dense(4, activation="gelu", name="squash")
    squashed = keras.Model(x, gelu(keras.layers.GlobalAveragePooling2D()(x)))
    pictures, good = place / "pictures", place / "run"
    truncated = make_run(tmp_path / "truncated", squashed, pictures)
    whole = (good / "best.keras").read_bytes()
    (truncated / "best.keras").write_bytes(whole[:5000])
    other = make_run(tmp_path / "other", small_micronet(), pictures)
    settings = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**settings, "task": "dancing"}))
    for arguments, message in (
        ((), "name one RUN"),
        ((tmp_path / "nothing",), "nothing is not the folder of a run"),
        ((truncated,), "best.keras is not a Keras model file"),
        ((make_run(tmp_path / "gelu", squashed, pictures),), "squash"),
        ((make_run(tmp_path / "night", squashed, pictures, train_split="night"),), "night"),
        ((other,), "of a task 'dancing'"),
        ((good, f"--dataset={pictures / 'test' / 'a'}"), "pictures/test/a"),
        ((good, "--epochs=-1"), "epochs must be at least 0"),
        ((good, "--mode=magic"), "magic"),
        ((good, "--mode=ptq", "--out=/proc/nowhere/q.npz"), "cannot write /proc/nowhere"),
    ):
        out = () if "--out=" in str(arguments[-1:]) else (f"--out={tmp_path / 'q.npz'}",)
        assert quantize(*arguments, *out) == 2, arguments
        assert message in last_error(capsys)
        assert not (tmp_path / "q.npz").exists()


def test_mistakes_of_convert(place, quantized, convert, tmp_path, capsys):
    for arguments, message in (
        ((f"--model={place / 'run' / 'best.keras'}",), "best.keras is not a quantized graph"),
        ((f"--model={tmp_path / 'nothing.npz'}",), "no such file"),
        ((f"--model={quantized}", "--name=my-model"), "C identifier, not 'my-model'"),
        ((f"--model={quantized}", "--fuse=some"), "--fuse"),
        ((f"--model={quantized}", "--groups=sparse"), "--groups"),
        ((f"--model={quantized}", "--tune=ethos"), "--tune"),
        ((f"--model={quantized}", "--fuse=all", "--groups=dense"), "leave --groups out"),
    ):
        assert convert(*arguments, f"--out={tmp_path / 'int8'}") == 2
        assert message in last_error(capsys)
        assert not (tmp_path / "int8").exists()


def test_mistakes_of_evaluate(place, converted, evaluate, tmp_path, capsys):
    truncated = tmp_path / "truncated.tflite"
    truncated.write_bytes((converted / "model.tflite").read_bytes()[:3000])
    pictures, run = place / "pictures", place / "run"
    tflite = f"--tflite={converted / 'model.tflite'}"
    larger = make_run(tmp_path / "larger", small_micronet(48), pictures)
    three = make_run(tmp_path / "three", small_micronet(classes=3), pictures)
    shutil.copytree(pictures, tmp_path / "fewer")
    shutil.rmtree(tmp_path / "fewer" / "train" / "d")
    shutil.rmtree(tmp_path / "fewer" / "test" / "d")
    for arguments, message in (
        ((run, f"--tflite={truncated}"), "truncated"),
        ((run, f"--tflite={tmp_path}"), "has no int8/model.tflite or model.tflite"),
        ((larger, tflite), "(48, 48, 3)"),
        ((three, tflite), "the Keras model does not fit the run"),
        ((run, tflite, "--split=night"), "night"),
        ((run, tflite, f"--dataset={tmp_path / 'fewer'}"), "was trained for a, b, c, d"),
        ((tflite,), "name one RUN"),
    ):
        assert evaluate(*arguments) == 2, arguments
        assert message in last_error(capsys)


def test_sample_is_a_training_picture(quantized):
    with np.load(quantized) as arrays:
        assert arrays["sample"].shape == (32, 32, 3)
        assert arrays["sample"].std() > 10
