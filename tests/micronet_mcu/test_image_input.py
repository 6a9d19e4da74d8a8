"""What numbers in an image mean to a flatbuffer, by its input's name, scale and zero point."""

import numpy as np
import pytest
from tiny_tflite import TinyModel

from micronet_mcu.errors import Doubt, UserError
from micronet_mcu.image_input import PIXELS, VALUES, ImageInput
from micronet_mcu.tflite.model import Tensor
from micronet_mcu.to_c.host_runner import HostRunner
from micronet_mcu.to_tflm import Interpreter


def image_input(name, scale=1 / 128, zero_point=0, dtype="int8"):
    scales = np.array([scale], np.float32)
    return ImageInput(
        Tensor(0, name, (1, 1, 3, 1), np.dtype(dtype), scales, np.array([zero_point]), 0, None)
    )


def stored(given, values, dtype):
    return given.stored(np.array(values, dtype).reshape(1, 1, -1, 1)).ravel().tolist()


PIXEL_VALUES = ([0, 116, 255], [-128, -12, 127])


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float16"])
def test_pixels_are_pixels_in_every_type(dtype):
    given = image_input(PIXELS, 0.0174, -12)
    assert stored(given, PIXEL_VALUES[0], dtype) == PIXEL_VALUES[1]
    assert given.describe() == "1 x 3 x 1 pixels, 0 to 255, stored as pixel - 128"


@pytest.mark.parametrize(
    ("values", "dtype", "scale", "zero_point", "expected"),
    [
        ([0, 0.5, 1], "float32", 1 / 256, -128, [-128, 0, 127]),
        ([20, 100, 150], "uint8", 150 / 255, -128, [-94, 42, 127]),
        ([-1, 0, 1.01], "float64", 2 / 256, 0, [-128, 0, 127]),
    ],
)
def test_values_are_divided_by_the_scale(values, dtype, scale, zero_point, expected):
    given = image_input(VALUES, scale, zero_point)
    assert stored(given, values, dtype) == expected
    assert "values" in given.describe() and "stored as value / " in given.describe()


def test_in_other_files_whole_numbers_are_pixels_and_floats_values():
    given = image_input("input_1", 1 / 128, 0)
    assert stored(given, PIXEL_VALUES[0], "uint8") == PIXEL_VALUES[1]
    assert stored(given, [-1, 0, 0.5], "float32") == [-128, 0, 64]
    assert stored(image_input("x", 1.0, 0, "uint8"), [0, 1, 255], "int32") == [0, 1, 255]


def test_the_tensors_own_type_is_stored_as_it_is():
    for name in (PIXELS, VALUES, "other"):
        assert stored(image_input(name, 0.1, 5), [-128, 5, 7], "int8") == [-128, 5, 7]
    assert stored(image_input("x", dtype="float32"), [0.25, -7, 300], "float64") == [0.25, -7, 300]


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        (PIXELS, [-2.1, 0, 2.6], "no pixels: they go down to -2.1, as of preprocess_input"),
        (PIXELS, [-128, 0, 127], "no pixels: they go down to -128, .* or of pixel - 128"),
        (PIXELS, [0, 0.5, 1], "no pixels: they are at most 1, .* divided by 255"),
        (PIXELS, [0, 300, 65535], "no pixels: they go up to 6.554e"),
        (PIXELS, [0, np.nan, 1], "NaN or infinity"),
        (VALUES, [0, 100, 255], "from 0 to 255, the model's input from -1 to 0.9922; give what"),
        ("other", [0, 100, 255.5], "from 0 to 255.5, the model's input"),
    ],
)
def test_numbers_of_another_unit_are_refused(name, values, message):
    with pytest.raises(UserError, match=message):
        stored(image_input(name), values, "float32")


def test_what_is_a_little_outside_is_clipped():
    assert stored(image_input(PIXELS), [-9.5, 128, 260.2], "float32") == [-128, 0, 127]
    assert stored(image_input(PIXELS), [0, 1, 2], "float32") == [-128, -127, -126]
    with pytest.warns(Doubt, match="from 0 to 2, the model's input from -1 to 0.9922: clipped"):
        assert stored(image_input(VALUES), [0, 0.5, 2], "float32") == [0, 64, 127]


def flatbuffer(dtype, **quantization):
    model = TinyModel(0)
    x = model.input((1, 4, 4, 3), dtype=dtype, **quantization)
    if dtype != np.int8:
        x = model.convert(x, 1 / 128, 0)
    y = model.dense(model.pool(model.conv(x, 4)), 3, gain=8)
    return model.build(y)


@pytest.mark.parametrize("run", [Interpreter, HostRunner])
@pytest.mark.parametrize(
    ("dtype", "quantization", "floats"),
    [
        (np.int8, {"scale": 1 / 128, "zero_point": 0}, lambda p: (p - 128.0) / 128),
        (np.uint8, {"scale": 1 / 128, "zero_point": 128}, lambda p: (p - 128.0) / 128),
    ],
    ids=["int8", "uint8"],
)
def test_runners_take_pixels_values_and_what_is_stored(run, dtype, quantization, floats):
    runner = run(flatbuffer(dtype, **quantization))
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3)).astype(np.uint8)
    expected = runner.predict(pixels)
    assert expected.shape == (5, 3) and np.ptp(expected, axis=0).max() > 0
    own = pixels if dtype == np.uint8 else (pixels.astype(int) - 128).astype(np.int8)
    for same in (floats(pixels), own, [(pixels, np.zeros(5))], lambda: ([p[None]] for p in pixels)):
        np.testing.assert_array_equal(runner.predict(same), expected)
    with pytest.raises(UserError, match="a batch of images is empty"):
        runner.predict(pixels[:0])


@pytest.mark.parametrize("run", [Interpreter, HostRunner])
def test_models_of_two_inputs_are_refused(run):
    model = TinyModel(0)
    both = model.binary("ADD", model.input((1, 4, 4, 3)), model.input((1, 4, 4, 3)))
    with pytest.raises(UserError, match=r"takes 2 inputs \('t0', 't1'\); give a model of one"):
        run(model.build(both))
