"""The firmware's loop on this machine, compiled C inside, over a pseudo-terminal, sanitized."""

import dataclasses
import json
import os
import pty
import subprocess
import sys
import time
import zlib

import firmware_build
import numpy as np
import pytest
import tiny_tflite
from PIL import Image
from running_firmware import Firmware, build_host

from micronet_mcu.errors import UserError
from micronet_mcu.firmware import BoardClient, BoardError, open_port

LABELS = ["circle", "square", "star", 'say "hi"', "Größe"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serial") / "project"
    # Its answers differ from image to image.
    tiny = tiny_tflite.TinyModel(4)
    y = tiny.conv(tiny.input((1, 16, 16, 3)), 4, (3, 3), (2, 2))
    model = tiny.build(tiny.dense(tiny.reshape(y, (1, 256)), 5))
    return folder, build_host(model, folder, labels=LABELS, name="tiny")


@pytest.fixture
def firmware(project):
    running = Firmware(project[1])
    yield running
    running.stop()


@pytest.fixture
def board(firmware):
    with open_port(firmware.port) as port:
        yield BoardClient(port, timeout_s=20)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)


@pytest.fixture(scope="module")
def answers(project, images):
    """What the model says to the images, from a firmware that is asked nothing else."""
    running = Firmware(project[1])
    with open_port(running.port) as port:
        board = BoardClient(port, timeout_s=20)
        found = []
        for image in images:
            board.load(image)
            board.infer()
            found.append(board.results())
    running.stop()
    assert len({a.tobytes() for a in found}) == 3
    return found


def check(board, image, answer):
    board.load(image)
    board.infer()
    np.testing.assert_array_equal(board.results(), answer)


@pytest.mark.slow
def test_name_profile_and_self_test(board):
    assert board.command("name") == ["m-name-dut-[tiny]"]
    assert (board.model.name, board.model.shape, board.model.classes) == ("tiny", (16, 16, 3), 5)
    assert board.model.arena_bytes > 768
    assert board.test() == (0, True)


@pytest.mark.slow
def test_the_compiled_model_answers(board, images, answers):
    for image, answer in zip(images, answers, strict=True):
        check(board, image, answer)


def test_many_runs_are_timed_and_answer_alike(board, images, answers):
    board.load(images[0])
    assert 0 < board.infer(runs=3, warm_up=2) < 5
    np.testing.assert_array_equal(board.results(), answers[0])


def test_top_names_labels(board, images, answers):
    board.load(images[1])
    board.infer()
    order = np.argsort(-answers[1].astype(int), kind="stable")[:2]
    expected = [f"m-top-[{i}:{answers[1][i]}:{LABELS[i]}]" for i in order]
    assert board.command("top 2") == [e.encode().decode("ascii", "replace") for e in expected]


def test_the_camera_is_an_image_source(board):
    (done,) = board.command("camera")
    assert done == f"m-load-done-[{zlib.crc32(board.picture().tobytes()):08X}]"
    board.infer()
    first = board.results()
    board.command("camera")
    board.infer()
    assert board.results().shape == first.shape


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("nonsense", "unknown command"),
        ("db load 12", "db load takes 768 bytes"),
        ("db load", "db load takes 768 bytes"),
        ("db load 768 1", "db load takes 768 bytes"),
        ("db load 99999999999999", "db load takes 768 bytes"),
        ("db 00", "begin with db load"),
        ("infer 1 0", "no complete image"),
        ("results", "nothing has been inferred"),
        ("top 1", "nothing has been inferred"),
        ("x" * 500, "command too long"),
        ("db " + "00" * 200, "command too long"),
    ],
)
def test_wrong_commands_are_answered_and_forgotten(board, images, answers, command, complaint):
    with pytest.raises(BoardError, match=complaint):
        board.command(command)
    check(board, images[0], answers[0])


@pytest.mark.parametrize("numbers", ["0 0", "x", "1 -1", "1 0 0", "-5 0", "9999999 0"])
def test_infer_wants_two_numbers(board, images, numbers):
    board.load(images[0])
    with pytest.raises(BoardError, match="infer takes two numbers"):
        board.command(f"infer {numbers}")


@pytest.mark.parametrize("payload", ["0", "0g", "zz", "", "00 11"])
def test_a_damaged_image_is_never_run(board, images, answers, payload):
    board.command("db load 768")
    with pytest.raises(BoardError, match="not hexadecimal"):
        board.command(f"db {payload}")
    with pytest.raises(BoardError, match="no complete image"):
        board.infer()
    check(board, images[2], answers[2])


