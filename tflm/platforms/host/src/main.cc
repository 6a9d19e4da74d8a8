// The firmware on a PC: the serial line is standard input and output. For trying things and for tests.
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>

#include "board.h"
#include "firmware.h"

namespace micronet {

void BoardInit() {}

int BoardRead() {
  static uint8_t bytes[4096];
  static ssize_t next = 0, count = 0;
  if (next < count) return bytes[next++];
  pollfd line = {STDIN_FILENO, POLLIN, 0};
  if (poll(&line, 1, 10) <= 0) return -1;
  next = 0;
  count = read(STDIN_FILENO, bytes, sizeof(bytes));
  if (count > 0) return bytes[next++];
  // The other end of a pseudo-terminal was closed, and may be opened again.
  if (count < 0 && errno == EIO) usleep(10000);
  if (count == 0) std::exit(0);
  return -1;
}

void BoardWrite(const char *text, size_t length) {
  while (length > 0) {
    const ssize_t sent = write(STDOUT_FILENO, text, length);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return;
    text += sent;
    length -= static_cast<size_t>(sent);
  }
}

uint32_t BoardMicros() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint32_t>(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
}

// A test picture: bands of colour, a little moved each time.
bool BoardCapture(Image *image) {
  constexpr int kWidth = 160, kHeight = 120;
  static uint8_t pixels[kWidth * kHeight * 2];
  static unsigned moved = 0;
  for (unsigned y = 0; y < kHeight; ++y) {
    for (unsigned x = 0; x < kWidth; ++x) {
      const unsigned red = (x + moved) / 5 % 32, green = y / 2 % 64, blue = (x + y) / 9 % 32;
      const unsigned pixel = red << 11 | green << 5 | blue;
      pixels[2 * (y * kWidth + x)] = static_cast<uint8_t>(pixel >> 8);
      pixels[2 * (y * kWidth + x) + 1] = static_cast<uint8_t>(pixel & 255);
    }
  }
  moved += 7;
  image->data = pixels;
  image->width = kWidth;
  image->height = kHeight;
  image->format = PixelFormat::kRgb565BigEndian;
  return true;
}

}  // namespace micronet

int main() {
  micronet::FirmwareStart();
  for (;;) micronet::FirmwarePoll();
}
