/* requantize.h - sums back to codes: saturate(round_half_even(sum * factor) + zero point). */
#ifndef MD_REQUANTIZE_H
#define MD_REQUANTIZE_H

#include "tensor.h"

/* values[count] are the scaled sums; zero_point has one element of the output's type (NULL: 0). Writes codes
 * from element `first` of `output` on: INT8, UINT8, INT16, UINT16 or FP8. */
void md_requantize(const float *values, size_t count, const struct md_tensor *zero_point,
                   struct md_tensor *output, size_t first);

#endif
