// A stub: ESP-IDF's error codes.
#ifndef STUB_ESP_ERR_H_
#define STUB_ESP_ERR_H_

typedef int esp_err_t;
#define ESP_OK 0
#define ESP_ERROR_CHECK(call) ((void)(call))

#endif  // STUB_ESP_ERR_H_
