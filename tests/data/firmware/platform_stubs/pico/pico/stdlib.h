// A stub: what the Pico template uses of the SDK, to check its syntax.
#include <cstddef>
#include <cstdint>
enum { PICO_ERROR_TIMEOUT = -1 };
bool stdio_init_all();
int getchar_timeout_us(uint32_t timeout);
int putchar_raw(int c);
void stdio_flush();
uint32_t time_us_32();
