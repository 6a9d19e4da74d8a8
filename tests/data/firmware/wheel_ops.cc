// Registers this project's operators with the tflite_micro wheel, which looks the function up by name.
//
// The wheel exports no AddCustom (a template, inlined into it), so its resolver's memory is described
// here: a vtable pointer, 200 registrations, their number. What was written is then read back through
// FindOp, which the wheel does export, so that another layout is noticed.
#include <cstring>

#include "dy_shift_max_op.h"
#include "kernel_ops.h"

namespace tflite {
namespace micro {

template <unsigned int tOpCount>
class MicroMutableOpResolver {
 public:
  const TFLMRegistration *FindOp(const char *name) const;
};
template <>
const TFLMRegistration *MicroMutableOpResolver<200>::FindOp(const char *name) const;

}  // namespace micro
}  // namespace tflite

namespace {

constexpr int kCustom = 32;

struct ResolverMemory {
  const void *vtable;
  micronet::Registration registrations[200];
  unsigned int length;
};

}  // namespace

namespace {

// Has the one method that the functions of tflm/micronet use of a resolver.
struct WheelResolver {
  ResolverMemory *memory;

  bool AddCustom(const char *name, const micronet::Registration *registration) {
    if (memory->length == 0 || memory->length >= 200) return false;
    micronet::Registration &added = memory->registrations[memory->length];
    added = *registration;
    added.builtin_code = kCustom;
    added.custom_name = name;
    ++memory->length;
    using Resolver = tflite::micro::MicroMutableOpResolver<200>;
    return reinterpret_cast<const Resolver *>(memory)->FindOp(name) == &added;
  }
};

}  // namespace

extern "C" bool RegisterMicroNetOps(void *resolver) {
  WheelResolver wheel = {static_cast<ResolverMemory *>(resolver)};
  return micronet::AddDYShiftMax(wheel) && micronet::AddConv2D(wheel) &&
         micronet::AddConv2DColumnRGB(wheel) && micronet::AddDepthwiseConv2D(wheel) &&
         micronet::AddGroupedConv2D(wheel) && micronet::AddFullyConnected(wheel);
}
