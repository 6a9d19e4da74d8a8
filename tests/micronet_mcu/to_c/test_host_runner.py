"""The compiled form of a model on this machine, beside TensorFlow Lite Micro."""

import numpy as np
import pytest
from tiny_tflite import TinyModel

from micronet_mcu.errors import UserError
from micronet_mcu.to_c.host_runner import HostRunner
from micronet_mcu.to_tflm import Interpreter


@pytest.fixture(scope="module")
def flatbuffer():
    m = TinyModel()
    y = m.conv(m.input((1, 6, 6, 3)), 4, (3, 3), activation="RELU6")
    return m.build(m.dense(m.pool(y), 3, gain=8))


@pytest.mark.slow
def test_it_answers_as_tflm_does(flatbuffer):
    noise = np.random.default_rng(0).integers(0, 40, (5, 6, 6, 3))
    images = (noise + 50 * np.arange(5)[:, None, None, None]).astype(np.uint8)
    compiled, interpreter = HostRunner(flatbuffer), Interpreter(flatbuffer)
    np.testing.assert_array_equal(compiled.predict(images), interpreter.predict(images))
    assert np.ptp(compiled.predict(images)) > 0
    with pytest.raises(UserError, match=r"images of \(6, 6, 3\), these are \(5, 6, 3\)"):
        compiled.predict(images[:, :5])


@pytest.mark.slow
def test_its_process_ends_with_it(flatbuffer):
    compiled = HostRunner(flatbuffer)
    process = compiled._process
    assert process.poll() is None
    compiled.close()
    assert process.poll() == 0
    other = HostRunner(flatbuffer)
    process = other._process
    del other
    assert process.poll() == 0


@pytest.mark.slow
def test_a_program_that_dies_is_noticed(flatbuffer):
    compiled = HostRunner(flatbuffer)
    compiled._process.kill()
    compiled._process.wait()
    with pytest.raises(UserError, match="ended early"):
        compiled.predict(np.zeros((1, 6, 6, 3), np.uint8))
