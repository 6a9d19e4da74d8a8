// The firmware's model, compiled to plain C (model.h, model.c, model_weights.c).
#include "model.h"
#include "model_data.h"
#include "runtime.h"

namespace micronet {
namespace {

const int8_t *(*const kOutputs[])() = MODEL_OUTPUT_PLACES;

class CompiledModel final : public Runtime {
 public:
  Status Init() override { return {}; }
  int8_t *input() override { return model_input(); }
  Status Invoke() override {
    if (model_invoke(MODEL_NO_BUFFERS) != 0) return {StatusCode::kInvoke};
    return {};
  }
  const int8_t *output(int index) const override { return kOutputs[index](); }
  int32_t arena_used() const override { return MODEL_ARENA_SIZE; }
};

}  // namespace

Runtime &TheRuntime() {
  static CompiledModel model;
  return model;
}

}  // namespace micronet
