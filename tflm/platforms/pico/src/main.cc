// @NAME@: a MicroNet behind the USB serial line of a Raspberry Pi Pico.
#include "board.h"
#include "firmware.h"
#include "pico/stdlib.h"

namespace micronet {

void BoardInit() { stdio_init_all(); }

int BoardRead() {
  const int byte = getchar_timeout_us(0);
  return byte == PICO_ERROR_TIMEOUT ? -1 : byte & 255;
}

void BoardWrite(const char *text, size_t length) {
  for (size_t i = 0; i < length; ++i) putchar_raw(text[i]);
  stdio_flush();
}

uint32_t BoardMicros() { return time_us_32(); }

// No camera in this template.
bool BoardCapture(Image *) { return false; }

}  // namespace micronet

int main() {
  micronet::FirmwareStart();
  for (;;) micronet::FirmwarePoll();
}
