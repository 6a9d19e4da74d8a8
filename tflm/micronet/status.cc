// Statuses as sentences.
#include "status.h"

namespace micronet {
namespace {

struct Wording {
  StatusCode code;
  const char *before;
  const char *between;  // nullptr: no numbers, or only the first
  const char *after;
};

constexpr Wording kWordings[] = {
    {StatusCode::kOk, "ok", nullptr, ""},
    {StatusCode::kSchemaVersion, "the model has schema version ", ", TFLM reads ", ""},
    {StatusCode::kOpMissing, "op_resolver.h lacks builtin operator ", nullptr,
     "; generate it from this model"},
    {StatusCode::kArenaTooSmall, "the arena is too small: ", " bytes, ", " are needed"},
    {StatusCode::kAllocation, "TFLM cannot prepare the model; its log says why", nullptr, ""},
    {StatusCode::kInputType, "the model's input has type ", ", not int8 which is ", ""},
    {StatusCode::kInputShape, "the model's input has ", " values, the firmware was made for ", ""},
    {StatusCode::kOutputType, "the model's output has type ", ", not int8 which is ", ""},
    {StatusCode::kOutputShape, "the model's output has ", " values, the firmware was made for ",
     ""},
    {StatusCode::kNotReady, "the model is not ready; Init failed or was not called", nullptr, ""},
    {StatusCode::kInvoke, "an operator failed; TFLM's log says which", nullptr, ""},
    {StatusCode::kImageSize, "an image side of ", " pixels; possible are 1 to ", ""},
    {StatusCode::kCrop, "the crop reaches to ", " in an image of ", ""},
    {StatusCode::kImageData, "rows of ", " bytes; a row of this image needs ", ""},
    {StatusCode::kNoCamera, "no camera, or it gave no picture", nullptr, ""},
};

constexpr bool HasNumber(const Wording &wording) {
  return wording.between != nullptr || wording.code == StatusCode::kOpMissing;
}

}  // namespace

void Describe(const Status &status, Text &text) {
  for (const Wording &wording : kWordings) {
    if (wording.code != status.code) continue;
    text.Add(wording.before);
    if (HasNumber(wording)) text.Add(status.found);
    if (wording.between != nullptr) text.Add(wording.between).Add(status.expected);
    text.Add(wording.after);
    return;
  }
}

}  // namespace micronet
