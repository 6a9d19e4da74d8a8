// @NAME@: a MicroNet behind the console's serial line of a Zephyr board.
#include <zephyr/device.h>
#include <zephyr/drivers/uart.h>
#include <zephyr/kernel.h>
#include <zephyr/sys/ring_buffer.h>

#include "board.h"
#include "firmware.h"

namespace micronet {
namespace {

const device *const line = DEVICE_DT_GET(DT_CHOSEN(zephyr_console));

RING_BUF_DECLARE(received, 4096 + 256);

// What arrives during an inference waits in the ring.
void OnReceive(const device *uart, void *) {
  while (uart_irq_update(uart) && uart_irq_rx_ready(uart)) {
    uint8_t bytes[16];
    const int count = uart_fifo_read(uart, bytes, sizeof(bytes));
    if (count <= 0) return;
    ring_buf_put(&received, bytes, static_cast<uint32_t>(count));
  }
}

}  // namespace

void BoardInit() {
  if (!device_is_ready(line)) return;
  uart_irq_callback_user_data_set(line, OnReceive, nullptr);
  uart_irq_rx_enable(line);
}

int BoardRead() {
  uint8_t byte;
  return ring_buf_get(&received, &byte, 1) == 1 ? byte : -1;
}

void BoardWrite(const char *text, size_t length) {
  for (size_t i = 0; i < length; ++i) uart_poll_out(line, static_cast<unsigned char>(text[i]));
}

// By the cycle counter: kernel ticks may be 10 ms long. It has 32 bits and may wrap within seconds, so
// what takes longer than a second is counted in ticks, which are fine enough for that.
uint32_t BoardMicros() {
  static uint32_t micros = 0, cycles = k_cycle_get_32();
  static int64_t ticks = k_uptime_ticks();
  const uint32_t cycles_now = k_cycle_get_32();
  const int64_t ticks_now = k_uptime_ticks();
  const uint64_t coarse = k_ticks_to_us_floor64(static_cast<uint64_t>(ticks_now - ticks));
  // Whole microseconds only: the rest stays for the next call.
  const uint32_t fine = k_cyc_to_us_floor32(cycles_now - cycles);
  if (coarse < 1000000) {
    if (fine == 0) return micros;
    micros += fine;
    cycles += k_us_to_cyc_ceil32(fine);
  } else {
    micros += static_cast<uint32_t>(coarse);
    cycles = cycles_now;
  }
  ticks = ticks_now;
  return micros;
}

// No camera in this template.
bool BoardCapture(Image *) { return false; }

}  // namespace micronet

int main() {
  micronet::FirmwareStart();
  for (;;) {
    micronet::FirmwarePoll();
    k_yield();
  }
}
