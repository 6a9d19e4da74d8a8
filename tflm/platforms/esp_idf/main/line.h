// The serial line: where ESP-IDF's console is (idf.py menuconfig, "Channel for console output").
#ifndef MICRONET_LINE_H_
#define MICRONET_LINE_H_

#include <cstddef>
#include <cstdint>

#include "freertos/FreeRTOS.h"
#include "sdkconfig.h"
#if CONFIG_ESP_CONSOLE_USB_SERIAL_JTAG
#include "driver/usb_serial_jtag.h"
#else
#include "driver/uart.h"
#endif

namespace micronet {

// What arrives during an inference waits in it.
constexpr int kReceiveBytes = 4096 + 256;

#if CONFIG_ESP_CONSOLE_USB_SERIAL_JTAG

inline void LineInit() {
  usb_serial_jtag_driver_config_t config = {};
  config.tx_buffer_size = 1024;
  config.rx_buffer_size = kReceiveBytes;
  ESP_ERROR_CHECK(usb_serial_jtag_driver_install(&config));
}

inline bool LineRead(uint8_t *byte) { return usb_serial_jtag_read_bytes(byte, 1, 0) == 1; }

// Gives up when nobody has taken anything for a while: the socket may be empty.
inline void LineWrite(const char *text, size_t length) {
  while (length > 0) {
    const int sent = usb_serial_jtag_write_bytes(text, length, pdMS_TO_TICKS(200));
    if (sent <= 0) return;
    text += sent;
    length -= static_cast<size_t>(sent);
  }
}

#else

constexpr uart_port_t kPort = UART_NUM_0;

inline void LineInit() {
  uart_config_t config = {};
  config.baud_rate = CONFIG_ESP_CONSOLE_UART_BAUDRATE;
  config.data_bits = UART_DATA_8_BITS;
  config.parity = UART_PARITY_DISABLE;
  config.stop_bits = UART_STOP_BITS_1;
  config.flow_ctrl = UART_HW_FLOWCTRL_DISABLE;
  config.source_clk = UART_SCLK_DEFAULT;
  ESP_ERROR_CHECK(uart_param_config(kPort, &config));
  ESP_ERROR_CHECK(uart_driver_install(kPort, kReceiveBytes, 0, 0, nullptr, 0));
}

inline bool LineRead(uint8_t *byte) { return uart_read_bytes(kPort, byte, 1, 0) == 1; }

inline void LineWrite(const char *text, size_t length) { uart_write_bytes(kPort, text, length); }

#endif

}  // namespace micronet

#endif  // MICRONET_LINE_H_
