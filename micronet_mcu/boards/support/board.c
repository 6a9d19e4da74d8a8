/* Start-up code, semihosting and instruction counting for the emulated boards. */
#include "board.h"

#include <stddef.h>

#ifndef BOARD_TICKS_PER_1000_INSTRUCTIONS
#error \
    "the build sets BOARD_TICKS_PER_1000_INSTRUCTIONS from the clock of the board and QEMU's -icount"
#endif

extern uint32_t board_data_start[], board_data_end[], board_data_load[];
extern uint32_t board_bss_start[], board_bss_end[];
extern uint32_t board_stack_bottom[], board_stack_top[];

int main(void);

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define SYSTICK_CONTROL REGISTER(0xE000E010u)
#define SYSTICK_RELOAD REGISTER(0xE000E014u)
#define SYSTICK_VALUE REGISTER(0xE000E018u)
#define CPACR REGISTER(0xE000ED88u)

#define TICKS_PER_WRAP 0x1000000
#define STACK_PAINT 0xC0FFEE11u

/* ---- semihosting ---- */

static int semihosting(int operation, const void *argument) {
  register int r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

void board_print(const char *text) { semihosting(0x04 /* SYS_WRITE0 */, text); }

void board_print_int(int64_t value) {
  /* By subtraction: a 64-bit division would link a library function into the measured program. */
  uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
  char buffer[24];
  char *p = buffer;
  if (value < 0) *p++ = '-';
  for (int digit = 19; digit >= 0; --digit) {
    uint64_t power = 1;
    for (int i = 0; i < digit; ++i) power *= 10;
    char c = '0';
    for (; rest >= power; rest -= power) ++c;
    if (c != '0' || digit == 0 || (p > buffer && p[-1] != '-')) *p++ = c;
  }
  *p = 0;
  board_print(buffer);
}

void board_report(const char *name, int64_t value) {
  board_print(name);
  board_print(" ");
  board_print_int(value);
  board_print("\n");
}

void board_exit(int status) {
  const uint32_t block[2] = {0x20026 /* ADP_Stopped_ApplicationExit */, (uint32_t)status};
  semihosting(0x20 /* SYS_EXIT_EXTENDED */, block);
  for (;;) {
  }
}

/* ---- counting ----
 * QEMU's virtual clock advances by a fixed number of nanoseconds an instruction, SysTick counts down at the board's
 * clock. An instruction is more than two ticks, so rounding the quotient gives the exact number. */

static volatile uint32_t wraps;
static volatile int64_t begun_at;
static int64_t empty_region; /* instructions that begin + end themselves take */

/* Five instructions, which count_end takes off again; every Cortex-M has them. */
#define INSTRUCTIONS_PER_WRAP 5
__attribute__((naked)) static void on_systick(void) {
  __asm__ volatile(
      ".syntax unified\n"
      "ldr r0, 1f\n"
      "ldr r1, [r0]\n"
      "adds r1, r1, #1\n"
      "str r1, [r0]\n"
      "bx lr\n"
      ".p2align 2\n"
      "1: .word %c0\n"
      :
      : "i"(&wraps));
}

static int64_t __attribute__((noinline)) ticks_now(void) {
  uint32_t before, value;
  do {
    before = wraps;
    value = SYSTICK_VALUE;
  } while (before != wraps);
  return (int64_t)before * TICKS_PER_WRAP + (TICKS_PER_WRAP - 1 - (int64_t)value);
}

static uint32_t wraps_at_begin;

void __attribute__((noinline)) count_begin(void) {
  wraps_at_begin = wraps;
  begun_at = ticks_now();
}

static int64_t __attribute__((noinline)) region_ticks(void) { return ticks_now() - begun_at; }

static int64_t rounded(int64_t ticks) {
  return (ticks * 1000 + BOARD_TICKS_PER_1000_INSTRUCTIONS / 2) / BOARD_TICKS_PER_1000_INSTRUCTIONS;
}

int64_t __attribute__((noinline)) count_end(void) {
  const int64_t ticks = region_ticks();
  const int64_t wrapped = wraps - wraps_at_begin;
  return rounded(ticks) - empty_region - wrapped * INSTRUCTIONS_PER_WRAP;
}

static void start_counting(void) {
  SYSTICK_RELOAD = TICKS_PER_WRAP - 1;
  SYSTICK_VALUE = 0;
  SYSTICK_CONTROL = 7; /* core clock, interrupt, on */
  while (SYSTICK_VALUE == 0) {
  }
  count_begin();
  (void)count_end();
  count_begin();
  empty_region = count_end();
}

/* ---- stack ---- */

uint32_t board_stack_used(void) {
  const uint32_t *p = board_stack_bottom;
  while (p < board_stack_top && *p == STACK_PAINT) ++p;
  return (uint32_t)((const char *)board_stack_top - (const char *)p);
}

/* ---- start-up ---- */

static void on_fault(void) {
  board_print("fault: the program crashed on the board\n");
  board_exit(125);
}

void __attribute__((noreturn, used)) board_start(void) {
  CPACR |= 0xFu << 20; /* FPU and Helium */
  __asm__ volatile("dsb\n isb" ::: "memory");
  const uint32_t *load = board_data_load;
  for (uint32_t *p = board_data_start; p < board_data_end;) *p++ = *load++;
  for (uint32_t *p = board_bss_start; p < board_bss_end;) *p++ = 0;
  uint32_t *here = (uint32_t *)__builtin_frame_address(0) - 64;
  for (uint32_t *p = board_stack_bottom; p < here;) *p++ = STACK_PAINT;
  start_counting();
  board_exit(main());
}

typedef void (*handler)(void);
__attribute__((section(".vectors"), used)) static const handler vectors[16] = {
    (handler)board_stack_top,
    board_start,
    on_fault,
    on_fault,
    on_fault,
    on_fault,
    on_fault,
    on_fault,
    on_fault,
    on_fault,
    on_fault,
    on_fault,
    on_fault,
    on_fault,
    on_fault,
    on_systick,
};
