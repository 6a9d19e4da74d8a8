// Registers this project's operator with the tflite_micro wheel, which looks the function up by name.
//
// The wheel exports no AddCustom (a template, inlined into it), so its resolver's memory is described
// here: a vtable pointer, 200 registrations, their number. What was written is then read back through
// FindOp, which the wheel does export, so that another layout is noticed.
#include <cstring>

#include "dy_shift_max_op.h"

namespace tflite {
namespace micro {

template <unsigned int tOpCount>
class MicroMutableOpResolver {
 public:
  const TFLMRegistration* FindOp(const char* name) const;
};
template <>
const TFLMRegistration* MicroMutableOpResolver<200>::FindOp(const char* name) const;

}  // namespace micro
}  // namespace tflite

namespace {

constexpr int kCustom = 32;

struct ResolverMemory {
  const void* vtable;
  micronet::Registration registrations[200];
  unsigned int length;
};

}  // namespace

extern "C" bool RegisterMicroNetOps(void* resolver) {
  auto* memory = static_cast<ResolverMemory*>(resolver);
  if (memory->length == 0 || memory->length >= 200) return false;
  micronet::Registration& added = memory->registrations[memory->length];
  added = micronet::RegisterDYShiftMax();
  added.builtin_code = kCustom;
  added.custom_name = micronet::kDYShiftMaxName;
  ++memory->length;
  const auto* typed = static_cast<const tflite::micro::MicroMutableOpResolver<200>*>(resolver);
  return typed->FindOp(micronet::kDYShiftMaxName) == &added;
}
