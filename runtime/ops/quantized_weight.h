/* quantized_weight.h - a constant B of INT8 or UINT8 codes, packed at load for machines that multiply bytes. The INT32
 * sums are those of quantized_product.h: exact, or wrapped in the same way.
 * Threads: as md_parallel. Memory: packed in the arena of the model; rows in the caller's scratch. */
#ifndef MD_QUANTIZED_WEIGHT_H
#define MD_QUANTIZED_WEIGHT_H

#include "narrow_gemm.h"
#include "quantized_product.h"

struct md_quantized_weight {
    const struct md_narrow_matrix *packed; /* NULL: quantized_product.h multiplies */
    bool has_zero_point;                   /* packed; else B must come without one, which configure cannot see */
    const float *column_scales;            /* whole panels; NULL: not constant */
};

/* In configure. `packed` stays NULL when B is not a constant matrix of bytes, its zero point does not fit, or this
 * machine does not multiply bytes. Inputs that an operator does not have are -1. RESOURCE_EXHAUSTED: memory. */
MD_NODISCARD enum md_code md_quantized_weight_pack(const struct md_configuration *configuration, int b, int zero_point,
                                                   int scale, struct md_quantized_weight *out_weight);

/* Rows of A: codes that follow one another, with the zero point and the scale of their row in its matrix. */
struct md_quantized_rows {
    const void *codes;
    bool is_unsigned;
    size_t rows;        /* of all matrices */
    size_t matrix_rows;
    struct md_quantized_axis zero_point, scale; /* without a tensor: 0, and 1 */
};

/* Turns rows [first, first + gemm->rows) of A into gemm->a, whose buffer is the caller's, then computes all columns. */
void md_quantized_weight_multiply(const struct md_invocation *invocation, const struct md_quantized_rows *rows,
                                  size_t first, const struct md_narrow_gemm *gemm);

#endif
