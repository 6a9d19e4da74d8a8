"""The PC's side of the firmware's serial protocol (tflm/micronet/protocol.h describes it)."""

from __future__ import annotations

import os
import re
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import serial

from micronet_mcu.errors import UserError

_HEX_BYTES = 64
_LONGEST_ANSWER = 1 << 20
_ATTEMPTS = 3
_SILENCE_S = 0.15
_LARGEST_SIZE = 1 << 16
# For whatever runs no inference; a board that is silent for so long is not there.
_QUICK_S = 5.0
# What a slow line carries at least, for large answers.
_BYTES_PER_S = 5000


class BoardError(UserError):
    """The board answered with an error, with nonsense, or not at all."""


@dataclass(frozen=True)
class BoardModel:
    """What the board says of its model.

    Attributes:
        shape: of the image: height, width, channels.
        classes: of scores, or kinds of points.
        outputs: values of each output.
        answer: "classes", "objects" or "points".
        arena_bytes: in use.
        raw_bytes: most bytes that it takes as they are, at a time.
    """

    name: str
    shape: tuple[int, int, int]
    classes: int
    outputs: tuple[int, ...]
    answer: str
    arena_bytes: int
    raw_bytes: int


def open_port(port: str, baud: int = 115200) -> serial.Serial:
    """Opens a serial port.

    Raises:
        UserError: it is not there, or in use.
    """
    try:
        return serial.Serial(port, baud, timeout=0.1, write_timeout=10)
    except (OSError, ValueError) as error:
        number = getattr(error, "errno", None)
        reason = os.strerror(number).lower() if number else error
        raise UserError(f"cannot open the serial port {port}: {reason}") from None


