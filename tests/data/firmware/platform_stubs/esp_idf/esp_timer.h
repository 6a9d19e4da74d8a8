// A stub: ESP-IDF's clock.
#include <cstdint>
int64_t esp_timer_get_time();
