// A stub: what the Zephyr template uses of the kernel.
int64_t k_uptime_ticks();
uint64_t k_ticks_to_us_floor64(uint64_t ticks);
uint32_t k_cycle_get_32();
uint32_t k_cyc_to_us_floor32(uint32_t cycles);
uint32_t k_us_to_cyc_ceil32(uint32_t micros);
void k_yield();
