"""A valid flatbuffer and ways to damage it."""

from hypothesis import strategies as st
from tiny_tflite import small_micronet

RAW = small_micronet()
INTERESTING = [0, 1, 2, 4, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFF0]
# The tables come first in these files and the weights last, so aim at the front half.
MUTATIONS = st.lists(
    st.tuples(
        st.one_of(st.integers(0, len(RAW) - 1), st.integers(0, 4000)),
        st.one_of(st.integers(0, 255), st.sampled_from(INTERESTING)),
    ),
    min_size=1,
    max_size=4,
)


def mutate(raw, mutations, end=None):
    raw = bytearray(raw)
    for position, value in mutations:
        width = 1 if value < 256 else 2 if value < 1 << 16 else 4
        raw[position : position + width] = value.to_bytes(width, "little")
    return bytes(raw[:end])
