// Converts pictures from standard input, for the tests. A request is nine int32 (format, width, height,
// row bytes, crop's left, top, width, height, bytes of data), three int32 (output width, height,
// channels) and the data; the answer three int32 (code, found, expected) and, if the code is 0, the output.
#include <cstdio>
#include <cstdlib>

#include "image.h"
#include "text.h"

int main() {
  int32_t request[12];
  while (fread(request, sizeof(request), 1, stdin) == 1) {
    // Memory of exactly the sizes, so that the sanitizer sees every byte too far.
    uint8_t *data = static_cast<uint8_t *>(malloc(request[8] > 0 ? request[8] : 1));
    if (request[8] > 0 && fread(data, request[8], 1, stdin) != 1) return 1;
    const long size = request[9] > 0 && request[10] > 0 && request[9] <= 4096 && request[10] <= 4096
                          ? static_cast<long>(request[9]) * request[10] * request[11]
                          : 0;
    int8_t *output = static_cast<int8_t *>(malloc(size > 0 ? size : 1));
    micronet::Image image;
    image.data = data;
    image.format = static_cast<micronet::PixelFormat>(request[0]);
    image.width = request[1];
    image.height = request[2];
    image.row_bytes = request[3];
    const micronet::Crop crop = {request[4], request[5], request[6], request[7]};
    const micronet::Status status =
        micronet::FillInput(image, crop, request[9], request[10], request[11], output);
    const int32_t answer[3] = {static_cast<int32_t>(status.code), status.found, status.expected};
    fwrite(answer, sizeof(answer), 1, stdout);
    if (status.ok()) fwrite(output, size, 1, stdout);
    fflush(stdout);
    char words[100];
    micronet::Text text(words, sizeof(words));
    micronet::Describe(status, text);
    fprintf(stderr, "%s\n", words);
    free(output);
    free(data);
  }
  return 0;
}
