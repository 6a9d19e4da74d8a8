"""Models that keep something from run to run, as streaming ones do, against TF Lite Micro."""

import numpy as np
import plan_runner
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tflite_micro import runtime
from tiny_tflite import TinyModel

from micronet_mcu.errors import UserError
from micronet_mcu.graph.read import read_model
from micronet_mcu.to_c import compile_model
from micronet_mcu.to_c.host_runner import HostRunner
from micronet_mcu.to_tflm.op_resolver import op_resolver_header


def streaming(rows, width, initial, again=False, seed=0):
    """The last rows of its inputs, and a dense layer on them; `again` reads the variable twice."""
    m = TinyModel(seed)
    x = m.input((1, 1, width))
    scale, zero = m.scale(x), m.zero_point(x)
    handle, before = m.variable("rows", initial, scale, zero)
    whole = m.made("CONCATENATION", [before, x], (1, rows + 1, width), axis=1)
    ends = [m.integers(0, 1, 0), m.integers(1, rows + 1, width), m.integers(1, 1, 1)]
    after = m.made("STRIDED_SLICE", [whole, *ends], (1, rows, width))
    m.assign(handle, after)
    seen = m.read(handle, (1, rows, width), scale, zero) if again else whole
    count = (rows + (not again)) * width
    return m.build(m.dense(m.reshape(seen, (1, count)), 3))


def on_tflm(flatbuffer, several):
    interpreter = runtime.Interpreter.from_bytes(flatbuffer, arena_size=1 << 20)
    found = []
    for inputs in several:
        interpreter.set_input(inputs[0], 0)
        interpreter.invoke()
        found.append(interpreter.get_output(0).copy())
    return found


@settings(max_examples=15)
@given(
    st.integers(1, 4), st.integers(1, 6), st.booleans(), st.booleans(), st.integers(0, 2**32 - 1)
)
def test_every_run_begins_with_what_the_last_one_left(rows, width, again, even, seed):
    rng = np.random.default_rng(seed)
    initial = rng.integers(-128, 128, (1, rows, width)).astype(np.int8)
    if even:
        initial[:] = -7
    raw = streaming(rows, width, initial, again, seed)
    several = [[rng.integers(-128, 128, (1, 1, width)).astype(np.int8)] for _ in range(rows + 3)]
    found = [outputs[0] for outputs in plan_runner.run_one_after_the_other(raw, several)]
    np.testing.assert_array_equal(found, on_tflm(raw, several))


def test_compiled_code_keeps_and_resets(tmp_path):
    raw = streaming(2, 4, np.arange(8, dtype=np.int8).reshape(1, 2, 4))
    compiled = compile_model(raw, tmp_path / "c")
    assert compiled.program.kept_bytes == 8
    assert "void model_reset(void);" in (tmp_path / "c" / "model.h").read_text()
    rng = np.random.default_rng(1)
    several = [[rng.integers(-128, 128, (1, 1, 4)).astype(np.int8)] for _ in range(5)]
    runner = HostRunner(raw)
    found = [runner.invoke_all(inputs[0])[0] for inputs in several]
    runner.close()
    np.testing.assert_array_equal(found, on_tflm(raw, several))


def test_what_cannot_be_kept_is_refused():
    m = TinyModel()
    x = m.input((1, 4))
    handle, before = m.variable("one", np.zeros((1, 5), np.int8), m.scale(x), 0)
    m.assign(handle, m.unary("RELU", x))
    with pytest.raises(UserError, match="variable 'one' changes its type or size"):
        read_model(m.build(m.unary("RELU", before)))
    m = TinyModel()
    _, before = m.variable("one", np.zeros((1, 4), np.int8), 0.1, 0)
    with pytest.raises(UserError, match="variable 'one' is never assigned a new value"):
        read_model(m.build(m.binary("ADD", before, m.input((1, 4)))))


def test_the_firmware_for_tflm_refuses_state():
    with pytest.raises(UserError, match="supported by compiled C only"):
        op_resolver_header(streaming(1, 2, np.zeros((1, 1, 2), np.int8)))