def test_more_bytes_than_the_image_has_are_refused(board, images, answers):
    board.command("db load 768")
    for _ in range(11):
        board.command("db " + "55" * 64)
    with pytest.raises(BoardError, match="more than the image"):
        board.command("db " + "55" * 63 + "5555")
        board.command("db 55")
    check(board, images[0], answers[0])


def test_an_old_result_does_not_outlive_its_image(board, images):
    board.load(images[0])
    board.infer()
    board.command("db load 768")
    with pytest.raises(BoardError, match="nothing has been inferred"):
        board.results()


@pytest.mark.slow
def test_a_disconnect_in_mid_image_leaves_no_trace(firmware, images, answers):
    for sent in (b"db load 768%db 0011", b"db load 768%" + b"db " + b"AB" * 64 + b"%db A", b"in"):
        with open_port(firmware.port) as port:
            port.write(sent)
            time.sleep(0.05)
        with open_port(firmware.port) as port:
            check(BoardClient(port, timeout_s=20), images[1], answers[1])


@pytest.mark.slow
def test_half_a_command_is_dropped_after_a_second(firmware):
    with open_port(firmware.port) as port:
        board = BoardClient(port, timeout_s=20)
        port.write(b"db load 7")
        time.sleep(1.3)
        assert board.command("name") == ["m-name-dut-[tiny]"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_garbage_neither_hangs_nor_corrupts(firmware, images, answers, seed):
    rng = np.random.default_rng(seed)
    words = [b"db ", b"load ", b"768", b"%", b"%%", b"infer ", b"1 0", b"results", b"top ", b"FF",
             b"\r\n", b"\0", b"\xff", b" ", b"camera", b"test", b"name", b"profile"]  # fmt: skip
    noise = b""
    while len(noise) < 3000:
        if rng.random() < 0.8:
            noise += words[rng.integers(len(words))]
        else:
            noise += rng.integers(0, 256, rng.integers(1, 40), np.uint8).tobytes()
    with open_port(firmware.port) as port:
        board = BoardClient(port, timeout_s=20)
        # Numbers in the noise must not ask for thousands of runs.
        for piece in noise.replace(b"infer 768", b"infer 7").split(b"%"):
            port.write(piece[:200] + b"%")
            port.read(port.in_waiting)
        time.sleep(0.1)
        board._synchronize()
        check(board, images[2], answers[2])


@pytest.mark.parametrize("raw", [True, False])
def test_the_client_repeats_what_got_lost(firmware, images, answers, monkeypatch, raw):
    with open_port(firmware.port) as port:
        board = BoardClient(port, timeout_s=20)
        if not raw:  # as to a board that takes hexadecimal digits alone
            board.model = dataclasses.replace(board.model, raw_bytes=0)
        real, sent = board._write, []

        def noisy(data):
            sent.append(data)
            # One byte of one piece changes on the way: the checksum tells.
            real(data.replace(b"7", b"6") if len(sent) == 2 else data)

        monkeypatch.setattr(board, "_write", noisy)
        check(board, images[0], answers[0])
        assert sum(data.startswith(b"db load") for data in sent) == 2


def test_an_image_is_one_command_where_the_board_takes_raw_bytes(firmware, images, answers):
    with open_port(firmware.port) as port:
        board = BoardClient(port, timeout_s=20)
        sent = []
        real = board._write
        board._write = lambda data: (sent.append(len(data)), real(data))
        check(board, images[0], answers[0])
        assert len(sent) == 4 and sum(sent) < images[0].size + 64  # load, raw, infer, output
        np.testing.assert_array_equal(board.picture(), images[0])


@pytest.mark.parametrize(
    "command", ["db raw 8", "db load 768%db raw 0", "db load 768%db raw 4097", "db load 768%db raw"]
)
def test_raw_bytes_are_announced(board, command):
    *first, last = command.split("%")
    for text in first:
        board.command(text)
    with pytest.raises(BoardError, match="db raw takes the number"):
        board.command(last)


@pytest.mark.slow
def test_raw_bytes_that_never_come_are_forgotten(firmware, images, answers):
    with open_port(firmware.port) as port:
        port.write(b"db load 768%db raw 768%" + bytes(700))
    with open_port(firmware.port) as port:
        board = BoardClient(port, timeout_s=20)
        with pytest.raises(BoardError, match="no complete image"):
            board.infer()
        check(board, images[1], answers[1])


def test_the_client_wants_the_models_image(board, images):
    with pytest.raises(UserError, match=r"takes uint8 \[16, 16, 3\]"):
        board.load(images[0, :8])


@pytest.mark.slow
def test_a_silent_line_is_no_board():
    controller, line = pty.openpty()
    with open_port(os.ttyname(line)) as port, pytest.raises(BoardError, match="no answer"):
        BoardClient(port, timeout_s=0.3)
    os.close(controller)
    os.close(line)


class Line:
    """A port whose other end answers every command with what it is told to, whatever that is."""

    port = "a line"

    def __init__(self, answers):
        self.answers = answers
        self.waiting = b""

    @property
    def in_waiting(self):
        return len(self.waiting)

    def write(self, data):
        command = data.decode().split("%")[0].split(" ")[0]
        self.waiting += self.answers.get(command, b"m-ready\r\n")

    def read(self, count):
        now, self.waiting = self.waiting[:count], self.waiting[count:]
        return now


SESSION = {
    "name": b"m-name-dut-[tiny]\r\nm-ready\r\n",
    "profile": b"m-model-[tiny]\r\nm-input-[2,2,3]\r\nm-classes-[3]\r\nm-arena-[100,200]\r\n"
    b"m-outputs-[3]\r\nm-answer-[classes]\r\nm-raw-[0]\r\nm-ready\r\n",
    "db": b"m-load-done-[C29BE1FE]\r\nm-ready\r\n",
    "infer": b"m-lap-us-5\r\nm-lap-us-25\r\nm-ready\r\n",
    "output": b"m-output-[1,-2,3]\r\nm-ready\r\n",
    "test": b"m-test-[0,yes]\r\nm-ready\r\n",
}


def session(answers, monkeypatch):
    monkeypatch.setattr("micronet_mcu.firmware.serial_client._SILENCE_S", 0.0)
    board = BoardClient(Line(answers), timeout_s=0.05)
    return board.model, board.infer(runs=2), board.results().tolist(), board.test()


def test_a_session_over_a_clean_line(monkeypatch):
    model, seconds, results, test = session(SESSION, monkeypatch)
    assert (model.shape, model.classes, model.arena_bytes) == ((2, 2, 3), 3, 100)
    assert (seconds, results, test) == (1e-5, [1, -2, 3], (0, True))


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("infer", "m-lap-us-5\nm-lap-us-x5"),
        ("infer", "m-lap-us-5\nm-lap-us-" + "9" * 5000),
        ("infer", "m-lap-us-5"),
        ("output", "m-output-[1,2,]"),
        ("output", "m-output-[1,2,128]"),
        ("output", "m-output-[1,2]"),
        ("test", "m-test-[0]"),
        ("test", "m-test-[0,yes,no]"),
        ("test", "m-test-[,yes]"),
        ("profile", "m-model-[a]\nm-input-[2,2]\nm-classes-[3]\nm-arena-[1,1]"),
        ("profile", "m-model-[a]\nm-input-[2,2,-3]\nm-classes-[3]\nm-arena-[1,1]"),
        ("profile", "m-model-[a]\nm-input-[2,2,3]\nm-classes-[]\nm-arena-[1,1]"),
        ("profile", "m-model-[a]\nm-input-[2,2,99999999]\nm-classes-[3]\nm-arena-[1,1]"),
        ("profile", "m-model-[a]\nm-input-[2,2,3]\nm-classes-[3]"),
        ("name", "\xff\xfe\0"),
    ],
)
def test_garbled_answers_are_one_line(command, answer, monkeypatch):
    garbled = answer.encode("latin-1") + b"\nm-ready\n"
    with pytest.raises(BoardError) as caught:
        session(SESSION | {command: garbled}, monkeypatch)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_port_that_is_not_there():
    with pytest.raises(UserError, match="cannot open the serial port /dev/no-such-port"):
        open_port("/dev/no-such-port")


def test_a_port_that_vanishes(firmware):
    with open_port(firmware.port) as port:
        board = BoardClient(port, timeout_s=5)
        port.close()
        with pytest.raises(BoardError, match="the connection to .* broke"):
            board.command("name")


@pytest.mark.slow
def test_run_on_board_reports_accuracy_and_latency(firmware, tmp_path):
    """The script, over a folder of images, against the firmware."""
    rng = np.random.default_rng(3)
    for label in ("a", "b", "c", "d", "e"):
        (tmp_path / "data" / "test" / label).mkdir(parents=True)
        for i in range(1):
            pixels = rng.integers(0, 256, (20, 20, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / "test" / label / f"{i}.png")
    script = firmware_build.ROOT / "scripts" / "run_on_board.py"
    done = subprocess.run(
        [sys.executable, script, f"--port={firmware.port}", f"--dataset={tmp_path / 'data'}",
         "--split=test", f"--json={tmp_path / 'report.json'}"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "accuracy" in done.stdout and "latency" in done.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["images"] == 5 and 0 <= report["accuracy"] <= 1
    assert report["latency_ms"]["mean"] > 0
