// A stub: what the Arduino template uses of Arduino's core, to check its syntax.
#include <cstddef>
#include <cstdint>

struct StubSerial {
  void begin(unsigned long baud);
  explicit operator bool() const;
  int available();
  int read();
  size_t write(const uint8_t *bytes, size_t length);
};
extern StubSerial Serial;
unsigned long micros();
