"""Names come from files that nobody vouches for; in the generated C they are only comments."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_tflite import TinyModel

from micronet_mcu.csource import comment_text
from micronet_mcu.tflite.rewrite import pack, unpack
from micronet_mcu.to_c import compile_model
from micronet_mcu.to_c.host_runner import HostRunner

HOSTILE = [
    "x */ ESCAPED; /*",
    "x *\\\n/ ESCAPED; /*",
    "*/ESCAPED",
    "*??/\n/ ESCAPED;",
    "/*/*/ ESCAPED",
]


def named(name):
    m = TinyModel()
    y = m.conv(m.input((1, 6, 6, 3)), 4, (3, 3), activation="RELU6")
    model = unpack(m.build(m.dense(m.pool(y), 3, gain=8)))
    for tensor in model.subgraphs[0].tensors:
        tensor.name = name.encode()
    return pack(model)


@given(st.text())
def test_no_text_ends_or_opens_a_comment(text):
    safe = comment_text(text)
    assert not {"*", "\\", "?", "\n", "\r"} & set(safe)
    assert len(safe) == len(text)


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_not_compiled(tmp_path, name):
    image = np.zeros((1, 6, 6, 3), np.uint8)
    expected = HostRunner(named("plain")).predict(image)
    np.testing.assert_array_equal(HostRunner(named(name)).predict(image), expected)
    compile_model(named(name), tmp_path / "c")
    for file in (tmp_path / "c").glob("model*"):
        text = file.read_text(encoding="utf-8")
        code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        # A part of a name perhaps, as in AT(ESCAPED), but no statement.
        assert not re.search(r"\bESCAPED\s*;", code)
        assert text.count("/*") == text.count("*/")
