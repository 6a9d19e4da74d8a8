/* What the forms of Dynamic Shift-Max share. */
#ifndef MICRONET_DYSHIFTMAX_H_
#define MICRONET_DYSHIFTMAX_H_

#include "micronet_kernels.h"

/* micronet_dyshiftmax for the first `pixels` pixels; `in` and `out` do not overlap. Every processor
 * has its own. */
void micronet_dyshiftmax_apply(const micronet_dyshiftmax_params *p, int32_t pixels,
                               const int8_t *in, const int8_t *const coefficients[4], int8_t *out);

#endif /* MICRONET_DYSHIFTMAX_H_ */
