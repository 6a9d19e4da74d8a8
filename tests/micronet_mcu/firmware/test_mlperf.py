"""The exchange of MLPerf Tiny's runner (benchmark/runner of mlcommons/tiny), word for word.

What is here is what its device_under_test.py and script.py send and look for: 31 bytes a command,
an answer of one line is a string, and the last line has "m-ready" in it.
"""

import re

import numpy as np
import pytest
import serial
import tiny_tflite
from running_firmware import Firmware, build_host


@pytest.fixture(scope="module")
def firmware(tmp_path_factory):
    tiny = tiny_tflite.TinyModel(4)
    y = tiny.conv(tiny.input((1, 16, 16, 3)), 4, (3, 3), (2, 2))
    model = tiny.build(tiny.dense(tiny.reshape(y, (1, 256)), 2))
    folder = tmp_path_factory.mktemp("mlperf") / "p"
    running = Firmware(build_host(model, folder, name="vww01"))
    yield running
    running.stop()


@pytest.fixture
def runner(firmware):
    """What it calls send_command. A greeting that nobody read is still in the line."""
    with serial.Serial(firmware.port, 115200, timeout=5) as port:

        def send(command):
            port.write((command + "%").encode())
            lines = []
            while not lines or "m-ready" not in lines[-1]:
                line = port.read_until(b"\n")
                assert line, f"no answer to {command}; so far {lines}"
                lines.append(line.decode().strip("\r\n"))
            return lines

        yield send


def test_a_session(runner):
    """The first commands, right after the board's greeting: none is taken for another's answer."""
    names = [re.match(r"^m-(name)-dut-\[([^]]+)]$", line) for line in runner("name")]
    assert [match[2] for match in names if match] == ["vww01"]
    lines = runner("profile")
    found = [re.match(r"^m-(model|profile)-\[([^]]+)]$", line) for line in lines]
    assert {m[1]: m[2] for m in found if m} == {"profile": "micronet 2", "model": "vww01"}
    lap, ready = runner("timestamp")
    assert re.fullmatch(r"m-lap-us-[0-9]+", lap) and ready == "m-ready"
    assert {"name", "db", "infer", "results", "timestamp"} <= {
        line.removeprefix("m-help-[").split(":")[0] for line in runner("help")
    }


def load(runner, data):
    assert runner(f"db load {len(data)}")[-1] == "m-ready"
    for i in range(0, len(data), 31):
        lines = runner("db " + "".join(f"{byte:02x}" for byte in data[i : i + 31]))
    return lines


@pytest.mark.parametrize("numbers", ["1 0", "3 1", "2", ""])
def test_infer_holds_the_results(runner, numbers):
    image = np.random.default_rng(0).integers(0, 256, 768, np.uint8).tobytes()
    assert load(runner, image)[0].startswith("m-load-done")
    lines = runner(f"infer {numbers}".strip())
    assert lines[-1] == "m-ready"
    (results,) = [m[1] for m in (re.match(r"^m-results-\[([^]]+)\]$", x) for x in lines) if m]
    assert sum(map(float, results.split(","))) == pytest.approx(1, abs=1e-5)
    laps = [int(m[1]) for m in (re.match(r"^m-lap-us-([0-9]+)$", x) for x in lines) if m]
    assert len(laps) == 2 and laps[0] <= laps[1]
    assert runner("results") == [f"m-results-[{results}]", "m-ready"]


def test_the_buffer_is_printed(runner):
    image = bytes(range(256)) * 3
    load(runner, image)
    *lines, ready = runner("db print")
    assert ready == "m-ready" and lines[0] == "m-buffer-00-01-02-03-04-05-06-07"
    digits = "".join(line.removeprefix("m-buffer-").replace("-", "") for line in lines)
    assert bytes.fromhex(digits) == image


@pytest.mark.parametrize("command", ["nonsense", "db", "db load 7", "infer 0", "infer 1 -1"])
def test_an_error_is_an_answer(runner, command):
    if command.startswith("infer"):
        load(runner, bytes(768))
    error, ready = runner(command)
    assert error.startswith("e-[") and ready == "m-ready"
