/* quantized_product.h - sums of products of quantized numbers (code - zero point), for the integer operators.
 *
 * INT8 and UINT8 codes are summed in INT32, FP8 codes in FP32. B is widened panel by panel while the product
 * runs. Threads: pure functions. Memory: the caller's scratch. */
#ifndef MD_QUANTIZED_PRODUCT_H
#define MD_QUANTIZED_PRODUCT_H

#include "gemm.h"
#include "matrix_product.h"
#include "operator.h"

/* One number for the whole operand, one per row (of A) or column (of B), or one per row or column of each
 * matrix. */
struct md_quantized_axis {
    const struct md_tensor *tensor; /* NULL: absent */
    size_t step;                    /* elements from one row or column to the next: 0 or 1 */
    size_t matrix_step;             /* elements from one matrix to the next */
};

struct md_quantized_operand {
    const struct md_tensor *codes;
    struct md_quantized_axis zero_point;
};

/* Zero point or scale of an operand with `extent` rows or columns and `matrices` matrices.
 * INVALID_ARGUMENT: wrong number of elements. */
MD_NODISCARD enum md_code md_quantized_axis_open(struct md_invocation *invocation, size_t input,
                                                 size_t extent, size_t matrices,
                                                 struct md_quantized_axis *out_axis);
/* Codes that can be multiplied: INT8, UINT8, FP8. The sums' type. */
enum md_gemm_type md_quantized_type(const struct md_tensor *codes);
/* count codes from `first` on as INT32 or FP32. */
void md_quantized_read(const struct md_tensor *codes, size_t first, size_t count, void *out_values);
/* codes - zero_point (one element) of the whole tensor, as INT32 or FP32; step 1: one zero point per `inner`
 * codes. */
void md_quantized_center(const struct md_tensor *codes, const struct md_tensor *zero_point, size_t inner,
                         void *out_values);

/* Bytes of scratch for one matrix of A and the product's workspace; false: overflow. */
bool md_quantized_scratch(const struct md_matrix_product *product, enum md_gemm_type type, size_t *out_size);
/* sums[rows, columns] of the current matrix of the walk. */
void md_quantized_multiply(const struct md_matrix_product *product, const struct md_matrix_walk *walk,
                           const struct md_quantized_operand *a, const struct md_quantized_operand *b,
                           void *scratch, void *sums);

#endif
