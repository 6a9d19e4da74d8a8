"""A firmware at the other end of a pseudo-terminal: the host's, or one that an emulator runs."""

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
    """A running firmware; `port` is its serial port's name.

    `program`: an executable, or a command whose standard input and output are the line.
    """

    def __init__(self, program, *arguments, folder=None):
        controller, self.line = pty.openpty()
        self.port = os.ttyname(self.line)
        # The line stays open here, so that a client may come and go.
        self.errors = open((folder or program.parent) / "errors.txt", "w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [program, *arguments], stdin=controller, stdout=controller, stderr=self.errors
        )
        os.close(controller)

    def stop(self):
        assert self.process.poll() is None, "the firmware died"
        self.process.terminate()
        self.process.wait(10)
        os.close(self.line)
        self.errors.seek(0)
        # QEMU says that it was told to end.
        said = [line for line in self.errors if "terminating on signal 15" not in line]
        assert said == []
        self.errors.close()
