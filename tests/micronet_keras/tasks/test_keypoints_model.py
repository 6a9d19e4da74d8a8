"""The heatmap model: shapes, counts, files, and the way through training to int8 on TFLM."""

import dataclasses

import keras
import numpy as np
import pytest
from stick_figures import figures, tiny_backbone

from micronet_keras.keypoints import (
    HEADS,
    HeadConfig,
    KeypointConfig,
    KeypointModel,
    MobileNetV3SmallKeypoints,
    compare_keypoints,
    draw_predictions,
    quantize_keypoints,
    train_keypoints,
)
from micronet_keras.models import MicroNetM0, MicroNetM3, count_madds
from micronet_keras.quantize import QuantizeConfig, convert
from micronet_keras.train.loop import make_repeatable
from micronet_mcu.errors import UserError
from micronet_mcu.tflite import read_model

HEAD = HeadConfig(
    widths=(32, 24, 24, 24), groups=(4, 4, 4, 4), branches=(0, 2, 0, 0), kernel_size=3
)


def tiny_model(shape=(64, 64, 3)):
    return KeypointModel(tiny_backbone(shape), HEAD)


def test_a_model_gives_one_map_for_each_keypoint_and_reloads(tmp_path):
    model = tiny_model((96, 64, 3))
    assert model.output_shape == (None, 24, 16, 17)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    crops = np.random.RandomState(0).standard_normal((2, 96, 64, 3)).astype("float32")
    np.testing.assert_array_equal(model(crops), again(crops))
    bare = KeypointModel(
        tiny_backbone(), dataclasses.replace(HEAD, skips=False, blocks=(1, 2, 1, 1)), keypoints=3
    )
    assert bare.output_shape == (None, 16, 16, 3)
    assert not [layer for layer in bare.layers if isinstance(layer, keras.layers.Add)]


def test_m3_has_the_paper_s_count_and_the_baseline_four_times_as_many():
    """163.2M against 726.9M multiply-adds at 256 x 192."""
    backbone = MicroNetM3(input_shape=(256, 192, 3), include_top=False)
    ours = count_madds(KeypointModel(backbone, HEADS["m3"])).total
    baseline = count_madds(MobileNetV3SmallKeypoints()).total
    assert ours == pytest.approx(163.2e6, rel=0.01)
    assert baseline == pytest.approx(726.9e6, rel=0.01)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="multiples of 32. Received"):
        KeypointModel(tiny_backbone((64, 72, 3)), HEAD)
    with pytest.raises(ValueError, match="multiples of 32. Received"):
        MobileNetV3SmallKeypoints((100, 96, 3))
    with pytest.raises(ValueError, match="include_top=False .*Received"):
        KeypointModel(MicroNetM0(input_shape=(64, 64, 3), classes=3), HEAD)
    for changes in ({"widths": (8, 8, 8)}, {"blocks": (1, 1, 0, 1)}, {"groups": (4, 4, 4, 5)},
                    {"widths": (15, 8, 8, 8), "groups": (5, 4, 4, 4)}):  # fmt: skip
        with pytest.raises(ValueError, match="Received"):
            dataclasses.replace(HEAD, **changes)


@pytest.mark.slow
def test_training_to_int8_on_tflm(tmp_path):
    """A tiny model learns, quantizes, and finds the same keypoints on TFLM as in float."""
    config = KeypointConfig(
        image_size=64, image_width=64, batch_size=8, epochs=5, learning_rate=0.02, sigma=1.5,
        rotation=15.0, zoom=0.1, half_body=0.0, flip_test=False, validation_split="test",
    )  # fmt: skip
    make_repeatable(config)
    source = figures(train=96, test=16)
    model = tiny_model()
    history, summary, trained = train_keypoints(model, source, config, tmp_path / "run")
    assert trained and history[-1]["loss"] < history[0]["loss"] < 1.2
    assert summary["test_people"] == 16 and 0 <= summary["test_ap"] <= 1
    for picture in ("predictions.png", "curve.png"):
        assert (tmp_path / "run" / picture).stat().st_size > 10_000
    again = train_keypoints(model, source, config, tmp_path / "run")
    assert not again.trained and again.summary == summary

    settings = QuantizeConfig(epochs=1, batch_size=8, learning_rate=1e-3, calibration_images=32)
    quantized = quantize_keypoints(
        model, source, settings, tmp_path / "backup", verbose=0, recipe=config
    )
    assert quantized.class_names[0] == "nose" and quantized.sample.shape == (64, 64, 3)
    without = dataclasses.replace(settings, epochs=0)
    plain = quantize_keypoints(model, source, without, tmp_path / "unused", recipe=config)
    assert plain.ranges.keys() == quantized.ranges.keys()
    assert not (tmp_path / "backup").exists() and not (tmp_path / "unused").exists()

    flatbuffer = convert(quantized)
    names = {operator.name for operator in read_model(flatbuffer).operators}
    assert names <= {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "AVERAGE_POOL_2D",
                     "ADD", "MUL", "MAXIMUM", "GATHER", "RESIZE_BILINEAR"}  # fmt: skip
    result = compare_keypoints(model, flatbuffer, source)
    errors = [result.summary[f"{form}_error_cells"] for form in ("float", "int8")]
    assert errors[1] < errors[0] + 0.5
    assert result.summary["flash_bytes"] == len(flatbuffer) and result.summary["people"] == 16
    draw_predictions(result.int8_predictions, tmp_path / "int8.png", people=5, title="int8")
    assert (tmp_path / "int8.png").stat().st_size > 10_000
    flipped = compare_keypoints(model, flatbuffer, source, limit=8, flip_test=True).summary
    assert flipped["int8_error_cells"] < flipped["float_error_cells"] + 0.5
    other = KeypointModel(tiny_backbone((96, 64, 3)), HEAD)
    with pytest.raises(UserError, match="both must be one model with 17 heatmaps"):
        compare_keypoints(other, flatbuffer, source)


def test_training_refuses_a_model_for_other_crops(tmp_path):
    config = KeypointConfig(image_size=96, image_width=64, batch_size=2, epochs=1, warmup_epochs=0)
    with pytest.raises(ValueError, match="crops .* Received"):
        train_keypoints(tiny_model(), figures(train=2), config, tmp_path)
    small = dataclasses.replace(config, image_size=64, validation_split="train", test_split="")
    with pytest.raises(UserError, match="fewer than a batch of 5"):
        train_keypoints(
            tiny_model(), figures(train=2), dataclasses.replace(small, batch_size=5), tmp_path
        )
    elsewhere = dataclasses.replace(small, validation_split="elsewhere", hold_out=0)
    with pytest.raises(UserError, match="no split 'elsewhere'"):
        train_keypoints(tiny_model(), figures(train=2), elsewhere, tmp_path)
