"""A detector trained for a moment finds what there is, in float, in int8 on TFLM, and in C."""

import contextlib
import dataclasses
import io
import subprocess

import keras
import numpy as np
import pytest
from paths import TFLM
from small_micronet import randomized
from tiny_detection import SIZE, make_source, spoiled, tiny_detector

from micronet_keras.compare import compare
from micronet_keras.deploy import deploy
from micronet_keras.lower import lower
from micronet_keras.models import preprocess_input
from micronet_keras.quantize import (
    QuantizeConfig,
    convert,
    post_training_quantize,
    quantize,
    quantize_aware,
)
from micronet_keras.tasks import DETECTION, DetectionConfig, TrainConfig, replace
from micronet_keras.train import make_repeatable, read_run, train
from micronet_mcu.errors import UserError
from micronet_mcu.to_tflm import Interpreter

C_CODE = TFLM / "detection"
CONFIG = DetectionConfig(
    training=TrainConfig(
        image_size=SIZE, batch_size=16, epochs=5, learning_rate=0.1, warmup_epochs=1
    ),
    smallest_window=0.9,
    largest_window=1.1,
    class_loss="focal",
)
SPLITS = {"train": 160, "validation": 16, "test": 48}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(folder, source, result, what was printed) of a short training; some boxes are bad."""
    make_repeatable(dataclasses.replace(CONFIG.training, deterministic=False))
    folder = tmp_path_factory.mktemp("detector") / "run"
    source = make_source(SPLITS, spoiled)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        result = train(DETECTION, tiny_detector(), source, CONFIG, folder)
    return folder, source, result, printed.getvalue()


@pytest.fixture(scope="module")
def deployed(run, tmp_path_factory):
    """(folder with the C files, flatbuffer) of quantization without training."""
    config = QuantizeConfig(epochs=0, batch_size=16, calibration_images=64)
    folder = tmp_path_factory.mktemp("deployed")
    return folder, deploy(folder, quantize(run[0], config, source=run[1])).flatbuffer


@pytest.mark.slow
def test_training_finds_the_squares(run):
    assert run[2].summary["test_AP50"] > 0.5


@pytest.mark.slow
def test_int8_on_tflm_finds_what_float_finds(run, deployed):
    folder, source, result, _ = run
    summary = compare(folder, deployed[1], source=source).summary
    assert summary["float_AP50"] == pytest.approx(result.summary["test_AP50"])
    # 48 images and a training of seconds: a twentieth is noise here.
    assert abs(summary["float_AP50"] - summary["int8_AP50"]) < 0.05


@pytest.mark.slow
def test_quantization_aware_training_of_all_outputs(run, tmp_path):
    folder, source, *_ = run
    config = QuantizeConfig(epochs=1, batch_size=16, calibration_images=32, learning_rate=1e-3)
    quantized = quantize(folder, config, source=source, backup=tmp_path / "backup", verbose=0)
    # A gentle epoch: the weights of every output moved, and none of them far.
    before = lower(read_run(folder).model())
    for name in ("p3_scores", "p3_boxes"):
        moved = np.abs(before[name].kernel - quantized.graph[name].kernel).max()
        assert 0 < moved < 0.1
    # The backup is the caller's.
    assert list((tmp_path / "backup").iterdir())


@pytest.mark.slow
def test_the_deployed_files_compile_together(deployed, tmp_path):
    folder, flatbuffer = deployed
    shapes = [tuple(tensor.shape) for tensor in Interpreter(flatbuffer).outputs]
    assert shapes == [(1, 8, 8, 2), (1, 8, 8, 4)]
    main = tmp_path / "main.cc"
    main.write_text("""
