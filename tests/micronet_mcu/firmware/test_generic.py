"""The platform "generic" on six emulated cores: built by its Makefile, it answers as the host."""

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import optional
import pytest
import tiny_tflite
from running_firmware import Firmware

from micronet_mcu.firmware import BoardClient, export_firmware, open_port
from micronet_mcu.to_c import compile_model, host

MACHINES = {
    "cortex-m0": "microbit", "cortex-m3": "mps2-an385", "cortex-m4": "mps2-an386",
    "cortex-m7": "mps2-an500", "cortex-m33": "mps2-an505", "cortex-m55": "mps3-an547",
}  # fmt: skip


@pytest.fixture(scope="module")
def model():
    tiny = tiny_tflite.TinyModel(4)
    y = tiny.conv(tiny.input((1, 16, 16, 3)), 4, (3, 3), (2, 2))
    return tiny.build(tiny.dense(tiny.reshape(y, (1, 256)), 5))


@pytest.fixture(scope="module")
def project(model, tmp_path_factory):
    optional.require("arm-none-eabi-g++", "make", "qemu-system-arm")
    folder = tmp_path_factory.mktemp("generic") / "p"
    export_firmware("generic", model, folder, runtime="c")
    return folder


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)


@pytest.fixture(scope="module")
def expected(model, images):
    with tempfile.TemporaryDirectory() as folder:
        made = compile_model(model, Path(folder) / "c")
        pixels = (images.reshape(len(images), -1).astype(int) - 128).astype(np.int8)
        return host.run(made.folder, made.name, made.program, pixels)


@pytest.mark.slow
@pytest.mark.parametrize("core", MACHINES)
def test_a_core_answers_as_the_host(core, project, images, expected):
    done = subprocess.run(
        ["make", "-j2", "-C", project / "bare_metal", f"CORE={core}"],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and "warning" not in done.stderr, done.stderr[-2000:]
    build = project / "bare_metal" / "build" / core
    firmware = Firmware(
        "qemu-system-arm", "-M", MACHINES[core], "-display", "none", "-monitor", "none",
        "-serial", "stdio", "-kernel", build / "micronet.elf", folder=build,
    )  # fmt: skip
    with open_port(firmware.port) as port:
        board = BoardClient(port, timeout_s=30)
        assert board.model.shape == (16, 16, 3)
        assert board.test() == (0, True)
        for image, answer in zip(images, expected, strict=True):
            board.load(image)
            assert 0 < board.infer(runs=2) < 5
            np.testing.assert_array_equal(board.results(), answer)
    firmware.stop()


def test_the_makefile_knows_the_cores(project):
    done = subprocess.run(
        ["make", "-C", project / "bare_metal", "CORE=z80"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode and "CORE is one of cortex-m0, -m3" in done.stderr
