/* row_normalization.h - the arithmetic under LayerNormalization and its relatives: one row at a time.
 *
 * Sums are taken in double over a fixed number of lanes, so the answer for a row depends on that row alone.
 * Threads: pure functions. in may be out. */
#ifndef MD_ROW_NORMALIZATION_H
#define MD_ROW_NORMALIZATION_H

#include "datatype.h"

#include <stdbool.h>
#include <stddef.h>

struct md_row_normalization {
    enum md_datatype datatype; /* MD_FP32 or MD_FP64: of everything below */
    size_t length;
    double epsilon;
    bool centered;     /* subtract the mean; else root mean square */
    const void *scale; /* length elements, or NULL: 1 */
    const void *bias;  /* length elements, or NULL: 0 */
};

struct md_row_statistics {
    double mean;    /* 0 when not centered */
    double inverse; /* 1 / sqrt(variance or mean square + epsilon) */
};

/* Mean, and variance about it (or mean square), of `length` elements. */
void md_row_moments(enum md_datatype datatype, const void *in, size_t length, bool centered, double *out_mean,
                    double *out_variance);
struct md_row_statistics md_row_normalize(const struct md_row_normalization *normalization, const void *in, void *out);

#endif
