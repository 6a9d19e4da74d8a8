"""The PC's side of the firmware's serial protocol (tflm/micronet/protocol.h describes it)."""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import serial

from micronet_mcu.errors import UserError

_HEX_BYTES = 64
_LONGEST_ANSWER = 1 << 16
_ATTEMPTS = 3
_SILENCE_S = 0.15
_LARGEST_SIZE = 1 << 16


class BoardError(UserError):
    """The board answered with an error, with nonsense, or not at all."""


@dataclass(frozen=True)
class BoardModel:
    """What the board says of its model: input height, width, channels; classes; bytes of arena."""

    name: str
    shape: tuple[int, int, int]
    classes: int
    arena_bytes: int


def open_port(port: str, baud: int = 115200) -> serial.Serial:
    """Opens a serial port.

    Raises:
        UserError: it is not there, or in use.
    """
    try:
        return serial.Serial(port, baud, timeout=0.1, write_timeout=10)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot open the serial port {port}: {reason}") from None


class BoardClient:
    """Sends images to a board and reads its answers.

    Args:
        port: an open serial port, see `open_port`.
        timeout_s: how long a command may take.

    Raises:
        BoardError: nobody there who speaks the protocol.

    Example:

    >>> board = BoardClient(open_port("/dev/ttyACM0"))
    >>> board.load(image)
    >>> board.infer(runs=10)
    0.0421
    >>> board.results()
    array([-12, 87, ...], dtype=int8)
    """

    def __init__(self, port: serial.Serial, timeout_s: float = 30.0):
        self._port = port
        self._timeout_s = timeout_s
        self._synchronize()
        self.model = self._profile()

    def load(self, pixels: np.ndarray) -> None:
        """Sends an image: uint8 of `model.shape`. A transmission with errors is repeated.

        Raises:
            BoardError: it could not be transmitted.
        """
        if pixels.shape != self.model.shape or pixels.dtype != np.uint8:
            raise UserError(
                f"the board's model takes uint8 {list(self.model.shape)}, this image is "
                f"{pixels.dtype} {list(pixels.shape)}"
            )
        data = pixels.tobytes()
        for attempt in range(_ATTEMPTS):
            try:
                answer = self._send_image(data)
                if _value(answer, "load-done") != f"{zlib.crc32(data):08X}":
                    raise BoardError("the board received another image than was sent")
                return
            except BoardError:
                if attempt == _ATTEMPTS - 1:
                    raise
                self._synchronize()

    def infer(self, runs: int = 1, warm_up: int = 0) -> float:
        """Runs the loaded image; returns seconds per inference by the board's clock."""
        answer = self.command(f"infer {runs} {warm_up}")
        laps = [
            number
            for line in answer
            if line.startswith("m-lap-us-")
            for number in _integers(line.removeprefix("m-lap-us-"), "a time")
        ]
        if len(laps) != 2:
            raise BoardError(f"the board measured no time. Received: {answer}")
        return ((laps[1] - laps[0]) % 2**32) / runs / 1e6

    def results(self) -> np.ndarray:
        """The output of the last inference, int8 [classes], as stored."""
        text = _value(self.command("results"), "results")
        values = _integers(text, "results")
        if min(values) < -128 or max(values) > 127:
            raise BoardError(f"results that are no int8 numbers: {text[:60]!r}")
        if len(values) != self.model.classes:
            raise BoardError(f"{len(values)} results for {self.model.classes} classes")
        return np.array(values, np.int8)

    def test(self) -> tuple[int, bool]:
        """Runs the built-in test image: (largest difference in steps, same class)."""
        text = _value(self.command("test"), "test")
        difference, _, same = text.partition(",")
        if same not in ("yes", "no"):
            raise BoardError(f"a result of the test that makes no sense: {text[:60]!r}")
        return _integers(difference, "a difference")[0], same == "yes"

    def command(self, text: str) -> list[str]:
        """Sends a command; returns the lines of the answer without the last.

        Raises:
            BoardError: the board refused it, or did not answer in time.
        """
        self._write(text + "%")
        lines: list[str] = []
        for line in self._lines(text):
            if line == "m-ready":
                return lines
            if line.startswith("e-["):
                raise BoardError(f"the board refused {text[:20]!r}: {line[3:-1]}")
            lines.append(line)
        raise BoardError(f"no answer to {text[:20]!r} within {self._timeout_s:g} s")

    def _send_image(self, data: bytes) -> list[str]:
        self.command(f"db load {len(data)}")
        answer = []
        for start in range(0, len(data), _HEX_BYTES):
            answer += self.command("db " + data[start : start + _HEX_BYTES].hex())
        return answer

    def _synchronize(self) -> None:
        """Ends whatever half command the board holds, and forgets what it answers."""
        self._write("%")
        self._drain()
        for attempt in range(_ATTEMPTS):
            try:
                if any(line.startswith("m-name-dut-") for line in self.command("name")):
                    # The board's greeting, or the answer to an earlier attempt, may come late.
                    return self._drain()
            except BoardError:
                if attempt == _ATTEMPTS - 1:
                    raise
        raise BoardError(f"nobody at {self._port.port} speaks the protocol of this firmware")

    def _drain(self) -> None:
        """Drops what arrives until the line is silent."""
        end = time.monotonic() + self._timeout_s
        silent_since = time.monotonic()
        while time.monotonic() < min(end, silent_since + _SILENCE_S):
            if self._read():
                silent_since = time.monotonic()

    def _read(self) -> bytes:
        try:
            return self._port.read(max(1, self._port.in_waiting))
        except (OSError, TypeError) as error:
            raise BoardError(f"the connection to {self._port.port} broke: {error}") from None

    def _profile(self) -> BoardModel:
        answer = self.command("profile")
        shape = _integers(_value(answer, "input"), "the input's shape")
        classes = _integers(_value(answer, "classes"), "classes")[0]
        arena = _integers(_value(answer, "arena"), "the arena")[0]
        if len(shape) != 3 or min(*shape, classes) < 1 or max(*shape, classes) > _LARGEST_SIZE:
            raise BoardError(f"the board's profile makes no sense: {shape}, {classes} classes")
        return BoardModel(_value(answer, "model"), (shape[0], shape[1], shape[2]), classes, arena)

    def _write(self, text: str) -> None:
        try:
            self._port.write(text.encode("ascii"))
        except OSError as error:
            raise BoardError(f"the connection to {self._port.port} broke: {error}") from None

    def _lines(self, what: str) -> Iterator[str]:
        """Yields lines until the time is over."""
        end = time.monotonic() + self._timeout_s
        held = b""
        while time.monotonic() < end:
            held += self._read()
            *complete, held = held.split(b"\n")
            for line in complete:
                yield line.decode("ascii", "replace").strip()
            if len(held) > _LONGEST_ANSWER:
                raise BoardError(f"an endless answer to {what[:20]!r}")


def _integers(text: str, what: str) -> list[int]:
    """Numbers with commas between them; what comes over a wire may be garbled."""
    if not re.fullmatch(r"-?[0-9]{1,10}(,-?[0-9]{1,10})*", text):
        raise BoardError(f"{what} should be whole numbers. Received: {text[:60]!r}")
    return [int(number) for number in text.split(",")]


def _value(answer: list[str], key: str) -> str:
    """The text in brackets of the line "m-<key>-[...]"."""
    for line in answer:
        found = re.fullmatch(rf"m-{key}-\[(.*)\]", line)
        if found:
            return found[1]
    raise BoardError(f"no {key} in the board's answer. Received: {str(answer)[:200]}")
