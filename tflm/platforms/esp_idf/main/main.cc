// @NAME@: a MicroNet behind the console's socket of an ESP32: the chip's own USB, or UART 0.
#include "board.h"
#include "camera.h"  // @camera-only@
#include "esp_timer.h"
#include "firmware.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "line.h"

namespace micronet {

void BoardInit() {
  LineInit();
  CameraInit();  // @camera-only@
}

int BoardRead() {
  uint8_t byte;
  return LineRead(&byte) ? byte : -1;
}

void BoardWrite(const char *text, size_t length) { LineWrite(text, length); }

uint32_t BoardMicros() { return static_cast<uint32_t>(esp_timer_get_time()); }

bool BoardCapture(Image *image) { return CameraCapture(image); }  // @camera-only@
bool BoardCapture(Image *) { return false; }                      // @serial-only@

}  // namespace micronet

extern "C" void app_main() {
  micronet::FirmwareStart();
  for (;;) {
    micronet::FirmwarePoll();
    vTaskDelay(1);  // lets the idle task live
  }
}
