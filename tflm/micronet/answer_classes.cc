// The answer of a classifier: a probability for each class.
#include "answer.h"
#include "board.h"
#include "model_answer.h"
#include "text.h"

namespace micronet {
namespace {

constexpr uint32_t kWhole = 1000000;

// "0.25" of 250000 millionths.
void AddMillionths(Text &text, int32_t value) {
  if (value < 0) text.Add('-');
  const uint32_t size =
      value < 0 ? 0u - static_cast<uint32_t>(value) : static_cast<uint32_t>(value);
  text.Add(size / kWhole);
  uint32_t rest = size % kWhole;
  if (rest > 0) text.Add('.');
  while (rest > 0) {
    text.Add(static_cast<char>('0' + rest * 10 / kWhole));
    rest = rest * 10 % kWhole;
  }
}

}  // namespace

extern const char kAnswerKind[] = "classes";

// kModelLogits: kModelScores[d] is exp(-d * scale), which the sum over all classes makes a softmax
// of; d is the distance from the greatest. Else kModelScores[q + 128] is the value itself.
void SendAnswer(const ModelInfo &info, const Runtime &runtime) {
  const int8_t *output = runtime.output(0);
  int greatest = -128;
  for (int i = 0; i < info.classes; ++i) {
    if (output[i] > greatest) greatest = output[i];
  }
  uint64_t sum = 0;
  for (int i = 0; i < info.classes && kModelLogits; ++i) {
    sum += static_cast<uint32_t>(kModelScores[greatest - output[i]]);
  }
  for (int i = 0; i < info.classes; ++i) {
    int32_t value = 0;
    if (kModelLogits) {
      const uint64_t share = static_cast<uint32_t>(kModelScores[greatest - output[i]]);
      value = static_cast<int32_t>((share * kWhole + sum / 2) / sum);
    } else {
      value = kModelScores[output[i] + 128];
    }
    char line[32];
    Text text(line, sizeof(line));
    AddMillionths(text.Add(i == 0 ? "m-results-[" : ","), value);
    BoardWrite(text.c_str(), text.length());
  }
  BoardWrite("]\r\n", 3);
}

}  // namespace micronet
