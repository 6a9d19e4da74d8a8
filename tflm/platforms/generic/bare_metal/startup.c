/* From reset to main: the FPU, variables, constructors. */
#include <stdint.h>

extern uint32_t data_start[], data_end[], data_load[], bss_start[], bss_end[], stack_top[];
typedef void (*handler)(void);
extern const handler init_start[], init_end[];

int main(void);
void SysTickHandler(void);

void __attribute__((noreturn, used)) Reset(void) {
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
  *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20;
  __asm__ volatile("dsb\n isb" ::: "memory");
#endif
  const uint32_t *load = data_load;
  for (uint32_t *p = data_start; p < data_end;) *p++ = *load++;
  for (uint32_t *p = bss_start; p < bss_end;) *p++ = 0;
  for (const handler *p = init_start; p < init_end;) (*p++)();
  main();
  for (;;) {
  }
}

/* A fault: a debugger shows where. */
static void Stop(void) {
  for (;;) {
  }
}

__attribute__((section(".vectors"), used)) static const handler vectors[16] = {
    (handler)(void *)stack_top,
    Reset,
    Stop,
    Stop,
    Stop,
    Stop,
    Stop,
    Stop,
    Stop,
    Stop,
    Stop,
    Stop,
    Stop,
    Stop,
    Stop,
    SysTickHandler,
};
