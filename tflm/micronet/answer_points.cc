// The answer of a keypoint model: one point of each kind.
#include "answer.h"
#include "board.h"
#include "micronet_keypoints.h"
#include "model_answer.h"
#include "text.h"

namespace micronet {

extern const char kAnswerKind[] = "points";

void SendAnswer(const ModelInfo &info, const Runtime &runtime) {
  static micronet_keypoint points[kModelPoints];
  if (micronet_decode_keypoints(runtime.output(0), kModelMapHeight, kModelMapWidth, kModelPoints,
                                kModelZeroPoint, points) != 0) {
    return;
  }
  for (int i = 0; i < kModelPoints; ++i) {
    // From 1/256 cell to 1/16 pixel.
    const int32_t x = points[i].x * info.width / kModelMapWidth / 16;
    const int32_t y = points[i].y * info.height / kModelMapHeight / 16;
    char line[80];
    Text text(line, sizeof(line));
    text.Add("m-point-[").Add(static_cast<int32_t>(i)).Add(',');
    text.Add(points[i].score * kModelScoreStep).Add(',').Add(x).Add(',').Add(y).Add("]\r\n");
    BoardWrite(text.c_str(), text.length());
  }
}

}  // namespace micronet
