// Custom operators for layers with weights: the kernels of tflm/kernels, their numbers from flash.
// micronet_mcu/to_tflm/kernel_ops.py makes them and describes what they store.
#ifndef MICRONET_KERNEL_OPS_H_
#define MICRONET_KERNEL_OPS_H_

#include "tflm_names.h"

namespace micronet {

Registration RegisterConv2D();
Registration RegisterConv2DColumnRGB();
Registration RegisterDepthwiseConv2D();
Registration RegisterGroupedConv2D();
Registration RegisterFullyConnected();

// Each adds one operator to a tflite::MicroMutableOpResolver, which copies the registration.
template <typename Resolver>
auto AddConv2D(Resolver &resolver) {
  Registration registration = RegisterConv2D();
  return resolver.AddCustom("MicroNetConv2D", &registration);
}

template <typename Resolver>
auto AddConv2DColumnRGB(Resolver &resolver) {
  Registration registration = RegisterConv2DColumnRGB();
  return resolver.AddCustom("MicroNetConv2DColumnRGB", &registration);
}

template <typename Resolver>
auto AddDepthwiseConv2D(Resolver &resolver) {
  Registration registration = RegisterDepthwiseConv2D();
  return resolver.AddCustom("MicroNetDepthwiseConv2D", &registration);
}

template <typename Resolver>
auto AddGroupedConv2D(Resolver &resolver) {
  Registration registration = RegisterGroupedConv2D();
  return resolver.AddCustom("MicroNetGroupedConv2D", &registration);
}

template <typename Resolver>
auto AddFullyConnected(Resolver &resolver) {
  Registration registration = RegisterFullyConnected();
  return resolver.AddCustom("MicroNetFullyConnected", &registration);
}

}  // namespace micronet

#endif  // MICRONET_KERNEL_OPS_H_
