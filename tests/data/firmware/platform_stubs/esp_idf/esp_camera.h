// A stub: what the ESP-IDF template uses of the camera driver, to check its syntax.
#include <cstddef>
#include <cstdint>

#include "esp_err.h"
enum ledc_timer_t { LEDC_TIMER_0 };
enum ledc_channel_t { LEDC_CHANNEL_0 };
enum pixformat_t { PIXFORMAT_RGB565 };
enum framesize_t { FRAMESIZE_QVGA };
enum camera_fb_location_t { CAMERA_FB_IN_PSRAM };
enum camera_grab_mode_t { CAMERA_GRAB_WHEN_EMPTY };
struct camera_config_t {
  int pin_pwdn, pin_reset, pin_xclk, pin_sccb_sda, pin_sccb_scl;
  int pin_d7, pin_d6, pin_d5, pin_d4, pin_d3, pin_d2, pin_d1, pin_d0;
  int pin_vsync, pin_href, pin_pclk, xclk_freq_hz;
  ledc_timer_t ledc_timer;
  ledc_channel_t ledc_channel;
  pixformat_t pixel_format;
  framesize_t frame_size;
  int jpeg_quality;
  size_t fb_count;
  camera_fb_location_t fb_location;
  camera_grab_mode_t grab_mode;
};
struct camera_fb_t {
  uint8_t *buf;
  size_t len, width, height;
};
esp_err_t esp_camera_init(const camera_config_t *config);
camera_fb_t *esp_camera_fb_get();
void esp_camera_fb_return(camera_fb_t *frame);
