"""Flashing by the platform's own tool."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from micronet_mcu.errors import UserError
from micronet_mcu.firmware.platforms import Platform, find_platform

# By template: the platform's tool, and where it comes from.
TOOLS = {
    "arduino": ("arduino-cli", "https://arduino.github.io/arduino-cli/latest/installation/"),
    "esp_idf": ("idf.py", "install ESP-IDF and source its export.sh"),
    "zephyr": ("west", "pip install west; https://docs.zephyrproject.org/latest/develop/getting_started/"),
    "pico": ("picotool", "https://github.com/raspberrypi/picotool"),
}  # fmt: skip
# What some tools need to be told; the others find the one board that they can flash.
_PORT = "name the board's serial port: `port=/dev/ttyACM0` (it is not guessed)"
_BOARD = "name the board as Zephyr does: `board=...`; west boards lists them"
# A file of the project and what stands in it: no other platform's project passes for this one.
_MARKS = {
    "arduino": ("micronet/sketch.yaml", "arduino:mbed_nano"),
    "esp32s3": ("sdkconfig.defaults", 'CONFIG_IDF_TARGET="esp32s3"'),
    "esp32cam": ("sdkconfig.defaults", 'CONFIG_IDF_TARGET="esp32"'),
    "esp32c3": ("sdkconfig.defaults", 'CONFIG_IDF_TARGET="esp32c3"'),
    "esp32c6": ("sdkconfig.defaults", 'CONFIG_IDF_TARGET="esp32c6"'),
    "zephyr": ("app/prj.conf", "CONFIG_CPP=y"),
    "pico": ("CMakeLists.txt", "set(PICO_BOARD pico CACHE"),
    "pico2": ("CMakeLists.txt", "set(PICO_BOARD pico2 CACHE"),
}
# What the tool chains find their own parts by.
_VARIABLES = {"pico": ("PICO_SDK_PATH",), "esp_idf": ("IDF_PATH",)}
_NEEDS = {"PICO_SDK_PATH": "your copy of the Raspberry Pi Pico SDK",
          "PICO_TFLMICRO_PATH": "your copy of pico-tflmicro",
          "IDF_PATH": "ESP-IDF; its export.sh does it"}  # fmt: skip


# Platforms that `flash` knows; the others run where they are built.
FLASHED = tuple(_MARKS)


def flash(
    platform: str,
    project: str | os.PathLike[str],
    *,
    port: str | None = None,
    board: str | None = None,
    dry_run: bool = False,
) -> list[list[str]]:
    """Builds a generated project and flashes it, with the platform's own tool.

    Args:
        platform: one of `PLATFORMS`, the one that the project was exported for.
        project: the folder.
        port: the serial port, for arduino and the ESP32s. It is never guessed.
        board: Zephyr's name of the board.
        dry_run: only return the commands.

    Returns:
        The commands, in order.

    Raises:
        UserError: the tool, the port or the board is missing, the folder is no such project, or
            a command failed.

    Example:

    >>> from micronet_mcu.firmware.export import export_firmware
    >>> project = export_firmware("pico", flatbuffer, "out/pico").folder
    >>> flash("pico", project, dry_run=True)
    [['cmake', '-B', 'build'], ['cmake', '--build', 'build'], ['picotool', 'load', '-x', ...]]
    """
    target = find_platform(platform)
    if target.template not in TOOLS:
        raise UserError(f"there is nothing to flash on {platform}; see the project's README")
    folder = Path(project)
    file, mark = _MARKS[platform]
    try:
        found = mark in (folder / file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        found = False
    if not found:
        raise UserError(
            f"{folder} is no {platform} project ({file} does not say {mark!r}); make one with "
            f"micronet export --platform={platform}"
        )
    commands = _commands(target, port, board)
    if dry_run:
        return commands
    tool, source = TOOLS[target.template]
    for program in dict.fromkeys([tool, *(command[0] for command in commands)]):
        if shutil.which(program) is None:
            advice = source if program == tool else f"install {program}"
            raise UserError(f"{program} is not installed (or not on the PATH): {advice}")
    variables = [*_VARIABLES.get(target.template, ())]
    if target.template == "pico" and (folder / "model.tflite").is_file():
        variables.append("PICO_TFLMICRO_PATH")
    for variable in variables:
        if not Path(os.environ.get(variable) or "/nowhere").is_dir():
            raise UserError(f"set the environment variable {variable} to {_NEEDS[variable]}")
    for command in commands:
        done = subprocess.run(command, cwd=folder, check=False)
        if done.returncode:
            raise UserError(f"{' '.join(command)} failed with exit status {done.returncode}")
    return commands


def _commands(target: Platform, port: str | None, board: str | None) -> list[list[str]]:
    if target.template == "arduino":
        arduino = ["--profile", "nano33ble"]
        return [
            ["arduino-cli", "compile", *arduino, "micronet"],
            ["arduino-cli", "upload", *arduino, "--port", _named(port, _PORT), "micronet"],
        ]
    if target.template == "esp_idf":
        return [["idf.py", "build"], ["idf.py", "-p", _named(port, _PORT), "flash"]]
    if target.template == "zephyr":
        return [["west", "build", "-b", _named(board, _BOARD), "app"], ["west", "flash"]]
    return [
        ["cmake", "-B", "build"],
        ["cmake", "--build", "build"],
        ["picotool", "load", "-x", "build/micronet.uf2"],
    ]


def _named(value: str | None, advice: str) -> str:
    if not value:
        raise UserError(advice)
    return value
