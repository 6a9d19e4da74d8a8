// @NAME@: a MicroNet behind the serial line of an Arduino Nano 33 BLE Sense.
#include <TensorFlowLite.h>  // first: by it arduino-cli finds the library  // @tflm-only@
#include <Arduino_OV767X.h>  // @camera-only@

#include "src/board.h"
#include "src/firmware.h"

namespace micronet {

// The USB serial port ignores the baud rate.
void BoardInit() {
  Serial.begin(115200);
  Camera.begin(QCIF, RGB565, 1, OV7675);  // @camera-only@
}

int BoardRead() { return Serial.available() > 0 ? Serial.read() : -1; }

void BoardWrite(const char *text, size_t length) {
  Serial.write(reinterpret_cast<const uint8_t *>(text), length);
}

uint32_t BoardMicros() { return micros(); }

bool BoardCapture(Image *image) {
  static uint8_t qcif[176 * 144 * 2];                                 // @camera-only@
  if (Camera.width() != 176 || Camera.height() != 144) return false;  // @camera-only@
  Camera.readFrame(qcif);                                             // @camera-only@
  image->data = qcif;                                                 // @camera-only@
  image->width = 176;                                                 // @camera-only@
  image->height = 144;                                                // @camera-only@
  image->format = PixelFormat::kRgb565BigEndian;                      // @camera-only@
  return true;                                                        // @camera-only@
  (void)image;                                                        // @serial-only@
  return false;                                                       // @serial-only@
}

}  // namespace micronet

void setup() { micronet::FirmwareStart(); }

void loop() { micronet::FirmwarePoll(); }
