"""Builds an exported firmware project and flashes it, with the platform's own tool.

The tool must be installed: arduino-cli, idf.py, west or picotool. Ports are never guessed.

Examples:

  micronet flash --platform=esp32s3 --project=out/esp32s3 --port=/dev/ttyUSB0
  micronet flash --platform=pico --project=out/pico --dry_run
"""

import shlex

from absl import flags

from micronet_cli import script
from micronet_mcu.firmware.flash import flash
from micronet_mcu.firmware.platforms import PLATFORMS

_PLATFORM = flags.DEFINE_enum("platform", None, list(PLATFORMS), "the board's kind", required=True)
_PROJECT = flags.DEFINE_string("project", None, "the folder that export wrote", required=True)
_PORT = flags.DEFINE_string("port", None, "serial port, for arduino, esp32s3 and esp32cam")
_BOARD = flags.DEFINE_string("board", None, "Zephyr's name of the board")
_DRY_RUN = flags.DEFINE_boolean("dry_run", False, "print the commands, run nothing")


def main(argv: list[str]) -> None:
    del argv
    commands = flash(
        _PLATFORM.value,
        _PROJECT.value,
        port=_PORT.value,
        board=_BOARD.value,
        dry_run=_DRY_RUN.value,
    )
    if _DRY_RUN.value:
        print("\n".join(shlex.join(command) for command in commands))


def run() -> None:
    script.run(main)
