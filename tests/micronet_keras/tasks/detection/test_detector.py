"""A detector trained for a moment: the files of its run, float against int8 on TFLM, QAT, C."""

import dataclasses
import json
import subprocess

import numpy as np
import pytest
from micronet_keras.detection import (
    DetectionConfig,
    average_precision,
    detector_function,
    evaluate_detector,
    light_detector,
    train_detector,
)
from micronet_keras.detection.int8 import Int8Detector, compare_float_and_int8, quantize_detector
from micronet_keras.detection.metrics import GroundTruth
from paths import TFLM
from PIL import Image
from small_micronet import row
from tiny_detection import SIZE, make_source

from micronet_keras.deploy import deploy
from micronet_keras.lower import lower
from micronet_keras.models import MicroNet, MicroNetConfig, read_keras
from micronet_keras.quantize import QuantizeConfig, convert
from micronet_keras.train import make_repeatable
from micronet_mcu.decode.detection import Detections
from micronet_mcu.errors import UserError

C_CODE = TFLM / "detection"
CONFIG = DetectionConfig(
    image_size=SIZE,
    batch_size=16,
    epochs=5,
    learning_rate=0.1,
    warmup_epochs=1,
    smallest_window=0.9,
    largest_window=1.1,
    class_loss="focal",
)
# Down to stride 32, as small as it can be.
BACKBONE = MicroNetConfig(
    name="tiny",
    rows=(
        row(2, 8, 3, (2, 2), (0, 4, 2, 2), (0, 0, 0)),
        row(2, 12, 3, (2, 2), (0, 4, 2, 2), (0, 2, 0)),
        row(2, 16, 3, (2, 2), (0, 4, 4, 4), (0, 0, 0)),
        row(2, 24, 3, (1, 2), (4, 4, 4, 4), (0, 0, 0)),
        row(1, 48, 3, (1, 2), (4, 4, 0, 0), (0, 0, 0)),
    ),
    stem_groups=(2, 2),
    hidden_units=16,
    dropout_rate=0.0,
)
SPLITS = {"train": 160, "validation": 16, "test": 48}


