// The firmware's model, compiled to plain C (model.h, model.c, model_weights.c).
#include "model.h"
#include "runtime.h"

namespace micronet {
namespace {

class CompiledModel final : public Runtime {
 public:
  Status Init() override { return {}; }
  int8_t *input() override { return model_input(); }
  Status Invoke() override {
    if (model_invoke(nullptr, nullptr) != 0) return {StatusCode::kInvoke};
    return {};
  }
  const int8_t *output() const override { return model_output(); }
  int32_t arena_used() const override { return MODEL_ARENA_SIZE; }
};

}  // namespace

Runtime &TheRuntime() {
  static CompiledModel model;
  return model;
}

}  // namespace micronet
