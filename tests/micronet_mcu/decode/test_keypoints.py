"""Heatmaps to coordinates: unbiased in float, and the same integers in numpy and in C."""

import re
import subprocess

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from paths import DATA, TFLM

from micronet_keras.losses import gaussians
from micronet_mcu.decode.keypoints import LOG_TABLE, STEPS, decode, decode_int8

C_CODE = TFLM / "keypoints"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Runs the C code, with sanitizers, on int8 heatmaps [h, w, k] and their zero points."""
    program = tmp_path_factory.mktemp("decode") / "decode"
    sources = [C_CODE / "micronet_keypoints.c", DATA / "keypoints/decode_main.c"]
    command = ["gcc", "-std=c99", "-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror", "-O1",
               "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
               f"-I{C_CODE}", *map(str, sources), "-o", str(program)]  # fmt: skip
    subprocess.run(command, check=True)

    def run(cases):
        data = b"".join(
            np.array([*maps.shape, zero], "<i4").tobytes() + maps.tobytes() for maps, zero in cases
        )
        done = subprocess.run([program], input=data, capture_output=True, check=True)
        found, results = np.frombuffer(done.stdout, "<i4").reshape(-1, 3), []
        for maps, _ in cases:
            results.append(found[: maps.shape[2]])
            found = found[maps.shape[2] :]
        assert len(found) == 0
        return results

    return run


def blobs(points, size, sigma):
    """Gaussians at points [n, k, 2], as float heatmaps."""
    return np.asarray(gaussians(np.asarray(points, "float32"), size, sigma))


@hypothesis.given(
    x=st.floats(2, 14), y=st.floats(2, 10), sigma=st.floats(1, 2.5), height=st.floats(0.2, 2)
)
@hypothesis.settings(max_examples=50)
def test_the_centre_of_a_gaussian_is_found_exactly(x, y, sigma, height):
    heatmaps = height * blobs([[[x, y]]], (12, 16), sigma)
    # Between two cells of one value either may be the largest, by the last bit.
    assert np.abs(decode(heatmaps)[0, 0, :2] - (x, y)).max() < 2e-3


def test_int8_is_near_to_float():
    random = np.random.RandomState(0)
    points = random.uniform(2, 22, (20, 17, 2))
    heatmaps = 0.9 * blobs(points, (32, 24), 1.5)
    scale, zero = 1 / 255, -128
    quantized = np.clip(np.round(heatmaps / scale) + zero, -128, 127).astype("int8")
    found = decode_int8(quantized, zero)
    assert np.abs(found[..., :2] / STEPS - points).max() < 0.05
    assert np.abs(found[..., 2] * scale - decode(heatmaps)[..., 2]).max() < scale


def test_borders_and_flat_maps():
    flat = decode_int8(np.full((1, 3, 5, 2), 7, "int8"), -3)
    assert flat.tolist() == [[[128, 128, 10]] * 2]
    corner = np.zeros((1, 4, 4, 1), "int8")
    corner[0, 3, 3, 0], corner[0, 3, 2, 0] = 100, 90
    assert decode_int8(corner, 0).tolist() == [[[3 * 256 + 128, 3 * 256 + 128, 100]]]
    single = decode_int8(np.full((2, 1, 1, 1), -128, "int8"), 127)
    assert single.tolist() == [[[128, 128, -255]]] * 2


def test_wrong_heatmaps_are_refused():
    for heatmaps in (np.zeros((1, 4, 4, 1)), np.zeros((4, 4, 1), "int8"),
                     np.zeros((1, 0, 4, 1), "int8")):  # fmt: skip
        with pytest.raises(ValueError, match="Received"):
            decode_int8(heatmaps, 0)


def test_the_table_of_logarithms_is_the_same_in_c():
    code = (C_CODE / "micronet_keypoints.c").read_text()
    table = re.search(r"log_of\[1021\] = \{(.*?)\}", code, re.S)[1]
    assert [int(number) for number in table.replace(",", " ").split()] == LOG_TABLE.tolist()


def test_c_finds_the_same(compiled):
    random = np.random.RandomState(1)
    cases = []
    for _ in range(600):
        shape = tuple(random.randint(1, 9, 3))
        low, high = sorted(random.randint(-128, 128, 2))
        maps = random.randint(low, high + 1, shape).astype("int8")
        cases.append((maps, int(random.choice([-128, 127, 0, random.randint(-128, 128)]))))
    for _ in range(40):
        points = random.uniform(-1, 13, (1, 17, 2))
        maps = 255 * random.uniform(0.1, 1) * blobs(points, (12, 12), random.uniform(0.5, 4))[0]
        maps = maps + random.normal(0, random.choice([0, 5]), maps.shape)
        cases.append((np.clip(maps - 128, -128, 127).round().astype("int8"), -128))
    for (maps, zero), found in zip(cases, compiled(cases), strict=True):
        assert found.tolist() == decode_int8(maps[None], zero)[0].tolist()
