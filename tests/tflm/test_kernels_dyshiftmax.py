"""The fused Dynamic Shift-Max against exact arithmetic and against separate operators."""

import ctypes as c

import kernel_library as k
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

quick = settings(max_examples=60, derandomize=True, database=None)
INITS = (1.0, 0.0, 1.0, 0.0)  # of a1, b1, a2, b2
COEFFICIENT_SCALE = 4 / 255


class Case:
    """Random x and coefficients, and the exact result in output steps."""

    def __init__(self, seed, pixels, channels, branches, source, ratio, zeros):
        rng = np.random.default_rng(seed)
        self.zeros, self.branches = zeros, branches
        self.in_scale = float(rng.uniform(0.01, 0.1))
        self.x = rng.integers(-128, 128, (pixels, channels)).astype(np.int8)
        self.coefficients = rng.integers(-128, 128, (4, channels)).astype(np.int8)
        # The range [init - 2, init + 2] in 255 steps.
        self.coefficient_zeros = [round(-(init - 2) / COEFFICIENT_SCALE) - 128 for init in INITS]
        self.shift = rng.permutation(channels).astype(np.uint16)
        self.source = rng.permutation(channels).astype(np.uint16) if source else None
        self.out_scale = self.in_scale / ratio
        real_x = self.in_scale * (self.x.astype(np.float64) - zeros[0])
        real = [
            COEFFICIENT_SCALE * (q.astype(np.float64) - zero)
            for q, zero in zip(self.coefficients, self.coefficient_zeros, strict=True)
        ]
        shifted = real_x[:, self.shift]
        y = real[0] * real_x + real[1] * shifted
        if branches == 2:
            y = np.maximum(y, real[2] * real_x + real[3] * shifted)
        if source:
            y = y[:, self.source]
        self.exact = np.clip(y / self.out_scale + zeros[1], -128, 127)

    def fused(self, reference, scratch_pixels=None):
        multiplier = round(COEFFICIENT_SCALE * self.in_scale / self.out_scale * 2**28)
        pixels, channels = self.x.shape
        params = k.DyShiftMax(
            pixels=pixels, channels=channels, branches=self.branches,
            input_zero_point=self.zeros[0], output_zero_point=self.zeros[1],
            coefficient=(k.Coefficient * 4)(
                *[k.Coefficient(multiplier, zero) for zero in self.coefficient_zeros]
            ),
            shift=k.pointer(self.shift), source=k.pointer(self.source),
        )  # fmt: skip
        rows = (c.c_void_p * 4)(*[self.coefficients[i].ctypes.data for i in range(4)])
        if scratch_pixels is None:
            out = np.zeros_like(self.x)
            k.call("dyshiftmax", reference, params, self.x, rows, out, None, c.c_size_t(0))
        else:
            out = self.x.copy()
            size = channels * scratch_pixels
            scratch = k.scratch(size)
            k.call("dyshiftmax", reference, params, out, rows, out, scratch, c.c_size_t(size))
        return out

    def operator_by_operator(self):
        """GATHER, MUL, ADD, MAXIMUM as TF Lite Micro computes them, well calibrated."""
        z2 = self.x[:, self.shift]
        sums = []
        real_x = self.in_scale * (self.x.astype(np.float64) - self.zeros[0])
        for a, b in ((0, 1), (2, 3))[: self.branches]:
            products, scales, zeros, reals = [], [], [], []
            for which, source in ((a, self.x), (b, np.ascontiguousarray(z2))):
                coefficient = np.ascontiguousarray(self.coefficients[which])
                real = COEFFICIENT_SCALE * (
                    coefficient.astype(np.float64) - self.coefficient_zeros[which]
                )
                real = real * (real_x if which in (0, 2) else real_x[:, self.shift])
                scale, zero = calibrated(real)
                params = self._binary(
                    source, coefficient, (self.zeros[0], self.coefficient_zeros[which], zero)
                )
                m = self.in_scale * COEFFICIENT_SCALE / scale
                params.out_multiplier, params.out_shift = k.quantize_multiplier(m)
                product = np.zeros_like(self.x)
                k.call("mul", True, params, source, coefficient, product)
                products.append(product)
                scales.append(scale)
                zeros.append(zero)
                reals.append(real)
            params = self._binary(*products, (*zeros, self.zeros[1]))
            twice = 2 * max(scales)
            params.in1_multiplier, params.in1_shift = k.quantize_multiplier(scales[0] / twice)
            params.in2_multiplier, params.in2_shift = k.quantize_multiplier(scales[1] / twice)
            params.out_multiplier, params.out_shift = k.quantize_multiplier(
                twice / (2**20 * self.out_scale)
            )
            total = np.zeros_like(self.x)
            k.call("add_plain", True, params, *products, total)
            sums.append(total)
        y = np.maximum(*sums) if self.branches == 2 else sums[0]
        return y if self.source is None else y[:, self.source]

    @staticmethod
    def _binary(a, b, zeros):
        return k.Binary(
            count=a.size, in1_count=a.size, in2_count=b.size, in1_zero_point=zeros[0],
            in2_zero_point=zeros[1], output_zero_point=zeros[2], clamp_min=-128, clamp_max=127,
        )  # fmt: skip


def calibrated(real):
    """Scale and zero point of a tensor by its range, as a converter chooses them."""
    low, high = min(real.min(), 0.0), max(real.max(), 0.0)
    scale = max((high - low) / 255, 1e-6)
    return scale, int(np.clip(round(-128 - low / scale), -128, 127))


cases = {
    "seed": st.integers(0, 2**32 - 1), "pixels": st.integers(1, 40), "channels": st.integers(1, 33),
    "branches": st.integers(1, 2), "source": st.booleans(), "ratio": st.floats(0.05, 1.98),
    "zeros": st.tuples(st.integers(-128, 127), st.integers(-128, 127)),
}  # fmt: skip


@pytest.mark.slow
@quick
@given(**cases, scratch_pixels=st.integers(1, 50))
def test_at_most_a_rounding_from_exact(scratch_pixels, **case):
    case = Case(**case)
    out = case.fused(reference=True)
    assert np.abs(out - case.exact).max() <= 0.5 + 0.07
    np.testing.assert_array_equal(case.fused(reference=False), out)
    np.testing.assert_array_equal(case.fused(True, scratch_pixels), out)
    np.testing.assert_array_equal(case.fused(False, scratch_pixels), out)


@quick
@given(
    seed=st.integers(0, 2**32 - 1), branches=st.integers(1, 2), source=st.booleans(),
    ratio=st.floats(0.2, 0.6), zero=st.integers(-100, 100),
)  # fmt: skip
def test_less_error_than_operator_by_operator(seed, branches, source, ratio, zero):
    case = Case(seed, 60, 32, branches, source, ratio, (zero, -20))
    fused = np.abs(case.fused(reference=False) - case.exact).mean()
    separate = np.abs(case.operator_by_operator() - case.exact).mean()
    assert fused < separate
