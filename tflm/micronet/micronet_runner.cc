// The TensorFlow Lite Micro side of the firmware.
#include "micronet_runner.h"

#include <new>

#include "tflm_names.h"

namespace micronet {
namespace {

int32_t CountOf(const TfLiteTensor *tensor) {
  int32_t count = 1;
  for (int i = 0; i < tensor->dims->size; ++i) count *= tensor->dims->data[i];
  return count;
}

}  // namespace

MicroNetRunner::MicroNetRunner(const ModelInfo &info, const uint8_t *flatbuffer, uint8_t *arena,
                               size_t arena_bytes)
    : info_(info),
      model_(tflite::GetModel(flatbuffer)),
      arena_(arena),
      arena_bytes_(arena_bytes),
      ops_registered_(RegisterOps(resolver_)) {}

// What TFLM would only log, or not survive.
Status MicroNetRunner::CheckModel() {
  const int32_t version = static_cast<int32_t>(model_->version());
  if (version != TFLITE_SCHEMA_VERSION) {
    return {StatusCode::kSchemaVersion, version, TFLITE_SCHEMA_VERSION};
  }
  // Converters may leave operator codes that no operator uses.
  for (const tflite::Operator *op : *(*model_->subgraphs())[0]->operators()) {
    const tflite::OperatorCode *code = (*model_->operator_codes())[op->opcode_index()];
    // Old files keep the number in the field of one byte.
    const int32_t builtin = code->builtin_code() > code->deprecated_builtin_code()
                                ? static_cast<int32_t>(code->builtin_code())
                                : static_cast<int32_t>(code->deprecated_builtin_code());
    const bool custom = builtin == static_cast<int32_t>(tflite::BuiltinOperator_CUSTOM);
    const bool known =
        custom ? resolver_.FindOp(code->custom_code()->c_str()) != nullptr
               : resolver_.FindOp(static_cast<tflite::BuiltinOperator>(builtin)) != nullptr;
    if (!known || !ops_registered_) return {StatusCode::kOpMissing, builtin, 0};
  }
  return {};
}

// TFLM's own kernels do not survive an arena that ends while they are prepared, so what cannot be
// enough is refused first. The size was measured on a 64-bit machine. 32-bit boards, whose pointers
// are half as long, need 83 to 94 % of it (M0 to M3), so that three quarters are never enough
// there; between that and the size needed, TFLM notices by itself.
Status MicroNetRunner::CheckArena() const {
  const int32_t needed = info_.arena_bytes;
  const int32_t least = sizeof(void *) > 4 ? needed : needed / 4 * 3;
  const int32_t given = static_cast<int32_t>(arena_bytes_);
  if (given < least || given < info_.input_bytes()) {
    return {StatusCode::kArenaTooSmall, given, needed};
  }
  return {};
}

Status MicroNetRunner::CheckEnds() {
  const TfLiteTensor *input = interpreter_->input(0);
  if (input->type != kTfLiteInt8) return {StatusCode::kInputType, input->type, kTfLiteInt8};
  for (size_t i = 0; i < interpreter_->outputs_size(); ++i) {
    const TfLiteType type = interpreter_->output(i)->type;
    if (type != kTfLiteInt8) return {StatusCode::kOutputType, type, kTfLiteInt8};
  }
  if (CountOf(input) != info_.input_bytes()) {
    return {StatusCode::kInputShape, CountOf(input), info_.input_bytes()};
  }
  if (interpreter_->outputs_size() != static_cast<size_t>(info_.outputs)) {
    return {StatusCode::kOutputShape, static_cast<int32_t>(interpreter_->outputs_size()),
            info_.outputs};
  }
  for (int i = 0; i < info_.outputs; ++i) {
    const int32_t values = CountOf(interpreter_->output(static_cast<size_t>(i)));
    if (values != info_.output_sizes[i]) {
      return {StatusCode::kOutputShape, values, info_.output_sizes[i]};
    }
  }
  return {};
}

Status MicroNetRunner::Init() {
  input_ = nullptr;
  if (interpreter_ != nullptr) interpreter_->~MicroInterpreter();
  interpreter_ = nullptr;
  Status status = CheckModel();
  if (status.ok()) status = CheckArena();
  if (!status.ok()) return status;
  interpreter_ = new (place_) tflite::MicroInterpreter(model_, resolver_, arena_, arena_bytes_);
  if (interpreter_->AllocateTensors() != kTfLiteOk) {
    if (static_cast<int32_t>(arena_bytes_) < info_.arena_bytes) {
      return {StatusCode::kArenaTooSmall, static_cast<int32_t>(arena_bytes_), info_.arena_bytes};
    }
    return {StatusCode::kAllocation};
  }
  status = CheckEnds();
  if (!status.ok()) return status;
  input_ = interpreter_->typed_input_tensor<int8_t>(0);
  return {};
}

const int8_t *MicroNetRunner::output(int index) const {
  if (input_ == nullptr || index < 0 ||
      static_cast<size_t>(index) >= interpreter_->outputs_size()) {
    return nullptr;
  }
  return interpreter_->typed_output_tensor<int8_t>(index);
}

Status MicroNetRunner::Invoke() {
  if (input_ == nullptr) return {StatusCode::kNotReady};
  if (interpreter_->Invoke() != kTfLiteOk) return {StatusCode::kInvoke};
  return {};
}

int32_t MicroNetRunner::arena_used() const {
  return input_ == nullptr ? 0 : static_cast<int32_t>(interpreter_->arena_used_bytes());
}

}  // namespace micronet
