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

RING_BUF_DECLARE(received, 512);

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

uint32_t BoardMicros() {
  return static_cast<uint32_t>(k_ticks_to_us_floor64(static_cast<uint64_t>(k_uptime_ticks())));
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
