// A stub (see c/common.h): the parts of the generated schema that the runner reads.
#ifndef TFLM_STUB_SCHEMA_H_
#define TFLM_STUB_SCHEMA_H_

#include <cstdint>

namespace flatbuffers {

struct String {
  const char *c_str() const;
};

template <typename T>
struct Vector {
  const T *operator[](unsigned i) const;
  unsigned size() const;
  const T *const *begin() const;
  const T *const *end() const;
};

}  // namespace flatbuffers

namespace tflite {

enum BuiltinOperator : int32_t { BuiltinOperator_CUSTOM = 32 };

struct OperatorCode {
  BuiltinOperator builtin_code() const;
  int8_t deprecated_builtin_code() const;
  const flatbuffers::String *custom_code() const;
};

struct Tensor {};

struct Operator {
  uint32_t opcode_index() const;
};

struct SubGraph {
  const flatbuffers::Vector<Tensor> *tensors() const;
  const flatbuffers::Vector<Operator> *operators() const;
};

struct Model {
  uint32_t version() const;
  const flatbuffers::Vector<SubGraph> *subgraphs() const;
  const flatbuffers::Vector<OperatorCode> *operator_codes() const;
};

const Model *GetModel(const void *flatbuffer);

}  // namespace tflite

#endif  // TFLM_STUB_SCHEMA_H_