def tiny_detector(classes=2):
    backbone = MicroNet(BACKBONE, input_shape=(SIZE, SIZE, 3), include_top=False)
    return light_detector(backbone, classes, strides=(8,), width=16, blocks=1)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(model, source, folder, result) of a short training."""
    make_repeatable(dataclasses.replace(CONFIG, deterministic=False))
    folder = tmp_path_factory.mktemp("detector")
    model, source = tiny_detector(), make_source(SPLITS)
    return model, source, folder, train_detector(model, source, CONFIG, folder)


@pytest.fixture(scope="module")
def quantized(run, tmp_path_factory):
    model, source, _, _ = run
    config = QuantizeConfig(epochs=0, batch_size=16, calibration_images=64)
    return quantize_detector(model, source, config, tmp_path_factory.mktemp("qat") / "backup")


@pytest.fixture(scope="module")
def deployed(quantized, tmp_path_factory):
    """(folder with the C files, flatbuffer)."""
    folder = tmp_path_factory.mktemp("deployed")
    return folder, deploy(folder, quantized).flatbuffer


@pytest.mark.slow
def test_training_finds_the_squares(run):
    model, source, folder, result = run
    assert result.trained and result.summary["AP50"] > 0.5
    assert json.loads((folder / "summary.json").read_text()) == result.summary
    for picture in ("detections.png", "curve.png"):
        assert np.asarray(Image.open(folder / picture)).ndim == 3
    best = read_keras(folder / "best.keras")
    figures = evaluate_detector(detector_function(best), source, "test", SIZE)
    assert figures["AP50"] == pytest.approx(result.summary["AP50"])
    assert not train_detector(model, source, CONFIG, folder).trained


@pytest.mark.slow
def test_int8_on_tflm_finds_what_float_finds(run, deployed):
    model, source, _, _ = run
    summary = compare_float_and_int8(model, deployed[1], source).summary
    assert summary["images"] == SPLITS["test"]
    # 48 images and a training of seconds: a twentieth is noise here.
    assert abs(summary["float_AP50"] - summary["int8_AP50"]) < 0.05
    with pytest.raises(UserError, match="numbers of classes differ"):
        compare_float_and_int8(tiny_detector(3), deployed[1], source)


@pytest.mark.slow
def test_quantization_aware_training_of_all_outputs(run, tmp_path):
    model, source, _, _ = run
    config = QuantizeConfig(epochs=1, batch_size=16, calibration_images=32, learning_rate=1e-3)
    # Without validation the last epoch is kept, whether it helped or not.
    config = dataclasses.replace(config, validation_split="")
    quantized = quantize_detector(model, source, config, tmp_path / "backup", verbose=0)
    # A gentle epoch: the weights of every output moved, and none of them far.
    before = lower(model)
    for name in ("p3_scores", "p3_boxes"):
        moved = np.abs(before[name].kernel - quantized.graph[name].kernel).max()
        assert 0 < moved < 0.1
    assert quantized.sample.shape == (SIZE, SIZE, 3)


@pytest.mark.slow
def test_the_deployed_files_compile_together(deployed, tmp_path):
    folder, flatbuffer = deployed
    detector = Int8Detector(flatbuffer)
    shapes = [tuple(tensor.shape) for tensor in detector.interpreter.outputs]
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


def test_outputs_keep_their_order_when_shapes_are_equal(tmp_path):
    # Four classes: scores and boxes have one shape, only the order tells them apart.
    backbone = MicroNet(BACKBONE, input_shape=(32, 32, 3), include_top=False)
    model = light_detector(backbone, 4, strides=(16,), width=8, blocks=0)
    model.get_layer("p4_scores").bias.assign([1.0, 2.0, 3.0, 4.0])
    model.get_layer("p4_boxes").bias.assign([5.0, 6.0, 7.0, 8.0])
    source = make_source({"train": 4}, class_names=list("abcd"))
    config = QuantizeConfig(epochs=0, batch_size=4, calibration_images=4)
    quantized = quantize_detector(
        model, dataclasses.replace(source, name="four"), config, tmp_path / "backup"
    )
    interpreter = Int8Detector(convert(quantized)).interpreter
    outputs = interpreter.invoke_all(interpreter.quantize(np.full((1, 32, 32, 3), 124, np.uint8)))
    for raw, tensor, expected in zip(outputs, interpreter.outputs, (2.5, 6.5), strict=True):
        real = (raw.astype(float) - tensor.zero_point[0]) * tensor.scale[0]
        assert real.mean() == pytest.approx(expected, abs=0.5)


def test_average_precision_by_hand():
    def truth(*boxes, crowd=False):
        boxes = np.array(boxes, float).reshape(-1, 4)
        return GroundTruth(boxes, np.zeros(len(boxes), int), np.full(len(boxes), crowd))

    def found(*boxes):
        boxes = np.array(boxes, float).reshape(-1, 4)
        scores = np.linspace(0.9, 0.5, len(boxes))
        return Detections(boxes, scores, np.zeros(len(boxes), int))

    box, other = (10, 10, 50, 50), (60, 60, 100, 100)
    perfect = average_precision([truth(box, other)], [found(box, other)], 1)
    assert perfect["AP"] == perfect["AP50"] == perfect["AP_medium"] == pytest.approx(1)
    assert perfect["AP_small"] is None and perfect["AP_large"] is None
    # IoU 0.8: right up to the threshold of 0.8, 7 of the 10 from 0.5 to 0.95.
    shifted = average_precision([truth(box)], [found((10, 10, 50, 42))], 1)
    assert shifted["AP50"] == shifted["AP75"] == pytest.approx(1)
    assert shifted["AP"] == pytest.approx(0.7)
    # One of two found: precision 1 up to a recall of one half, 51 of 101 places.
    assert average_precision([truth(box, other)], [found(box)], 1)["AP50"] == pytest.approx(
        51 / 101
    )
    nothing = average_precision([truth(box)], [found()], 1)
    assert nothing["AP50"] == 0 and nothing["AP_large"] is None
    assert average_precision([truth(box, crowd=True)], [found(box)], 1)["AP50"] is None
    with pytest.raises(ValueError, match="Received"):
        average_precision([], [found()], 1)


def test_wrong_settings_are_named():
    for name, value in (
        ("mosaic", 2.0),
        ("box_loss", "l1"),
        ("class_loss", "hinge"),
        ("dropout", 0.1),
        ("label_smoothing", 0.1),
        ("min_scale", 0.5),
        ("image_size", 100),
        ("smallest_window", 0.0),
        ("on_bad_annotation", "ignore"),
        ("box_weight", -1.0),
    ):
        with pytest.raises(ValueError, match=f"{name} must be .* Received: {value!r}"):
            dataclasses.replace(CONFIG, **{name: value})


def test_models_that_do_not_fit_are_refused(tmp_path):
    source = make_source(SPLITS)
    with pytest.raises(ValueError, match="Received: 3 classes"):
        train_detector(tiny_detector(3), source, CONFIG, tmp_path)
    larger = dataclasses.replace(CONFIG, image_size=96)
    with pytest.raises(ValueError, match="shape .96, 96, 3"):
        train_detector(tiny_detector(), source, larger, tmp_path)
    with pytest.raises(UserError, match="no split 'testing'"):
        train_detector(
            tiny_detector(), source, dataclasses.replace(CONFIG, test_split="testing"), tmp_path
        )