class BoardClient:
    """Sends images to a board and reads its answers.

    Args:
        port: an open serial port, see `open_port`.
        timeout_s: how long an inference may take; everything else may take 5 s at most.

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
        self._timeout_s, self._quick_s = timeout_s, min(timeout_s, _QUICK_S)
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
        answer = self.command(f"infer {runs} {warm_up}", self._timeout_s + self._long_s())
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
        """The first output of the last inference as stored: int8 [values]."""
        return self.outputs()[0]

    def outputs(self) -> list[np.ndarray]:
        """The outputs of the last inference as stored: int8 [values] each."""
        texts = _values(self.command("output", self._long_s()), "output")
        rows = [_integers(text, "an output") for text in texts]
        for row in rows:
            if min(row) < -128 or max(row) > 127:
                raise BoardError(f"an output of no int8 numbers: {str(row)[:60]}")
        found, expected = tuple(map(len, rows)), self.model.outputs
        if found != expected:
            raise BoardError(f"outputs of {found} values, not of {expected}")
        return [np.array(row, np.int8) for row in rows]

    def answer(self) -> np.ndarray:
        """What the last inference says, in the terms of `model.answer`.

        Returns:
            Of classes: float64 [classes], probabilities. Of objects: int32 [n, 6], the best first:
            label, score in 1/65535, top, left, bottom, right. Of points: int32 [kinds, 4]: kind,
            score in 1/65535, x, y. Places are in 1/16 pixel of the model's image.
        """
        lines = self.command("results", self._long_s())
        if self.model.answer == "classes":
            text = _value(lines, "results")
            if not re.fullmatch(r"-?[0-9.]{1,12}(,-?[0-9.]{1,12})*", text):
                raise BoardError(f"results that are no numbers: {text[:60]!r}")
            return np.array([float(value) for value in text.split(",")])
        key, width = {"objects": ("object", 6), "points": ("point", 4)}[self.model.answer]
        rows = [_integers(text, f"an {key}") for text in _values(lines, key)]
        if any(len(row) != width for row in rows):
            raise BoardError(f"{key}s that make no sense: {str(rows)[:60]}")
        return np.array(rows, np.int32).reshape(-1, width)

    def capture(self) -> np.ndarray:
        """Takes a picture with the board's camera and loads it: uint8 of `model.shape`."""
        self.command("camera", self._timeout_s)
        return self.picture()

    def picture(self) -> np.ndarray:
        """The loaded image: uint8 of `model.shape`."""
        size = int(np.prod(self.model.shape))
        self._write(b"picture%")
        held, end = b"", time.monotonic() + self._quick_s + size / _BYTES_PER_S
        start = f"m-picture-[{size}]\r\n".encode()
        while time.monotonic() < end:
            held += self._read()
            at = held.find(start) + len(start)
            if at >= len(start) and held[at + size :].endswith(b"m-ready\r\n"):
                return np.frombuffer(held[at : at + size], np.uint8).reshape(self.model.shape)
            if held.startswith(b"e-[") and held.endswith(b"m-ready\r\n"):
                break
        raise BoardError(f"no picture came. Received: {held[:60]!r}")

    def test(self) -> tuple[int, bool]:
        """Runs the built-in test image: (largest difference in steps, same class)."""
        text = _value(self.command("test", self._timeout_s), "test")
        difference, _, same = text.partition(",")
        if same not in ("yes", "no"):
            raise BoardError(f"a result of the test that makes no sense: {text[:60]!r}")
        return _integers(difference, "a difference")[0], same == "yes"

    def command(self, text: str, timeout_s: float | None = None) -> list[str]:
        """Sends a command; returns the lines of the answer without the last.

        Raises:
            BoardError: the board refused it, or did not answer in time.
        """
        return self._ask(text, f"{text}%".encode("ascii"), timeout_s)

    def _ask(self, name: str, sent: bytes, timeout_s: float | None = None) -> list[str]:
        timeout_s = self._quick_s if timeout_s is None else timeout_s
        self._write(sent)
        lines: list[str] = []
        for line in self._lines(name, timeout_s):
            if line == "m-ready":
                refusal = next((text for text in lines if text.startswith("e-[")), None)
                if refusal:
                    raise BoardError(f"the board refused {name[:20]!r}: {refusal[3:-1]}")
                return lines
            lines.append(line)
        raise BoardError(f"no answer to {name[:20]!r} within {timeout_s:g} s")

    def _long_s(self) -> float:
        """How long the numbers of all outputs may take."""
        return self._quick_s + 10 * sum(self.model.outputs) / _BYTES_PER_S

    def _send_image(self, data: bytes) -> list[str]:
        self.command(f"db load {len(data)}")
        answer = []
        most = self.model.raw_bytes
        for start in range(0, len(data), most or _HEX_BYTES):
            if most:
                part = data[start : start + most]
                answer += self._ask("db raw", f"db raw {len(part)}%".encode() + part)
            else:
                answer += self.command("db " + data[start : start + _HEX_BYTES].hex())
        return answer

    def _synchronize(self) -> None:
        """Ends whatever half command the board holds, and forgets what it answers.

        A board that waits for raw bytes takes the first attempt for them, and forgets it after a
        second of silence.
        """
        self._write(b"%")
        self._drain()
        last = ""
        for _ in range(_ATTEMPTS):
            try:
                lines = self.command("name", self._quick_s / _ATTEMPTS)
            except BoardError as error:
                last = str(error)
                continue
            if any(line.startswith("m-name-dut-") for line in lines):
                # The board's greeting, or the answer to an earlier attempt, may come late.
                return self._drain()
            last = f"received: {str(lines)[:80]}"
        raise BoardError(
            f"nobody at {self._port.port} speaks the protocol of this firmware ({last}); is it the "
            "board's port, is the baud rate right, is the board flashed?"
        )

    def _drain(self) -> None:
        """Drops what arrives until the line is silent."""
        end = time.monotonic() + self._quick_s
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
        outputs = tuple(_integers(_value(answer, "outputs"), "the outputs"))
        kind = _value(answer, "answer")
        if kind not in ("classes", "objects", "points") or min(outputs) < 1:
            raise BoardError(f"the board's profile makes no sense: {kind[:20]!r}, {outputs[:9]}")
        raw = _integers(_value(answer, "raw"), "raw bytes")[0]
        name = _value(answer, "model")
        return BoardModel(
            name, (shape[0], shape[1], shape[2]), classes, outputs, kind, arena, max(raw, 0)
        )

    def _write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except OSError as error:
            raise BoardError(f"the connection to {self._port.port} broke: {error}") from None

    def _lines(self, what: str, timeout_s: float) -> Iterator[str]:
        """Yields lines until the time is over."""
        end = time.monotonic() + timeout_s
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
    found = _values(answer, key)
    if not found:
        raise BoardError(f"no {key} in the board's answer. Received: {str(answer)[:200]}")
    return found[0]


def _values(answer: list[str], key: str) -> list[str]:
    """The texts in brackets of all lines "m-<key>-[...]"."""
    matches = (re.fullmatch(rf"m-{key}-\[(.*)\]", line) for line in answer)
    return [match[1] for match in matches if match]
