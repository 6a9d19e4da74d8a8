// A stub: what the ESP-IDF template uses of the UART driver, to check its syntax.
#include <cstddef>
#include <cstdint>

#include "esp_err.h"

enum uart_port_t { UART_NUM_0 };
enum uart_word_length_t { UART_DATA_8_BITS };
enum uart_parity_t { UART_PARITY_DISABLE };
enum uart_stop_bits_t { UART_STOP_BITS_1 };
enum uart_hw_flowcontrol_t { UART_HW_FLOWCTRL_DISABLE };
enum uart_sclk_t { UART_SCLK_DEFAULT };
struct uart_config_t {
  int baud_rate;
  uart_word_length_t data_bits;
  uart_parity_t parity;
  uart_stop_bits_t stop_bits;
  uart_hw_flowcontrol_t flow_ctrl;
  uint8_t rx_flow_ctrl_thresh;
  uart_sclk_t source_clk;
};
esp_err_t uart_param_config(uart_port_t port, const uart_config_t *config);
esp_err_t uart_driver_install(uart_port_t port, int rx, int tx, int queue_size, void *queue,
                              int flags);
int uart_read_bytes(uart_port_t port, void *buffer, uint32_t length, uint32_t ticks);
int uart_write_bytes(uart_port_t port, const void *text, size_t length);
