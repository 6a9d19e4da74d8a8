// The most likely classes of a raw output.
#ifndef MICRONET_TOP_K_H_
#define MICRONET_TOP_K_H_

#include <cstdint>

namespace micronet {

struct Candidate {
  int index;
  int8_t score;  // as stored; greater is likelier
};

// Writes the `count` greatest of `size` scores to `best`, greatest first; of equal ones the first.
// Returns how many were written: less than `count` when there are not so many.
int TopK(const int8_t *scores, int size, int count, Candidate *best);

}  // namespace micronet

#endif  // MICRONET_TOP_K_H_
