"""What the firmware says of classes, objects and points, against numpy and the decoders."""

import firmware_build
import numpy as np
import pytest
import tiny_tflite
from running_firmware import Firmware, build_host

from micronet_mcu import read_model
from micronet_mcu.decode import Int8Decoder, decode_int8
from micronet_mcu.errors import UserError
from micronet_mcu.firmware import BoardClient, export_firmware, open_port
from micronet_mcu.firmware.answer import answer_kind, is_logits


def scores(last="none", classes=5):
    tiny = tiny_tflite.TinyModel(4)
    y = tiny.conv(tiny.input((1, 16, 16, 3)), 4, (3, 3), (2, 2))
    y = tiny.dense(tiny.reshape(y, (1, 256)), classes)
    return tiny.build(y if last == "none" else tiny.unary(last, y, 1 / 256, -128))


def maps(*channels, size=48):
    """Outputs of a detector or of a keypoint model: one convolution each, maps of a quarter."""
    tiny = tiny_tflite.TinyModel(1)
    x = tiny.conv(tiny.input((1, size, size, 3)), 8, (4, 4), (4, 4))
    return tiny.build(*(tiny.conv(x, count) for count in channels))


def ask(model, folder, image):
    """(the board's model, its outputs, its answer) for an image."""
    firmware = Firmware(build_host(model, folder))
    with open_port(firmware.port) as port:
        board = BoardClient(port, timeout_s=20)
        board.load(image)
        board.infer()
        found = board.model, board.outputs(), board.answer()
    firmware.stop()
    return found


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(2).integers(0, 256, (48, 48, 3), np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize(("last", "classes"), [("none", 5), ("SOFTMAX", 5), ("LOGISTIC", 1)])
def test_classes_are_probabilities(tmp_path, image, last, classes):
    model = scores(last, classes)
    parsed = read_model(model)
    target = parsed.tensors[parsed.outputs[0]]
    board, (output,), answer = ask(model, tmp_path / "p", image[:16, :16])
    assert board.answer == "classes" and board.outputs == (classes,)
    real = float(target.scale[0]) * (output.astype(float) - int(target.zero_point[0]))
    expected = np.exp(real - real.max()) / np.exp(real - real.max()).sum()
    np.testing.assert_allclose(answer, expected if last == "none" else real, atol=2e-6)
    assert is_logits(parsed) == (last == "none")


@pytest.mark.slow
def test_a_detector_answers_with_objects(tmp_path, image):
    """The image takes two portions of raw bytes."""
    model = maps(2, 4)
    parsed = read_model(model)
    board, outputs, answer = ask(model, tmp_path / "p", image)
    assert board.answer == "objects" and board.classes == 2 and board.outputs == (288, 576)
    decoder = Int8Decoder([parsed.tensors[index] for index in parsed.outputs], (48, 48))
    found = decoder([outputs[0].reshape(1, 12, 12, 2), outputs[1].reshape(1, 12, 12, 4)])
    assert len(found) > 1
    expected = np.column_stack([found.labels, found.scores, found.boxes])
    np.testing.assert_array_equal(answer, expected)


@pytest.mark.slow
def test_a_keypoint_model_answers_with_points(tmp_path, image):
    model = maps(3)
    parsed = read_model(model)
    target = parsed.tensors[parsed.outputs[0]]
    board, (output,), answer = ask(model, tmp_path / "p", image)
    assert board.answer == "points" and board.classes == 3
    found = decode_int8(output.reshape(1, 12, 12, 3), int(target.zero_point[0]))[0]
    step = round(float(target.scale[0]) * 65535)
    expected = np.column_stack([range(3), found[:, 2] * step, found[:, :2] * 4 // 16])
    np.testing.assert_array_equal(answer, expected)


@pytest.mark.parametrize("channels", [(2, 4), (3,)])
def test_the_sources_of_every_answer_compile_with_tflm(tmp_path, channels):
    export_firmware("host", maps(*channels), tmp_path / "p")
    sources = tmp_path / "p" / "src"
    for name in (f"answer_{answer_kind(read_model(maps(*channels)))}", "model_info", "protocol"):
        firmware_build.check_syntax(
            sources / f"{name}.cc", [sources, firmware_build.STUBS / "tflm_stub"]
        )


def test_outputs_that_mean_nothing_are_refused(tmp_path):
    with pytest.raises(UserError, match="neither one vector of scores, nor the heatmaps"):
        export_firmware("host", maps(2, 3), tmp_path / "p")
    with pytest.raises(UserError, match=r"\(2 labels for 3|2 labels for 3"):
        export_firmware("host", maps(3), tmp_path / "p", labels=["a", "b"])
