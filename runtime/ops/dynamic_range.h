/* dynamic_range.h - a whole tensor in UINT8 codes by the range of its elements, as DynamicQuantizeLinear defines it.
 * Threads: as md_parallel. Memory: the caller's. */
#ifndef MD_DYNAMIC_RANGE_H
#define MD_DYNAMIC_RANGE_H

#include "operator.h"

struct md_dynamic_range {
    float scale;
    float zero_point; /* whole, in [0, 255] */
};

/* 0 is in the range. A range of nothing but 0 gets scale 1: any scale gives zeros, and 1 does not divide by 0. */
struct md_dynamic_range md_dynamic_range_of(size_t count, const float *values);
/* Rounded to nearest even, clamped; NaN is 0. */
void md_dynamic_codes(const struct md_invocation *invocation, struct md_dynamic_range range, size_t count,
                      const float *values, uint8_t *out_codes);

#endif
