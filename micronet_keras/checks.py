"""Argument checks that layers and models share."""

from collections.abc import Sequence


def positive_int(name: str, value: int) -> int:
    """Returns `value` when it is a whole number of at least 1, else raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value!r}")
    return value


def odd_int(name: str, value: int) -> int:
    """Returns `value` when it is odd and positive: padding by value // 2 centres the kernel."""
    if positive_int(name, value) % 2 == 0:
        raise ValueError(f"`{name}` must be odd. Received: {name}={value}")
    return value


def pair(name: str, value: Sequence[int]) -> tuple[int, int]:
    """Returns `value` as a tuple when it is two positive integers, else raises ValueError."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise ValueError(f"`{name}` must be two positive integers. Received: {name}={value!r}")
    return positive_int(f"{name}[0]", value[0]), positive_int(f"{name}[1]", value[1])


def channels(layer: str, input_shape: Sequence[int | None], groups: int = 1) -> int:
    """Returns the last axis of `input_shape`; it must be known and divisible by `groups`."""
    found = input_shape[-1]
    if found is None:
        raise ValueError(f"{layer} needs a known number of channels. Received: {input_shape=}")
    if found % groups:
        raise ValueError(
            f"{layer} needs channels that are divisible by groups={groups}. "
            f"Received: {found} channels"
        )
    return found


def image_shape(layer: str, input_shape: Sequence[int | None]) -> None:
    """Raises ValueError unless `input_shape` is [batch, height, width, channels]."""
    if len(input_shape) != 4:
        raise ValueError(
            f"{layer} expects [batch, height, width, channels]. Received: {input_shape=}"
        )


def branches(name: str, value: int, allowed: Sequence[int]) -> int:
    """Returns `value` when it is one of the numbers of DY-ShiftMax branches that are allowed."""
    if value not in allowed:
        raise ValueError(f"`{name}` must be one of {tuple(allowed)}. Received: {name}={value!r}")
    return value


def floats(name: str, value: Sequence[float], length: int) -> tuple[float, ...]:
    """Returns `value` as a tuple when it is `length` numbers, else raises ValueError."""
    numbers = isinstance(value, tuple | list) and all(isinstance(v, int | float) for v in value)
    if not numbers or len(value) != length:
        raise ValueError(f"`{name}` must be {length} numbers. Received: {name}={value!r}")
    return tuple(float(v) for v in value)


def not_negative_int(name: str, value: int) -> int:
    """Returns `value` when it is a whole number of at least 0, else raises ValueError."""
    if value == 0 and isinstance(value, int):
        return value
    return positive_int(name, value)


def fraction(name: str, value: float) -> float:
    """Returns `value` when it is within [0, 1), else raises ValueError."""
    if not isinstance(value, int | float) or not 0 <= value < 1:
        raise ValueError(f"`{name}` must be within [0, 1). Received: {name}={value!r}")
    return value
