"""A firmware of the host's at the other end of a pseudo-terminal."""

import os
import pty
import subprocess

import firmware_build

from micronet_mcu.firmware import export_firmware


def build_host(model: bytes, folder, **options):
    """The program of an exported project, the model compiled to C, with sanitizers."""
    export_firmware("host", model, folder, runtime="c", **options)
    sources = sorted([*folder.glob("src/*.c"), *folder.glob("src/*.cc")])
    return firmware_build.build(folder / "firmware", sources, [folder / "src"])


class Firmware:
    """A running firmware; `port` is its serial port's name."""

    def __init__(self, program):
        controller, self.line = pty.openpty()
        self.port = os.ttyname(self.line)
        # The line stays open here, so that a client may come and go.
        self.errors = open(program.with_name("errors.txt"), "w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [program], stdin=controller, stdout=controller, stderr=self.errors
        )
        os.close(controller)

    def stop(self):
        assert self.process.poll() is None, "the firmware died"
        self.process.terminate()
        self.process.wait(10)
        os.close(self.line)
        self.errors.seek(0)
        assert self.errors.read() == ""
        self.errors.close()
