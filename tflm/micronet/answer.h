// What an inference says, in the model's own terms. The firmware is linked with one of
// answer_classes.cc, answer_objects.cc and answer_points.cc; the numbers that they need of the model
// are in the generated model_answer.h.
#ifndef MICRONET_ANSWER_H_
#define MICRONET_ANSWER_H_

#include "runtime.h"

namespace micronet {

// "classes", "objects" or "points".
extern const char kAnswerKind[];

// Sends the lines of the answer, which protocol.h describes, after an inference.
void SendAnswer(const ModelInfo &info, const Runtime &runtime);

}  // namespace micronet

#endif  // MICRONET_ANSWER_H_
