// A stub: what the ESP-IDF template uses of the USB-Serial-JTAG driver, to check its syntax.
#include <cstddef>
#include <cstdint>

#include "esp_err.h"

struct usb_serial_jtag_driver_config_t {
  uint32_t tx_buffer_size, rx_buffer_size;
};
esp_err_t usb_serial_jtag_driver_install(usb_serial_jtag_driver_config_t *config);
int usb_serial_jtag_read_bytes(void *buffer, uint32_t length, uint32_t ticks);
int usb_serial_jtag_write_bytes(const void *bytes, size_t size, uint32_t ticks);
