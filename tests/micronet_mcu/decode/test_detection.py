"""Decoding and suppression: by hand in float; in whole numbers the same from numpy and from C."""

import subprocess
from types import SimpleNamespace

import numpy as np
import pytest
from paths import DATA, TFLM

from micronet_keras.boxes import PointCoder, decode
from micronet_mcu.decode import Int8Decoder, Level, Selection, detector_header, suppress
from micronet_mcu.decode.detection import FULL_SCORE, Int8Level
from micronet_mcu.errors import UserError

C_CODE = TFLM / "detection"
DRIVER = DATA / "detection" / "driver.c"
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror"]


def compile_c(target, *sources, flags=()):
    command = ["gcc", "-std=c99", *WARNINGS, *flags, f"-I{C_CODE}", *map(str, sources)]
    subprocess.run([*command, "-o", str(target)], check=True)
    return target


@pytest.fixture(scope="module")
def in_c(tmp_path_factory):
    """Runs micronet_detect, under sanitizers, on a list of (decoder, outputs)."""
    program = compile_c(
        tmp_path_factory.mktemp("detection") / "driver",
        DRIVER,
        C_CODE / "micronet_detection.c",
        flags=["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
    )

    def run(cases):
        data = b""
        for decoder, outputs in cases:
            selection = decoder.selection
            head = [
                *decoder.image_size,
                decoder.classes,
                len(decoder.levels),
                selection.whole_score,
                selection.whole_overlap,
                selection.max_detections,
                selection.max_candidates,
            ]
            data += np.array(head, "<i4").tobytes()
            pairs = zip(decoder.levels, outputs[::2], outputs[1::2], strict=True)
            for item, scores, boxes in pairs:
                level = item.level
                data += np.array([level.height, level.width, level.stride], "<i4").tobytes()
                data += item.scores.astype("<u2").tobytes() + item.distances.astype("<u2").tobytes()
                data += scores.tobytes() + boxes.tobytes()
        done = subprocess.run([program], input=data, capture_output=True, check=True)
        lines = iter(done.stdout.decode().splitlines())
        return [
            np.array([next(lines).split() for _ in range(int(next(lines)))], np.int64).reshape(
                -1, 6
            )
            for _ in cases
        ]

    return run


def rows(detections):
    """Detections as the C program prints them."""
    columns = [detections.boxes, detections.scores[:, None], detections.labels[:, None]]
    return np.concatenate(columns, axis=1).astype(np.int64)


def tensor(shape, scale, zero_point):
    return SimpleNamespace(shape=shape, scale=np.array([scale]), zero_point=np.array([zero_point]))


def make_decoder(shapes, classes, image_size, selection):
    """A decoder of levels (height, width), score steps of 0.1 and box steps of 0.05."""
    outputs = []
    for height, width in shapes:
        outputs += [
            tensor((1, height, width, classes), 0.1, 20),
            tensor((1, height, width, 4), 0.05, -60),
        ]
    return Int8Decoder(outputs, image_size, selection)


def random_outputs(decoder, random, low=-128, high=127):
    outputs = []
    for item in decoder.levels:
        for channels in (decoder.classes, 4):
            shape = (1, item.level.height, item.level.width, channels)
            outputs.append(random.randint(low, high + 1, shape).astype(np.int8))
    return outputs


def test_suppression_by_hand():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 8], [0, 20, 10, 30]])
    labels = np.array([0, 0, 1, 0])
    # IoU of the first two is 0.8 (205/256); another class and another place stay.
    assert suppress(boxes, labels, 204, 9).tolist() == [0, 2, 3]
    assert suppress(boxes, labels, 205, 9).tolist() == [0, 1, 2, 3]
    assert suppress(boxes, labels, 204, 2).tolist() == [0, 2]
    assert suppress(boxes, labels, 204, 0).tolist() == []
    assert suppress(boxes[:0], labels[:0], 204, 5).tolist() == []


