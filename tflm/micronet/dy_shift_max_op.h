// The custom operator MicroNetDYShiftMax: DY-ShiftMax in one pass, by the kernel of tflm/kernels.
#ifndef MICRONET_DY_SHIFT_MAX_OP_H_
#define MICRONET_DY_SHIFT_MAX_OP_H_

#include "tflm_names.h"

namespace micronet {

constexpr char kDYShiftMaxName[] = "MicroNetDYShiftMax";

// The numbers come ready in the flatbuffer (custom_options; micronet_mcu/to_tflm/fused_ops.py has
// the layout), are checked when tensors are allocated, and are used where they lie. No SRAM is
// taken.
Registration RegisterDYShiftMax();

// Adds the operator to a tflite::MicroMutableOpResolver.
template <typename Resolver>
auto AddDYShiftMax(Resolver &resolver) {
  Registration registration = RegisterDYShiftMax();  // the resolver copies it
  return resolver.AddCustom(kDYShiftMaxName, &registration);
}

}  // namespace micronet

#endif  // MICRONET_DY_SHIFT_MAX_OP_H_
