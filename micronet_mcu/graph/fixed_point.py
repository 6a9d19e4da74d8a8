"""TensorFlow Lite's fixed-point arithmetic: how real scales become integers.

Bit-exact with TF Lite Micro (tensorflow/lite/kernels/internal/quantization_util.cc,
kernel_util.cc), so the order and the width of every floating-point step matters.
"""

import math
from collections.abc import Callable

import numpy as np

_LARGEST = 2**31 - 1


def quantize_multiplier(real: float) -> tuple[int, int]:
    """Splits a real multiplier >= 0 into (m, shift): real = m / 2^31 * 2^shift, m in [2^30, 2^31).

    Multipliers below 2^-32 become (0, 0), those of 2^30 and above the largest pair.
    """
    if real == 0.0:
        return 0, 0
    fraction, shift = math.frexp(real)
    # C's round(): halves away from zero. fraction is positive.
    multiplier = math.floor(fraction * 2.0**31 + 0.5)
    if multiplier == 1 << 31:
        multiplier >>= 1
        shift += 1
    if shift < -31:
        return 0, 0
    if shift > 30:
        return (1 << 31) - 1, 30
    return multiplier, shift


def requantize(acc: int, multiplier: int, shift: int) -> int:
    """MultiplyByQuantizedMultiplier in its two roundings (a saturating doubling high multiply,
    then a shift that rounds halves away from zero), on an accumulator that fits 32 bits."""
    acc <<= max(shift, 0)
    product = acc * multiplier
    nudge = 1 << 30 if product >= 0 else 1 - (1 << 30)
    return _divide_by_power(_truncate(product + nudge, 31), max(-shift, 0))


def mean_multiplier(real: float, count: int) -> tuple[int, int]:
    """`quantize_multiplier` of real / count, by the integer division of MEAN
    (tensorflow/lite/kernels/internal/reference/reduce.h)."""
    multiplier, shift = quantize_multiplier(real)
    more = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << more) // count, shift - more


def float32_product(a: float, b: float) -> float:
    """a * b in single precision, as C multiplies two floats."""
    return float(np.float32(a) * np.float32(b))


def activation_bounds(activation: str, scale: float, zero_point: int) -> tuple[int, int] | None:
    """Least and greatest int8 output of a fused activation; None for an unknown activation."""

    def step(value: float) -> int:
        ratio = np.float32(value) / np.float32(scale)
        return zero_point + int(math.floor(abs(ratio) + 0.5)) * (1 if value >= 0 else -1)

    real = {"NONE": (None, None), "RELU": (0, None), "RELU6": (0, 6), "RELU_N1_TO_1": (-1, 1)}
    if activation not in real:
        return None
    low, high = real[activation]
    return (
        -128 if low is None else max(-128, step(low)),
        127 if high is None else min(127, step(high)),
    )


def hard_swish_table(
    scale_in: float, zero_point_in: int, scale_out: float, zero_point_out: int
) -> np.ndarray:
    """HARD_SWISH of every int8 from -128 to 127, by TensorFlow Lite's 16-bit arithmetic
    (tensorflow/lite/kernels/internal/reference/hard_swish.h).

    Raises:
        ValueError: the scales are so far apart that its shifts would leave 16 bits.
    """
    high_resolution = np.float32(1.0 / 128.0) * np.float32(scale_in)
    output, exponent = _split16(float(high_resolution / np.float32(scale_out)))
    reluish, reluish_exponent = _split16(float(high_resolution / np.float32(3.0 / 32768.0)))
    if not -15 <= exponent <= 0 or reluish_exponent < -31:
        raise ValueError(
            f"scales too far apart for hard-swish's 16 bits. Received: {scale_in}, {scale_out}"
        )

    def of(q: int) -> int:
        x = (q - zero_point_in) * 128
        gate = x
        if reluish_exponent > 0:
            gate = _int16(gate << (reluish_exponent - 1))
        gate = _high_multiply16(gate, reluish)
        if reluish_exponent > 0:
            gate = _int16(gate << 1)
        elif reluish_exponent < -15:
            # The reference's mask of the bits shifted out no longer fits its int16: all ones.
            gate = 1 if gate >= 0 else -1
        elif reluish_exponent < 0:
            gate = _divide_by_power(gate, -reluish_exponent)
        gate = (gate + (1 << 15)) >> 1
        product = _truncate(gate * _high_multiply16(x, output), 15)
        return _divide_by_power(product, -exponent) + zero_point_out

    return np.clip([of(q) for q in range(-128, 128)], -128, 127)


def _split16(real: float) -> tuple[int, int]:
    multiplier, exponent = quantize_multiplier(real)
    return (32767 if multiplier >= 0x7FFF8000 else (multiplier + 0x8000) >> 16), exponent


def _int16(value: int) -> int:
    return min(max(value, -32768), 32767)


def _truncate(value: int, bits: int) -> int:
    """Division by a power of two, toward zero."""
    return value >> bits if value >= 0 else -(-value >> bits)


def _high_multiply16(a: int, b: int) -> int:
    product = a * b
    return _truncate(product + ((1 << 14) if product >= 0 else 1 - (1 << 14)), 15)


