// What went wrong, in words and numbers. Every failure of the library is one of these.
#ifndef MICRONET_STATUS_H_
#define MICRONET_STATUS_H_

#include <cstddef>
#include <cstdint>

#include "text.h"

namespace micronet {

enum class StatusCode : uint8_t {
  kOk = 0,
  kSchemaVersion,  // found, expected: versions of the flatbuffer schema
  kOpMissing,  // found: the builtin operator's number; the generated resolver is not this model's
  kArenaTooSmall,  // found, expected: bytes
  kAllocation,     // TFLM refused the model for another reason, which it has logged
  kInputType,      // found, expected: TfLiteType
  kInputShape,     // found, expected: number of values
  kOutputType,     // found, expected: TfLiteType
  kOutputShape,    // found, expected: number of values
  kNotReady,       // Init has not been called, or it failed
  kInvoke,         // an operator failed; TFLM has logged which
  kImageSize,      // found: the image's width or height; expected: the largest that is possible
  kCrop,           // the crop leaves the image; found: its end, expected: the image's size
  kImageData,      // found, expected: bytes between rows
  kNoCamera,       // the board has none, or it gave no picture
};

struct Status {
  StatusCode code = StatusCode::kOk;
  int32_t found = 0;
  int32_t expected = 0;

  constexpr bool ok() const { return code == StatusCode::kOk; }
};

// "the arena is too small: 20000 bytes, 79600 are needed"
void Describe(const Status &status, Text &text);

}  // namespace micronet

#endif  // MICRONET_STATUS_H_
