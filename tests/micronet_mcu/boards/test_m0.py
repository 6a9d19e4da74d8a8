"""What MicroNet-M0 costs, exactly, for one flatbuffer that is kept with the tests.

M0 at 96 px for ten classes, trained for 200 steps on micronet_shapes and calibrated. A change may
lower the numbers, and then writes the lower ones here. Against commit 63d9917 instructions are 15 %
(M4, M7) and 24 % (M55) lower and SRAM is no more. Code is 1.4 KB (M4, M7) and 1.6 KB (M55) larger:
on the M55 for short depthwise lines with their weights in registers, one form for each number of
taps; on the others because the grouped 1x1 layers run in the core that all convolutions share and
that halves the instructions of others' networks (micronet_four_pixels), and because dense layers
take eight inputs a turn.
"""

import optional
import pytest
from paths import DATA

from micronet_mcu.boards import count_on_board, find
from micronet_mcu.to_c import compile_model

MODEL = DATA / "models" / "m0_96px.tflite"
COSTS = {
    "cortex-m4": {"instructions": 2_864_861, "sram": 28_988, "stack": 1_148, "code": 12_552,
                  "data": 448_956},
    "cortex-m7": {"instructions": 2_867_948, "sram": 28_988, "stack": 1_148, "code": 12_576,
                  "data": 448_956},
    "cortex-m55": {"instructions": 1_453_834, "sram": 28_476, "stack": 636, "code": 13_924,
                   "data": 448_980},
}  # fmt: skip
UNFUSED = {"cortex-m4": 5_152_459, "cortex-m55": 2_875_483}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    optional.require("arm-none-eabi-gcc", "qemu-system-arm")
    return compile_model(MODEL, tmp_path_factory.mktemp("m0") / "c")


@pytest.mark.slow
@pytest.mark.parametrize("board", COSTS)
def test_m0_costs_what_it_did(board, compiled):
    cost = count_on_board(compiled, find(board))
    found = {
        "instructions": cost.instructions,
        "sram": cost.sram_bytes,
        "stack": cost.stack_bytes,
        "code": cost.flash_code_bytes,
        "data": cost.flash_data_bytes,
    }
    assert found == COSTS[board]
    # No other variable than the arena, which is as small as can be.
    plan = compiled.program.arena.plan
    assert cost.sram_bytes - cost.stack_bytes == plan.size == plan.lower_bound == 27_840
    # Measuring step by step costs a call now and then, and saves one.
    steps = sum(step.instructions for step in cost.steps)
    assert abs(cost.instructions - steps) < len(cost.steps)
    # A kernel's work is in its helpers: 1-d depthwise is no wrapper of a few bytes.
    assert cost.kernel_bytes["micronet_depthwise_1d"] > 1000 or board == "cortex-m55"
    assert all(size > 20 for size in cost.kernel_bytes.values())


@pytest.mark.slow
@pytest.mark.parametrize("board", UNFUSED)
def test_m0_operator_by_operator(board, tmp_path):
    optional.require("arm-none-eabi-gcc", "qemu-system-arm")
    compiled = compile_model(MODEL, tmp_path / "c", fuse=False)
    assert count_on_board(compiled, find(board)).instructions == UNFUSED[board]


@pytest.mark.slow
@pytest.mark.parametrize("board", ["cortex-m4", "cortex-m55"])
@pytest.mark.parametrize("flags", ["-Os -ffreestanding -fno-omit-frame-pointer", "-O3"])
def test_the_options_of_a_project_do_not_slow_it_down(flags, board, compiled):
    """The kernels are compiled as -O2 would, and memcpy of four bytes is no call."""
    cost = count_on_board(compiled, find(board), tuple(flags.split()))
    assert cost.instructions < 1.05 * COSTS[board]["instructions"]