def _divide_by_power(value: int, bits: int) -> int:
    """Division by a power of two, to the nearest, halves away from zero."""
    half = (1 << bits) >> 1
    return (value + half) >> bits if value >= 0 else -((-value + half) >> bits)


def softmax_parameters(beta: float, scale_in: float) -> tuple[int, int, int]:
    """(input multiplier, left shift, least difference that still counts)."""
    real = min(float(np.float32(beta)) * scale_in * (1 << 26), 2.0**31 - 1.0)
    multiplier, shift = quantize_multiplier(real)
    return multiplier, shift, -int(math.floor(31.0 * 2.0**26 / 2.0**shift))


def logistic_table(scale_in: float, zero_point_in: int) -> np.ndarray:
    """1 / (1 + exp(-x)) of every int8 from -128 to 127 in steps of 1/256 from -128, by TensorFlow
    Lite's fixed point (tensorflow/lite/kernels/internal/reference/integer_ops/logistic.h)."""

    def of(x: int) -> int:
        part = _int32(2 * _reciprocal(_exp_of_negative(-abs(x), 27)))
        return (1 << 30) if x == 0 else part if x > 0 else _LARGEST - part

    return _sigmoid_table(scale_in, zero_point_in, of, 23, -128)


def tanh_table(scale_in: float, zero_point_in: int) -> np.ndarray:
    """The hyperbolic tangent of every int8 from -128 to 127 in steps of 1/128, by TensorFlow Lite's
    fixed point (tensorflow/lite/kernels/internal/reference/integer_ops/tanh.h)."""

    def of(x: int) -> int:
        part = _int32(4 * (_reciprocal(_exp_of_negative(-abs(x), 26)) - (1 << 29)))
        return 0 if x == 0 else part if x > 0 else -part

    return _sigmoid_table(scale_in, zero_point_in, of, 24, 0)


def leaky_relu_table(
    scale_in: float, zero_point_in: int, scale_out: float, zero_point_out: int, alpha: float
) -> np.ndarray:
    """x, or alpha * x where x < 0, of every int8 from -128 to 127."""
    same = quantize_multiplier(scale_in / scale_out)
    below = signed_multiplier(scale_in * float(np.float32(alpha)) / scale_out)
    values = [q - zero_point_in for q in range(-128, 128)]
    steps = [requantize(x, *(same if x >= 0 else below)) + zero_point_out for x in values]
    return np.clip(steps, -128, 127)


def signed_multiplier(real: float) -> tuple[int, int]:
    """`quantize_multiplier` of a number of either sign."""
    multiplier, shift = quantize_multiplier(abs(real))
    return (-multiplier if real < 0 else multiplier), shift


def _sigmoid_table(
    scale_in: float, zero_point_in: int, function: Callable[[int], int], bits: int, zero_point: int
) -> np.ndarray:
    """A function from Q4.27 to Q0.31 of every int8, rounded by `bits`.

    Raises:
        ValueError: the scale would leave the reference's shifts.
    """
    if not 2.0**-28 <= scale_in < 8:
        raise ValueError(f"Scale must be from 2^-28 to 8. Received: {scale_in}")
    multiplier, shift = quantize_multiplier(scale_in * 2.0**27)
    radius = math.floor(15 * 2.0**27 / 2.0**shift)

    def of(x: int) -> int:
        if abs(x) >= radius:
            return 127 if x > 0 else -128
        return _divide_by_power(function(requantize(x, multiplier, shift)), bits) + zero_point

    return np.clip([of(q - zero_point_in) for q in range(-128, 128)], -128, 127)


# exp(-2^-2), exp(-2^-1) .. exp(-2^4) in Q0.31, as in the kernel of SOFTMAX.
_EXP_OF_MINUS_POWER = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)


def _exp_of_negative(a: int, fraction_bits: int) -> int:
    """exp(a) for a <= 0 with so many bits behind the point; the result in Q0.31."""
    if a == 0:
        return _LARGEST
    quarter = 1 << (fraction_bits - 2)
    fraction = (a & (quarter - 1)) - quarter
    x = (fraction << (31 - fraction_bits)) + (1 << 28)
    x2 = _high_multiply(x, x)
    x3, x4 = _high_multiply(x2, x), _high_multiply(x2, x2)
    cubic = _high_multiply(_divide_by_power(x4, 2) + x3, 715827883) + x2
    eighth = 1895147668
    result = eighth + _high_multiply(eighth, x + _divide_by_power(cubic, 1))
    for i, power in enumerate(_EXP_OF_MINUS_POWER[: 33 - fraction_bits]):
        if (fraction - a) >> (fraction_bits - 2 + i) & 1:
            result = _high_multiply(result, power)
    return result


def _reciprocal(a: int) -> int:
    """2 / (1 + a) for a in [0, 1) in Q0.31; the result in Q2.29."""
    half = (a + _LARGEST + 1) // 2
    x = 1515870810 + _high_multiply(half, -1010580540)
    for _ in range(3):
        x += _int32(_high_multiply(x, (1 << 29) - _high_multiply(half, x)) * 4)
    return x


def _high_multiply(a: int, b: int) -> int:
    """a * b / 2^31, to the nearest, halves up."""
    return (a * b + (1 << 30)) >> 31


def _int32(value: int) -> int:
    return min(max(value, -_LARGEST - 1), _LARGEST)