#include <stdio.h>
#include "model_data.h"
#include "model_detector.h"
static_assert(MODEL_OUTPUT_SIZE == 128 && MODEL_OUTPUT1_SIZE == 256, "two outputs");
int main() { printf("%s %d", model_labels[1], model_detector.levels[0].stride); }
""")
    sources = [main, folder / "model_data.cc", C_CODE / "micronet_detection.c"]
    command = ["g++", "-Wall", "-Wextra", "-Werror", f"-I{C_CODE}", f"-I{folder}"]
    subprocess.run([*command, *map(str, sources), "-o", str(tmp_path / "main")], check=True)
    printed = subprocess.run([tmp_path / "main"], capture_output=True, check=True).stdout
    assert printed == b"dark 8"


@pytest.mark.slow
def test_outputs_keep_their_order_when_shapes_are_equal():
    # Four classes: scores and boxes have one shape, only the order tells them apart.
    model = tiny_detector(4, size=(32, 32), strides=(16,), width=8, blocks=0)
    model.get_layer("p4_scores").bias.assign([1.0, 2.0, 3.0, 4.0])
    model.get_layer("p4_boxes").bias.assign([5.0, 6.0, 7.0, 8.0])
    pixels = np.random.RandomState(0).randint(0, 256, (4, 32, 32, 3)).astype("uint8")
    interpreter = Interpreter(convert(post_training_quantize(model, [pixels])))
    outputs = interpreter.invoke_all(interpreter.quantize(np.full((1, 32, 32, 3), 124, np.uint8)))
    for raw, tensor, expected in zip(outputs, interpreter.outputs, (2.5, 6.5), strict=True):
        real = (raw.astype(float) - tensor.zero_point[0]) * tensor.scale[0]
        assert real.mean() == pytest.approx(expected, abs=0.5)


@pytest.mark.slow
def test_fine_tuning_sees_the_maps_packed_as_keras_packs_them():
    model = randomized(tiny_detector(3, strides=(8, 16)))
    for name in ("p3_scores", "p3_boxes", "p4_scores", "p4_boxes"):
        kernel = model.get_layer(name).kernel
        kernel.assign(kernel * 100)
    pixels = np.random.RandomState(0).randint(0, 256, (4, SIZE, SIZE, 3)).astype("uint8")
    qat = quantize_aware(model, [pixels])
    expected = np.asarray(model(preprocess_input(pixels.astype("float32"))))
    found = np.asarray(qat(qat.preprocess(pixels)))
    assert found.shape == expected.shape == (4, 64 + 16, 7)
    # Not equal, for it is rounded; but no number is taken for another's.
    assert np.abs(found - expected).mean() < 0.05 * expected.std(axis=1).mean()


@pytest.mark.parametrize(
    "name, value",
    [
        ("mosaic", 2.0),
        ("box_loss", "l1"),
        ("class_loss", "hinge"),
        ("head", "heavy"),
        ("smallest_window", 0.0),
        ("on_bad_annotation", "ignore"),
        ("box_weight", -1.0),
    ],
)
def test_wrong_settings_are_named(name, value):
    with pytest.raises(ValueError, match=f"{name} must be .* Received: {value!r}"):
        replace(CONFIG, **{name: value})


@pytest.mark.parametrize("name", ["dropout", "label_smoothing", "min_scale"])
def test_settings_of_classifiers_are_none_of_a_detector(name):
    with pytest.raises(TypeError, match=name):
        replace(CONFIG, **{name: 0.1})


@pytest.mark.parametrize("changes", [{"image_size": 100}, {"image_width": 100}])
def test_sides_of_images_are_multiples_of_32(changes):
    with pytest.raises(ValueError, match="sides .* are multiples of 32. Received"):
        replace(CONFIG, **changes)


def test_models_that_do_not_fit_are_refused(tmp_path):
    source = make_source(SPLITS)
    with pytest.raises(UserError, match="scores for the 2 classes of tiny .* Received: .*8, 8, 3"):
        train(DETECTION, tiny_detector(3), source, CONFIG, tmp_path)
    larger = replace(CONFIG, image_size=96)
    with pytest.raises(UserError, match=r"shape \(96, 96, 3\). Received: \(64, 64, 3\)"):
        train(DETECTION, tiny_detector(), source, larger, tmp_path)
    with pytest.raises(UserError, match="no split 'testing'"):
        train(DETECTION, tiny_detector(), source, replace(CONFIG, test_split="testing"), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("channels", "complaint"),
    [
        ((3, 4), r"does not fit the run: .* 2 classes .*\(8, 8, 3\)"),
        ((2, 4, 2, 4), r"not of this model: .*\(8, 8, 2\), \(8, 8, 4\), \(8, 8, 2\)"),
    ],
)
def test_int8_of_another_model_is_refused(run, channels, complaint):
    folder, source, *_ = run
    image = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(4, 8, 8)(image)
    other = keras.Model(image, [keras.layers.Conv2D(count, 1)(x) for count in channels])
    pixels = np.random.RandomState(0).randint(0, 256, (4, SIZE, SIZE, 3)).astype("uint8")
    flatbuffer = convert(post_training_quantize(other, [pixels]))
    with pytest.raises(UserError, match=f"the flatbuffer .*{complaint}"):
        compare(folder, flatbuffer, source=source)


@pytest.mark.slow
def test_bad_annotations_are_told_and_left_out_of_all_steps(run):
    _, source, result, printed = run
    assert all(f"tiny, {split}: {n} examples; 5 of" in printed for split, n in SPLITS.items())
    assert all(np.isfinite(row["loss"]) for row in result.history)
    examples = DETECTION.examples(source, "train", CONFIG)
    assert "5 of" in examples.problems and "train[1] object 0" in examples.summary()


def test_bad_annotations_are_refused_on_demand(tmp_path):
    source = make_source({"train": 4}, spoiled)
    strict = replace(CONFIG, on_bad_annotation="error", batch_size=2, hold_out=2, test_split="")
    with pytest.raises(UserError, match=r"train\[1\] object 0"):
        train(DETECTION, tiny_detector(), source, strict, tmp_path / "strict")
    assert not (tmp_path / "strict").exists()
