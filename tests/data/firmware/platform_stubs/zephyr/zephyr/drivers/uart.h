// A stub: what the Zephyr template uses of the UART interface.
typedef void (*uart_irq_callback_user_data_t)(const device *dev, void *data);
int uart_irq_update(const device *dev);
int uart_irq_rx_ready(const device *dev);
int uart_fifo_read(const device *dev, uint8_t *data, int size);
int uart_irq_callback_user_data_set(const device *dev, uart_irq_callback_user_data_t callback,
                                    void *data);
void uart_irq_rx_enable(const device *dev);
void uart_poll_out(const device *dev, unsigned char byte);
