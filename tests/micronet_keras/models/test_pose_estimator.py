"""The pose estimator: shapes, counts, files, decoded answers, and wrong arguments."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from stick_figures import tiny_backbone

from micronet_keras.benchmark.keypoint_baseline import MobileNetV3SmallKeypoints
from micronet_keras.models import (
    MicroNetM0,
    MicroNetM3,
    MicroNetPoseEstimator,
    PoseHead,
    count_madds,
)

HEAD = PoseHead(widths=(32, 24, 24, 24), groups=(4, 4, 4, 4), branches=(0, 2, 0, 0), kernel_size=3)


@pytest.mark.slow
def test_it_gives_one_map_for_each_keypoint_and_loads_again_exactly(tmp_path):
    model = MicroNetPoseEstimator(tiny_backbone((96, 64, 3)), HEAD)
    assert model.output_shape == (None, 24, 16, 17) and model.keypoints == 17
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    crops = np.random.RandomState(0).standard_normal((2, 96, 64, 3)).astype("float32")
    np.testing.assert_array_equal(model(crops), again(crops))
    assert json.dumps(again.get_config()) == json.dumps(model.get_config())
    bare = MicroNetPoseEstimator(
        tiny_backbone(), dataclasses.replace(HEAD, skips=False, blocks=(1, 2, 1, 1)), keypoints=3
    )
    assert bare.output_shape == (None, 16, 16, 3)
    assert not [layer for layer in bare.layers if isinstance(layer, keras.layers.Add)]


@pytest.mark.slow
def test_predictions_are_in_pixels_of_the_crop():
    model = MicroNetPoseEstimator(tiny_backbone((64, 32, 3)), HEAD, keypoints=2)
    crops = np.random.RandomState(0).standard_normal((3, 64, 32, 3)).astype("float32")
    maps = keras.ops.convert_to_numpy(model(crops))
    found = model.predict(crops, verbose=0)
    assert found.shape == (3, 2, 3) and found.dtype == np.float32
    for one, image in zip(found, maps, strict=True):
        for (x, y, score), heatmap in zip(one, np.moveaxis(image, -1, 0), strict=True):
            row, column = np.unravel_index(heatmap.argmax(), heatmap.shape)
            # The centre of the highest cell, or half a cell from it.
            assert abs(x - 4 * (column + 0.5)) <= 2 and abs(y - 4 * (row + 0.5)) <= 2
            assert score == pytest.approx(heatmap.max(), abs=1e-5)


@pytest.mark.slow
def test_m3_has_the_paper_s_count_and_the_baseline_four_times_as_many():
    """163.2M against 726.9M multiply-adds at 256 x 192."""
    backbone = MicroNetM3(input_shape=(256, 192, 3), include_top=False)
    ours = count_madds(MicroNetPoseEstimator(backbone, "m3")).total
    baseline = count_madds(MobileNetV3SmallKeypoints()).total
    assert ours == pytest.approx(163.2e6, rel=0.01)
    assert baseline == pytest.approx(726.9e6, rel=0.01)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="multiples of 32. Received"):
        MicroNetPoseEstimator(tiny_backbone((64, 72, 3)), HEAD)
    with pytest.raises(ValueError, match="multiples of 32. Received"):
        MobileNetV3SmallKeypoints((100, 96, 3))
    with pytest.raises(ValueError, match="include_top=False .*Received"):
        MicroNetPoseEstimator(MicroNetM0(input_shape=(64, 64, 3), classes=3), HEAD)
    with pytest.raises(ValueError, match="one of .*'m3'.* Received: 'm4'"):
        MicroNetPoseEstimator(tiny_backbone(), "m4")
    with pytest.raises(ValueError, match="keypoints.* Received"):
        MicroNetPoseEstimator(tiny_backbone(), HEAD, keypoints=0)
    for changes in (
        {"widths": (8, 8, 8)},
        {"blocks": (1, 1, 0, 1)},
        {"groups": (4, 4, 4, 5)},
        {"widths": (15, 8, 8, 8), "groups": (5, 4, 4, 4)},
        {"multipliers": (1,)},
    ):
        with pytest.raises(ValueError, match="Received"):
            dataclasses.replace(HEAD, **changes)
