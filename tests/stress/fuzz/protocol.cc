// The serial protocol, fed with anything; byte 1 stands for a silence, the first byte chooses what fails.
#include "protocol.h"

#include <cstdlib>
#include <cstring>

#include "board.h"

namespace {

using micronet::Image;
using micronet::Status;
using micronet::StatusCode;

constexpr int kInput = 4 * 4 * 3;
constexpr int kMostInvocations = 100;  // "infer 99999 99999" would take its time

uint32_t clock_us;
int kind_of_failure;

class Model final : public micronet::Runtime {
 public:
  Status Init() override { return Answer(1); }
  int8_t *input() override { return input_; }
  Status Invoke() override {
    if (++invocations_ > kMostInvocations) return {StatusCode::kInvoke};
    memcpy(output_, input_, sizeof(output_));
    memset(input_, 0x55, sizeof(input_));
    return Answer(2);
  }
  const int8_t *output(int) const override { return output_; }
  int32_t arena_used() const override { return 1234; }

 private:
  static Status Answer(int bit) {
    if (kind_of_failure & bit) return {StatusCode::kInvoke};
    return {};
  }

  int8_t input_[kInput] = {};
  int8_t output_[5] = {};
  int invocations_ = 0;
};

const char *const kLabels[5] = {"a", "", "three", "\xff\xfe", "%"};
const int32_t kOutputSizes[1] = {5};
const int8_t kTestInput[kInput] = {1, 2, 3};
const int8_t kTestOutput[5] = {127, -128, 0, 1, 2};

}  // namespace

namespace micronet {

int BoardRead() { return -1; }
uint32_t BoardMicros() { return clock_us += 7; }

void BoardWrite(const char *text, size_t length) {
  // Every byte must be there to be read.
  static volatile char last;
  for (size_t i = 0; i < length; ++i) last = text[i];
}

bool BoardCapture(Image *image) {
  static uint8_t pixels[6 * 5 * 3];
  image->data = pixels;
  image->width = 6;
  image->height = kind_of_failure & 4 ? -5 : 5;
  return !(kind_of_failure & 8);
}

}  // namespace micronet

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  kind_of_failure = data[0] & 15;
  clock_us = 0xFFFFFF00u;
  const micronet::ModelInfo info = {
      "fuzzed",   4,          4, 3, 5, 1, kOutputSizes, 1000, data[0] & 16 ? nullptr : kLabels,
      kTestInput, kTestOutput};
  Model model;
  // On the heap, so that the sanitizer sees a byte too far.
  int8_t *image = static_cast<int8_t *>(malloc(kInput));
  micronet::Protocol protocol(info, model, image);
  protocol.Start();
  for (size_t i = 1; i < size; ++i) {
    if (data[i] == 1) {
      clock_us += 2 * micronet::kSilenceMicros;
      protocol.Idle();
    } else {
      protocol.Feed(data[i]);
    }
  }
  free(image);
  return 0;
}
