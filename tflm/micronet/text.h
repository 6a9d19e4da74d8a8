// Text in a buffer of fixed size, without printf: what does not fit is left out.
#ifndef MICRONET_TEXT_H_
#define MICRONET_TEXT_H_

#include <cstddef>
#include <cstdint>

namespace micronet {

class Text {
 public:
  // `size` bytes at `buffer`, of which the last is for the terminating zero.
  Text(char *buffer, size_t size) : buffer_(buffer), capacity_(size - 1) { buffer_[0] = 0; }

  Text &Add(const char *text) {
    while (*text != 0) Add(*text++);
    return *this;
  }
  Text &Add(char character) {
    if (length_ < capacity_) {
      buffer_[length_++] = character;
      buffer_[length_] = 0;
    }
    return *this;
  }
  Text &Add(int32_t value) {
    if (value < 0) Add('-');
    return Add(value < 0 ? 0u - static_cast<uint32_t>(value) : static_cast<uint32_t>(value));
  }
  Text &Add(uint32_t value) {
    char digits[10];
    int count = 0;
    do {
      digits[count++] = static_cast<char>('0' + value % 10);
      value /= 10;
    } while (value != 0);
    while (count > 0) Add(digits[--count]);
    return *this;
  }
  Text &AddHex(uint32_t value, int digits) {
    while (digits-- > 0) Add("0123456789ABCDEF"[(value >> (4 * digits)) & 15]);
    return *this;
  }

  const char *c_str() const { return buffer_; }
  size_t length() const { return length_; }

 private:
  char *buffer_;
  size_t capacity_;
  size_t length_ = 0;
};

}  // namespace micronet

#endif  // MICRONET_TEXT_H_