def test_float_decoding_by_hand():
    coder = PointCoder([Level(2, 2, 8)])
    packed = np.full((2, 4, 6), -20.0, "float32")
    packed[..., 2:] = np.log(np.expm1(0.5))  # 4 pixels to every side
    packed[0, 3, 1] = 0.0
    packed[0, 1, 1] = 2.0
    first, second = decode(packed, coder, Selection(), (16, 16))
    np.testing.assert_allclose(first.boxes, [[0, 8, 8, 16], [8, 8, 16, 16]], atol=1e-5)
    np.testing.assert_allclose(first.scores, [1 / (1 + np.exp(-2)), 0.5], rtol=1e-5)
    assert first.labels.tolist() == [1, 1] and len(second) == 0


def test_tables_are_the_rounded_functions():
    decoder = make_decoder([(2, 2)], 3, (16, 16), Selection())
    item = decoder.levels[0]
    # Stored 20 is a logit of 0; stored -60 is a raw distance of 0, softplus of which is log 2.
    assert item.scores[20 + 128] == round(FULL_SCORE / 2)
    assert item.distances[-60 + 128] == round(np.log(2) * 8 * 16)
    assert (np.diff(item.scores.astype(int)) >= 0).all()
    assert (np.diff(item.distances.astype(int)) >= 0).all()


def test_int8_agrees_with_float_on_the_same_numbers():
    selection = Selection(min_score=0.3, max_candidates=400)
    decoder = make_decoder([(4, 4), (2, 2)], 3, (32, 32), selection)
    coder = PointCoder([item.level for item in decoder.levels])
    outputs = random_outputs(decoder, np.random.RandomState(3), -100, 30)
    parts = []
    for scores, boxes in zip(outputs[::2], outputs[1::2], strict=True):
        real = [(scores.astype("f4") - 20) * 0.1, (boxes.astype("f4") + 60) * 0.05]
        parts.append(np.concatenate([r.reshape(1, -1, r.shape[-1]) for r in real], axis=2))
    expected = decode(np.concatenate(parts, axis=1), coder, selection, (32, 32))[0]
    found = decoder(outputs).in_pixels()
    assert len(found) > 5
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1 / 16)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_c_finds_exactly_what_numpy_finds(in_c, seed):
    random = np.random.RandomState(seed)
    cases = []
    for _ in range(60):
        shapes = [tuple(random.randint(1, 9, 2)) for _ in range(random.randint(1, 4))]
        selection = Selection(
            min_score=random.choice([0.0, 0.05, 0.5, 0.99, 1.0]),
            max_overlap=random.choice([0.0, 0.3, 0.6, 1.0]),
            max_candidates=int(random.choice([0, 1, 3, 20, 500])),
            max_detections=int(random.choice([0, 1, 5, 100])),
        )
        size = tuple(int(side) for side in random.choice([1, 64, 100, 4095], 2))
        decoder = make_decoder(shapes, random.randint(1, 6), size, selection)
        if random.rand() < 0.5:
            # Few values: many equal scores and equal boxes.
            outputs = [
                random.choice([-128, 0, 21, 127], array.shape).astype(np.int8)
                for array in random_outputs(decoder, random)
            ]
        else:
            outputs = random_outputs(decoder, random)
        cases.append((decoder, outputs))
    counts = 0
    for (decoder, outputs), found in zip(cases, in_c(cases), strict=True):
        np.testing.assert_array_equal(found, rows(decoder(outputs)))
        assert (found[:, 2:4] > found[:, :2]).all()
        counts += len(found)
    assert counts > 50


