// A stub: Zephyr's ring buffer.
struct ring_buf {};
#define RING_BUF_DECLARE(name, size) ring_buf name
uint32_t ring_buf_put(ring_buf *ring, const uint8_t *data, uint32_t size);
uint32_t ring_buf_get(ring_buf *ring, uint8_t *data, uint32_t size);
