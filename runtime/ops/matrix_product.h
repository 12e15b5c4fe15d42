/* matrix_product.h - the shapes of numpy.matmul: stacks of matrices whose batch dimensions broadcast.
 * Threads: pure functions. */
#ifndef MD_MATRIX_PRODUCT_H
#define MD_MATRIX_PRODUCT_H

#include "tensor.h"

/* One operand as a stack of matrices. */
struct md_matrix_operand {
    struct md_shape batch;
    int64_t batch_strides[MD_MAX_RANK];
    int64_t rows, columns;
    int64_t row_stride, column_stride;
    bool vector; /* its 1 does not appear in the output */
    bool dense;  /* rows of all matrices follow one another */
};

/* How an operand is to be seen before it is multiplied. */
struct md_matrix_view {
    bool transpose;       /* the last two dimensions change places */
    bool transpose_batch; /* before that, the first dimension is moved behind the batch dimensions */
};

struct md_matrix_product {
    struct md_matrix_operand a, b;
    struct md_shape batch; /* of the output */
    struct md_shape output;
    size_t matrices; /* product of the batch dims */
};

/* Rank at least 1; views do not apply to vectors. */
struct md_matrix_operand md_matrix_operand_of(const struct md_shape *shape, bool left,
                                              struct md_matrix_view view);

/* INVALID_ARGUMENT: a rank is 0, or the shapes cannot be multiplied. */
MD_NODISCARD enum md_code md_matrix_product_of(const struct md_shape *a, struct md_matrix_view a_view,
                                               const struct md_shape *b, struct md_matrix_view b_view,
                                               struct md_matrix_product *out_product, struct md_error *error);

/* Element offsets of the current matrix of A and of B, in the order of the output's matrices. */
struct md_matrix_walk {
    int64_t index[MD_MAX_RANK];
    int64_t a_strides[MD_MAX_RANK], b_strides[MD_MAX_RANK];
    int64_t a_offset, b_offset;
};

void md_matrix_walk_start(const struct md_matrix_product *product, struct md_matrix_walk *out_walk);
void md_matrix_walk_next(const struct md_matrix_product *product, struct md_matrix_walk *walk);

#endif
