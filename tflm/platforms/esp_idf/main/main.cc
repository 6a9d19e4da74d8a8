// @NAME@: a MicroNet behind UART 0 of an ESP32.
#include "board.h"
#include "camera.h"  // @camera-only@
#include "driver/uart.h"
#include "esp_timer.h"
#include "firmware.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"

namespace micronet {

constexpr uart_port_t kPort = UART_NUM_0;

void BoardInit() {
  uart_config_t config = {};
  config.baud_rate = 115200;
  config.data_bits = UART_DATA_8_BITS;
  config.parity = UART_PARITY_DISABLE;
  config.stop_bits = UART_STOP_BITS_1;
  config.flow_ctrl = UART_HW_FLOWCTRL_DISABLE;
  config.source_clk = UART_SCLK_DEFAULT;
  ESP_ERROR_CHECK(uart_param_config(kPort, &config));
  ESP_ERROR_CHECK(uart_driver_install(kPort, 1024, 0, 0, nullptr, 0));
  CameraInit();  // @camera-only@
}

int BoardRead() {
  uint8_t byte;
  return uart_read_bytes(kPort, &byte, 1, 0) == 1 ? byte : -1;
}

void BoardWrite(const char *text, size_t length) { uart_write_bytes(kPort, text, length); }

uint32_t BoardMicros() { return static_cast<uint32_t>(esp_timer_get_time()); }

bool BoardCapture(Image *image) { return CameraCapture(image); }  // @camera-only@
bool BoardCapture(Image *) { return false; }                      // @serial-only@

}  // namespace micronet

extern "C" void app_main() {
  micronet::FirmwareStart();
  for (;;) {
    micronet::FirmwarePoll();
    vTaskDelay(1);  // lets the idle task live
  }
}
