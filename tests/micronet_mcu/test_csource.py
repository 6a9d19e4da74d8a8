"""How values are written in C: whatever they are, the compiler reads them back."""

import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from micronet_mcu import csource
from micronet_mcu.errors import UserError

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def c_output(folder, lines):
    (folder / "main.c").write_text(
        "#include <stdint.h>\n#include <stdio.h>\n" + "\n".join(lines), encoding="utf-8"
    )
    command = [
        "gcc",
        "-std=c99",
        "-trigraphs",
        "-Wall",
        "-Wextra",
        "-Werror",
        "main.c",
        "-o",
        "main",
    ]
    subprocess.run(command, cwd=folder, check=True, timeout=60)
    return subprocess.run([folder / "main"], capture_output=True, check=True).stdout


@pytest.mark.slow
@settings(max_examples=15)
@given(texts=st.lists(TEXTS.filter(lambda text: "\0" not in text), min_size=1, max_size=20))
def test_strings(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("strings")
    body = [f"  puts({csource.string(text.replace(chr(10), '?'))});" for text in texts]
    found = c_output(folder, ["int main(void) {", *body, "  return 0;", "}", ""])
    assert found == "".join(f"{text.replace(chr(10), '?')}\n" for text in texts).encode()


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_floats_are_exact_in_single_precision(value):
    text = csource.floating(value)
    assert text.endswith("f") and ("." in text or "e" in text)
    assert np.float32(text[:-1]) == np.float32(value)


def test_integers_and_arrays(tmp_path):
    values = np.array([-(2**31), 2**31 - 1, 0, -1])
    lines = [
        csource.array("static const int32_t values[4]", values),
        "int main(void) {",
        '  for (int i = 0; i < 4; ++i) printf("%d ", (int)values[i]);',
        f"  return {csource.signed(-3)} + 3;",
        "}\n",
    ]
    assert c_output(tmp_path, lines).split() == [str(v).encode() for v in values]


@pytest.mark.slow
@settings(max_examples=15)
@given(texts=st.lists(TEXTS, min_size=1, max_size=20))
def test_comments_end_where_they_should(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("comments")
    lines = [
        line for text in [*texts, "*/ int x; /*", "??/", "\\"] for line in csource.comment(text)
    ]
    assert all(len(line) <= csource.LINE for line in lines)
    c_output(folder, [*lines, "int main(void) { return 0; }", ""])


@given(st.lists(TEXTS, max_size=12))
def test_identifiers_are_unique_and_c(texts):
    names = csource.unique_identifiers(texts, ["input"])
    assert len({*names, "input"}) == len(texts) + 1
    for name in names:
        assert csource.check_prefix(name) == name == name.lower()


@pytest.mark.parametrize("name", ["", "9 lives", "a-b", "_x", "ä", "a\n"])
def test_what_is_no_prefix_is_refused(name):
    with pytest.raises(UserError, match="must be a C identifier"):
        csource.check_prefix(name)
