/* What a program on an emulated board may call: printing, exit, exact instruction counts, stack use.
 *
 * A program defines `int main(void)`; its return value becomes the emulator's exit status. There is no operating
 * system and no heap. Output goes through semihosting.
 */
#ifndef MICRONET_BOARD_H_
#define MICRONET_BOARD_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

void board_print(const char *text);
void board_print_int(int64_t value);
/* "name value\n" */
void board_report(const char *name, int64_t value);
void board_exit(int status) __attribute__((noreturn));

/* Instructions executed between the return of count_begin and the call of count_end; the cost of measuring is
 * subtracted. Regions do not nest. */
void count_begin(void);
int64_t count_end(void);

/* The most bytes of stack that have been in use so far. */
uint32_t board_stack_used(void);

#ifdef __cplusplus
}
#endif
#endif
