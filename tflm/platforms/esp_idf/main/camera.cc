// The camera of an ESP32 board, by Espressif's driver.
#include "camera.h"

#include "esp_camera.h"

namespace micronet {
namespace {

struct Pins {
  int power_down, clock, data_line, clock_line, vsync, href, pixel_clock, data[8];
};

// Of the ESP32-CAM of AI-Thinker.  // @esp32cam-only@
constexpr Pins kPin{32, 0, 26, 27, 25, 23, 22, {5, 18, 19, 21, 36, 39, 34, 35}};  // @esp32cam-only@
// Of the ESP32-S3-EYE.  // @esp32s3-only@
constexpr Pins kPin{-1, 15, 4, 5, 6, 7, 13, {11, 9, 8, 10, 12, 18, 17, 16}};  // @esp32s3-only@

bool ready = false;
camera_fb_t *frame = nullptr;

}  // namespace

void CameraInit() {
  camera_config_t config = {};
  config.pin_pwdn = kPin.power_down;
  config.pin_reset = -1;
  config.pin_xclk = kPin.clock;
  config.pin_sccb_sda = kPin.data_line;
  config.pin_sccb_scl = kPin.clock_line;
  config.pin_vsync = kPin.vsync;
  config.pin_href = kPin.href;
  config.pin_pclk = kPin.pixel_clock;
  config.pin_d0 = kPin.data[0];
  config.pin_d1 = kPin.data[1];
  config.pin_d2 = kPin.data[2];
  config.pin_d3 = kPin.data[3];
  config.pin_d4 = kPin.data[4];
  config.pin_d5 = kPin.data[5];
  config.pin_d6 = kPin.data[6];
  config.pin_d7 = kPin.data[7];
  config.xclk_freq_hz = 20000000;
  config.ledc_timer = LEDC_TIMER_0;
  config.ledc_channel = LEDC_CHANNEL_0;
  config.pixel_format = PIXFORMAT_RGB565;
  config.frame_size = FRAMESIZE_QVGA;
  config.fb_count = 1;
  config.fb_location = CAMERA_FB_IN_PSRAM;
  config.grab_mode = CAMERA_GRAB_WHEN_EMPTY;
  ready = esp_camera_init(&config) == ESP_OK;
}

bool CameraCapture(Image *image) {
  if (!ready) return false;
  if (frame != nullptr) esp_camera_fb_return(frame);
  // The buffer was filled long ago; the one after it is fresh.
  frame = esp_camera_fb_get();
  if (frame != nullptr) esp_camera_fb_return(frame);
  frame = esp_camera_fb_get();
  if (frame == nullptr) return false;
  image->data = frame->buf;
  image->width = static_cast<int>(frame->width);
  image->height = static_cast<int>(frame->height);
  image->format = PixelFormat::kRgb565BigEndian;
  return true;
}

}  // namespace micronet
