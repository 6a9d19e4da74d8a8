"""Building for the emulated boards, running there, counting."""

import optional
import pytest

from micronet_mcu import boards as board
from micronet_mcu.boards import kernel_benchmark
from micronet_mcu.errors import UserError

# In assembly, because a compiler may move its own instructions into what is counted.
COUNTING = """
#include "board.h"
#define REGION(name, instructions)                                                  \\
  __attribute__((naked)) static int64_t name(void) {                                \\
    __asm__(".syntax unified\\n push {r4, lr}\\n bl count_begin\\n" instructions\\
            "\\n bl count_end\\n pop {r4, pc}");                                    \\
  }
REGION(none, "")
REGION(one, "nop")
REGION(five, "nop\\n nop\\n nop\\n nop\\n nop")
REGION(thousand, ".rept 1000\\n nop\\n .endr")
REGION(spin, "ldr r0, =12000000\\n 1: subs r0, #1\\n bne 1b")
int main(void) {
  board_report("none", none());
  board_report("one", one());
  board_report("five", five());
  board_report("thousand", thousand());
  board_report("spin", spin());
  return 7;
}
"""


@pytest.fixture(params=board.BOARDS)
def target(request):
    optional.require("arm-none-eabi-gcc", "qemu-system-arm")
    return board.find(request.param)


def build(target, folder, text, **options):
    source = folder / "main.c"
    source.write_text(text)
    return board.build(target, [source], folder / "main.elf", **options)


def test_counts_are_exact_and_the_same_on_every_run(target, tmp_path):
    elf = build(target, tmp_path, COUNTING)
    first, second = board.run(target, elf), board.run(target, elf)
    assert first == second
    assert first.exit_code == 7
    counts = {"none": 0, "one": 1, "five": 5, "thousand": 1000, "spin": 24_000_001}
    assert first.reports() == counts  # spin: several wraps of the timer


def test_reports_and_stack(target, tmp_path):
    text = """
    #include "board.h"
    static __attribute__((noinline)) int deep(int n) {
      volatile char room[1000];
      room[0] = (char)n;
      return n ? deep(n - 1) + room[0] : 0;
    }
    int main(void) {
      const uint32_t before = board_stack_used();
      deep(3);
      board_report("grown", board_stack_used() - before);
      board_report("negative", -1234567890123);
      return 0;
    }
    """
    run = board.run(target, build(target, tmp_path, text))
    reports = run.reports()
    assert 3500 < reports["grown"] < 4400
    assert reports["negative"] == -1234567890123
    assert run.exit_code == 0


def test_variables_are_initialised_and_sized(target, tmp_path):
    text = """
    static int filled[25] = {1, 2, 3};
    static const int table[50] = {4};
    volatile int zero;
    static char empty[400];
    int main(void) { return filled[2] + table[zero] + empty[3] + (int)sizeof empty % 7; }
    """
    elf = build(target, tmp_path, text, flags=["-O0"])
    assert board.run(target, elf).exit_code == 3 + 4 + 0 + 1
    size = board.footprint(elf)
    assert 300 <= size.constants <= 330
    assert 504 <= size.variables <= 520
    assert 0 < size.code < 1000  # Armv6-M divides in a library function
    assert board.symbol_sizes(elf)["empty"] == 400


def test_a_crash_ends_with_a_message(target, tmp_path):
    elf = build(target, tmp_path, "int main(void) { return *(volatile int *)0xf0000000; }")
    run = board.run(target, elf)
    assert run.exit_code == 125
    assert "crashed" in run.output


@pytest.mark.slow
def test_a_hanging_program_is_given_up(target, tmp_path):
    elf = build(target, tmp_path, "int main(void) { for (;;) { } }")
    with pytest.raises(UserError, match="did not end within 1 s"):
        board.run(target, elf, timeout_s=1)


def test_errors_in_the_source_are_told(target, tmp_path):
    with pytest.raises(UserError, match="error: .*nonsense"):
        build(target, tmp_path, "int main(void) { return nonsense; }")
    with pytest.raises(UserError, match="undefined reference to .missing"):
        build(target, tmp_path, "int missing(void); int main(void) { return missing(); }")


def test_unknown_board():
    with pytest.raises(UserError, match="choose one of cortex-m4, cortex-m7, cortex-m55, "):
        board.find("cortex-m0")


def test_missing_program(tmp_path):
    optional.require("qemu-system-arm")
    with pytest.raises(UserError, match="there is no program"):
        board.run(board.find("cortex-m4"), tmp_path / "none.elf")


def test_missing_tools(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="arm-none-eabi-gcc is not installed"):
        build(board.find("cortex-m4"), tmp_path, "int main(void) { return 0; }")
    with pytest.raises(UserError, match="qemu-system-arm is not installed"):
        board.run(board.find("cortex-m4"), tmp_path / "main.elf")
    with pytest.raises(UserError, match="arm-none-eabi-size is not installed"):
        board.footprint(tmp_path / "main.elf")


def test_footprint_of_no_program(tmp_path):
    optional.require("arm-none-eabi-gcc")
    path = tmp_path / "text.elf"
    path.write_text("no program")
    with pytest.raises(UserError, match="cannot read .*text.elf"):
        board.footprint(path)


@pytest.mark.slow
def test_kernel_benchmark(target):
    """One call of every kind compiles and is counted."""
    ops = [
        kernel_benchmark.column_rgb(8, 8, 3, 2, 2), kernel_benchmark.conv(4, 4, 8, 1, 1, 8),
        kernel_benchmark.depthwise(4, 4, 8, 3, 1, 1, 1, 1), kernel_benchmark.grouped(4, 8, 8, 2),
        kernel_benchmark.dense(8, 4), kernel_benchmark.pool(4, 8), kernel_benchmark.lookup(9),
        kernel_benchmark.dyshiftmax(4, 8, 2), kernel_benchmark.add(9),
    ]  # fmt: skip
    counts, sizes = kernel_benchmark.count(target, ops)
    assert len(counts) == len(ops) and min(counts) > 9
    assert sizes["micronet_add"] > 0
