// The answer of a detector: objects, the best first.
#include "answer.h"
#include "board.h"
#include "model_answer.h"
#include "text.h"

namespace micronet {

extern const char kAnswerKind[] = "objects";

void SendAnswer(const ModelInfo &, const Runtime &runtime) {
  constexpr int kLevels = sizeof(model_levels) / sizeof(model_levels[0]);
  static micronet_detection found[MODEL_DETECTION_CANDIDATES];
  micronet_detection_outputs outputs[kLevels];
  for (int i = 0; i < kLevels; ++i) outputs[i] = {runtime.output(2 * i), runtime.output(2 * i + 1)};
  const int count = micronet_detect(&model_detector, outputs, &model_selection, found,
                                    MODEL_DETECTION_CANDIDATES);
  for (int i = 0; i < count; ++i) {
    char line[96];
    Text text(line, sizeof(line));
    text.Add("m-object-[").Add(static_cast<int32_t>(found[i].label)).Add(',');
    text.Add(static_cast<int32_t>(found[i].score)).Add(',').Add(found[i].top).Add(',');
    text.Add(found[i].left).Add(',').Add(found[i].bottom).Add(',').Add(found[i].right);
    text.Add("]\r\n");
    BoardWrite(text.c_str(), text.length());
  }
}

}  // namespace micronet