def test_extreme_tables_and_values(in_c):
    cases = []
    for distance in (0, 1, FULL_SCORE):
        for score in (0, FULL_SCORE):
            decoder = make_decoder([(3, 5), (2, 2)], 2, (4095, 4095), Selection(0.0, 0.0, 9, 9))
            decoder.levels = [
                Int8Level(
                    item.level, np.full(256, score, np.uint16), np.full(256, distance, np.uint16)
                )
                for item in decoder.levels
            ]
            for value in (-128, 127):
                outputs = random_outputs(decoder, np.random.RandomState(0), value, value)
                cases.append((decoder, outputs))
    results = in_c(cases)
    for (decoder, outputs), found in zip(cases, results, strict=True):
        np.testing.assert_array_equal(found, rows(decoder(outputs)))
    # Boxes without area are never found; boxes as large as the image hide each other.
    assert [len(found) for found in results[:4]] == [0, 0, 0, 0]
    assert all(len(found) == 2 for found in results[8:])


def test_more_boxes_than_fit_keeps_the_best(in_c):
    selection = Selection(min_score=0.0, max_overlap=1.0, max_candidates=7, max_detections=7)
    decoder = make_decoder([(8, 8)], 4, (64, 64), selection)
    outputs = random_outputs(decoder, np.random.RandomState(1), -20, 127)
    found = in_c([(decoder, outputs)])[0]
    table = decoder.levels[0].scores
    best = np.sort(table[outputs[0].ravel().astype(int) + 128])[::-1][:7]
    assert found[:, 4].tolist() == best.tolist()


def test_the_written_header_gives_the_same_detector(in_c, tmp_path):
    decoder = make_decoder([(4, 4), (2, 2)], 3, (32, 32), Selection(0.4, 0.5, 50, 20))
    header = detector_header(decoder, ["cat", "*/ \\ dog", "ü"])
    (tmp_path / "model_detector.h").write_text(header)
    outputs = random_outputs(decoder, np.random.RandomState(5))
    arrays = "\n".join(
        f"static const int8_t o{i}[] = {{{', '.join(map(str, array.ravel()))}}};"
        for i, array in enumerate(outputs)
    )
    main = tmp_path / "main.c"
    main.write_text(f"""
#include <stdio.h>
#include "model_detector.h"
{arrays}
int main(void) {{
  const micronet_detection_outputs outputs[] = {{{{o0, o1}}, {{o2, o3}}}};
  micronet_detection found[MODEL_DETECTION_CANDIDATES];
  const int count = micronet_detect(&model_detector, outputs, &model_selection, found,
                                    MODEL_DETECTION_CANDIDATES);
  for (int i = 0; i < count; ++i) printf("%d %d\\n", found[i].score, found[i].label);
  return 0;
}}
""")
    program = compile_c(
        tmp_path / "main", main, C_CODE / "micronet_detection.c", flags=[f"-I{tmp_path}"]
    )
    printed = subprocess.run([program], capture_output=True, check=True).stdout.split()
    expected = rows(decoder(outputs))[:, 4:]
    assert len(expected) > 5
    np.testing.assert_array_equal(np.array(printed, int).reshape(-1, 2), expected)


def test_the_header_is_plain_cpp():
    command = ["g++", "-x", "c++", "-std=c++11", *WARNINGS, "-fsyntax-only"]
    subprocess.run([*command, str(C_CODE / "micronet_detection.h")], check=True)
    subprocess.run([*command, str(C_CODE / "micronet_detection.c")], check=True)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="Received: 1.5"):
        Selection(min_score=1.5)
    with pytest.raises(ValueError, match="Received: -1"):
        Selection(max_detections=-1)
    with pytest.raises(UserError, match="not a detector"):
        Int8Decoder([tensor((1, 10), 0.1, 0)], (32, 32))
    with pytest.raises(UserError, match="not a light detector"):
        Int8Decoder([tensor((1, 4, 4, 27), 0.1, 0), tensor((1, 4, 4, 36), 0.1, 0)], (32, 32))
    with pytest.raises(UserError, match="4095"):
        make_decoder([(2, 2)], 1, (5000, 10), Selection())
    decoder = make_decoder([(2, 2)], 2, (16, 16), Selection())
    with pytest.raises(UserError, match="C identifier"):
        detector_header(decoder, name="a b")
    with pytest.raises(UserError, match="one for each"):
        detector_header(decoder, ["only"])
