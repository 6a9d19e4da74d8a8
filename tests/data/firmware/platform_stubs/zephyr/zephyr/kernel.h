// A stub: what the Zephyr template uses of the kernel.
int64_t k_uptime_ticks();
uint64_t k_ticks_to_us_floor64(uint64_t ticks);
void k_yield();
