"""A pose estimator on its way from training to int8 on TFLM, and what it refuses."""

import keras
import numpy as np
import pytest
from stick_figures import figure_record, figures, source_of, tiny_backbone
from tiny_tasks import HEAD

from micronet_keras.compare import compare
from micronet_keras.models import MicroNetPoseEstimator
from micronet_keras.quantize import QuantizeConfig, convert, post_training_quantize, quantize
from micronet_keras.tasks import KEYPOINTS, KeypointConfig, TrainConfig, replace
from micronet_keras.tasks.keypoints.skeleton import COCO_PERSON
from micronet_keras.train import make_repeatable, train
from micronet_mcu import read_model
from micronet_mcu.errors import UserError

CONFIG = KeypointConfig(
    training=TrainConfig(
        image_size=64, batch_size=8, epochs=5, learning_rate=0.02, validation_split="test"
    ),
    sigma=1.5,
    rotation=15.0,
    zoom=0.1,
    half_body=0.0,
)


def tiny_estimator(shape=(64, 64, 3)):
    return MicroNetPoseEstimator(tiny_backbone(shape), HEAD)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(folder, source, result)"""
    folder, source = tmp_path_factory.mktemp("keypoints") / "run", figures(train=96, test=16)
    make_repeatable(CONFIG.training)
    return folder, source, train(KEYPOINTS, tiny_estimator(), source, CONFIG, folder)


@pytest.fixture(scope="module")
def flatbuffer(run):
    settings = QuantizeConfig(epochs=0, batch_size=8, calibration_images=32)
    quantized = quantize(run[0], settings, source=run[1])
    assert quantized.class_names[0] == "nose"
    return convert(quantized)


@pytest.mark.slow
def test_training_brings_the_loss_down(run):
    history, summary = run[2].history, run[2].summary
    assert history[-1]["loss"] < history[0]["loss"] < 1.2
    assert 0 <= summary["test_AP"] <= summary["test_AP50"] <= 1 and 0 < summary["test_OKS"] < 1
    for picture in ("predictions.png", "curve.png"):
        assert (run[0] / picture).stat().st_size > 10_000


@pytest.mark.slow
def test_int8_finds_the_same_keypoints_on_tflm(run, flatbuffer, tmp_path):
    folder, source, result = run
    names = {operator.name for operator in read_model(flatbuffer).operators}
    assert names <= {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "AVERAGE_POOL_2D",
                     "ADD", "MUL", "MAXIMUM", "GATHER", "RESIZE_BILINEAR"}  # fmt: skip
    found = compare(folder, flatbuffer, source=source)
    assert found.summary["float_error_cells"] == result.summary["test_error_cells"]
    assert found.summary["int8_error_cells"] < found.summary["float_error_cells"] + 0.5
    found.measured["int8"].draw(tmp_path / "int8.png", "int8")
    assert (tmp_path / "int8.png").stat().st_size > 10_000


@pytest.mark.slow
def test_int8_of_another_size_is_refused(run):
    crop = keras.Input((96, 64, 3))
    other = keras.Model(crop, keras.layers.Conv2D(17, 4, 4)(crop))
    pixels = np.random.RandomState(0).randint(0, 256, (4, 96, 64, 3)).astype("uint8")
    wrong = convert(post_training_quantize(other, [pixels]))
    with pytest.raises(UserError, match=r"flatbuffer .* shape \(64, 64, 3\). Received: \(96,"):
        compare(run[0], wrong, source=run[1])


@pytest.mark.slow
def test_flip_test_is_the_mean_with_the_mirrored_crop(run, flatbuffer):
    """By hand: heatmaps of the crop, and those of its mirror, mirrored back, left for right."""
    model = tiny_estimator()
    model.load_weights(run[0] / "best.keras")
    crops = np.random.RandomState(0).randint(0, 256, (3, 64, 64, 3)).astype("uint8")
    flipped = replace(CONFIG, flip_test=True)
    swapped = list(COCO_PERSON.mirrored)
    once = KEYPOINTS.predictor(model, flipped)(crops)
    mirrored = KEYPOINTS.predictor(model, flipped)(np.ascontiguousarray(crops[:, :, ::-1]))
    np.testing.assert_allclose(mirrored[:, swapped, 1:], once[..., 1:], atol=1e-3)
    np.testing.assert_allclose(16 - mirrored[:, swapped, 0], once[..., 0], atol=1e-3)
    plain = KEYPOINTS.predictor(model, CONFIG)(crops)
    assert np.abs(plain - once).max() > 0.01


@pytest.mark.slow
def test_models_for_other_crops_are_refused(tmp_path):
    estimator = tiny_estimator()
    config = replace(CONFIG, image_size=96, image_width=64, batch_size=2, epochs=1)
    with pytest.raises(UserError, match=r"shape \(96, 64, 3\). Received: \(64, 64, 3\)"):
        train(KEYPOINTS, estimator, figures(train=2), config, tmp_path)
    small = replace(CONFIG, batch_size=2, epochs=1, validation_split="train", test_split="")
    fewer = MicroNetPoseEstimator(tiny_backbone(), HEAD, keypoints=3)
    with pytest.raises(UserError, match="heatmaps of .16, 16, 17.. Received: .*16, 16, 3"):
        train(KEYPOINTS, fewer, figures(train=2), small, tmp_path)
    with pytest.raises(UserError, match="2 examples: fewer than the 5 of one batch"):
        train(KEYPOINTS, estimator, figures(train=2), replace(small, batch_size=5), tmp_path)
    elsewhere = replace(small, validation_split="elsewhere", hold_out=0)
    with pytest.raises(UserError, match="no split 'elsewhere'"):
        train(KEYPOINTS, estimator, figures(train=2), elsewhere, tmp_path)
    assert not list(tmp_path.iterdir())


def test_people_that_make_no_sense_are_told_and_left_out(tmp_path):
    wrong = figure_record("train", 1)
    wrong["objects"] = wrong["objects"] | {"area": np.array([0])}
    source = source_of({"train": [figure_record("train", 0), wrong, figure_record("train", 2)]})
    people = KEYPOINTS.examples(source, "train", CONFIG)
    assert len(people) == 2
    assert people.summary() == (
        "figures, train: 2 examples; 1 bad record(s) skipped: train[1] object 0: the area is 0"
    )
    with pytest.raises(UserError, match=r"train\[1\] object 0"):
        KEYPOINTS.examples(source, "train", replace(CONFIG, on_bad_annotation="error"))
