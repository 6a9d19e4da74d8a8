// Insertion into a short sorted list: fine for the few best of thousands.
#include "top_k.h"

namespace micronet {

int TopK(const int8_t *scores, int size, int count, Candidate *best) {
  int found = 0;
  if (count <= 0) return 0;
  for (int i = 0; i < size; ++i) {
    if (found == count && scores[i] <= best[found - 1].score) continue;
    if (found < count) ++found;
    int place = found - 1;
    for (; place > 0 && best[place - 1].score < scores[i]; --place) best[place] = best[place - 1];
    best[place] = {i, scores[i]};
  }
  return found;
}

}  // namespace micronet
