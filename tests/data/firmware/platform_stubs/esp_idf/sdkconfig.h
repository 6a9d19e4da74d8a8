// A stub: the console of most boards; esp32cam's is the UART.
#ifndef STUB_UART
#define CONFIG_ESP_CONSOLE_USB_SERIAL_JTAG 1
#endif
#define CONFIG_ESP_CONSOLE_UART_BAUDRATE 115200
