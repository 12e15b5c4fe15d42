/* matrix_product.c - see matrix_product.h. */
#include "matrix_product.h"

static void swap(int64_t *a, int64_t *b)
{
    int64_t kept = *a;
    *a = *b;
    *b = kept;
}

struct md_matrix_operand md_matrix_operand_of(const struct md_shape *shape_in, bool left,
                                              struct md_matrix_view view)
{
    struct md_shape shape = *shape_in;
    int64_t strides[MD_MAX_RANK];
    struct md_matrix_operand operand = { .vector = shape.rank == 1,
                                         .dense =
                                             shape.rank == 1 || (!view.transpose && !view.transpose_batch) };
    if (operand.vector) {
        operand.rows = left ? 1 : shape.dims[0];
        operand.columns = left ? shape.dims[0] : 1;
        operand.row_stride = left ? shape.dims[0] : 1;
        operand.column_stride = 1;
        return operand;
    }
    md_shape_strides(&shape, strides);
    if (view.transpose_batch)
        for (int32_t i = 0; i + 2 < shape.rank; i++) {
            swap(&shape.dims[i], &shape.dims[i + 1]);
            swap(&strides[i], &strides[i + 1]);
        }
    int32_t row = shape.rank - 2, column = shape.rank - 1;
    if (view.transpose) {
        swap(&shape.dims[row], &shape.dims[column]);
        swap(&strides[row], &strides[column]);
    }
    operand.rows = shape.dims[row];
    operand.columns = shape.dims[column];
    operand.row_stride = strides[row];
    operand.column_stride = strides[column];
    operand.batch.rank = row;
    for (int32_t i = 0; i < row; i++) {
        operand.batch.dims[i] = shape.dims[i];
        operand.batch_strides[i] = strides[i];
    }
    return operand;
}

enum md_code md_matrix_product_of(const struct md_shape *a, struct md_matrix_view a_view,
                                  const struct md_shape *b, struct md_matrix_view b_view,
                                  struct md_matrix_product *out_product, struct md_error *error)
{
    struct md_matrix_product product;
    char text_a[MD_SHAPE_TEXT_SIZE], text_b[MD_SHAPE_TEXT_SIZE];
    bool fits = a->rank > 0 && b->rank > 0;
    if (fits) {
        product.a = md_matrix_operand_of(a, true, a_view);
        product.b = md_matrix_operand_of(b, false, b_view);
        fits = product.a.columns == product.b.rows &&
               md_shape_broadcast(&product.a.batch, &product.b.batch, &product.batch);
    }
    if (!fits)
        return md_fail(error, MD_INVALID_ARGUMENT, "shapes %s and %s cannot be multiplied",
                       md_shape_text(a, text_a, sizeof text_a), md_shape_text(b, text_b, sizeof text_b));
    product.output = product.batch;
    if (!product.a.vector)
        product.output.dims[product.output.rank++] = product.a.rows;
    if (!product.b.vector)
        product.output.dims[product.output.rank++] = product.b.columns;
    product.matrices = md_shape_product(&product.batch, 0, product.batch.rank);
    *out_product = product;
    return MD_OK;
}

static void set_strides(const struct md_matrix_operand *operand, const struct md_shape *batch,
                        int64_t *out_strides)
{
    int32_t missing = batch->rank - operand->batch.rank;
    for (int32_t i = 0; i < batch->rank; i++)
        out_strides[i] =
            i < missing || operand->batch.dims[i - missing] == 1 ? 0 : operand->batch_strides[i - missing];
}

void md_matrix_walk_start(const struct md_matrix_product *product, struct md_matrix_walk *out_walk)
{
    *out_walk = (struct md_matrix_walk){ .a_offset = 0 };
    set_strides(&product->a, &product->batch, out_walk->a_strides);
    set_strides(&product->b, &product->batch, out_walk->b_strides);
}

void md_matrix_walk_next(const struct md_matrix_product *product, struct md_matrix_walk *walk)
{
    for (int32_t i = product->batch.rank - 1; i >= 0; i--) {
        walk->a_offset += walk->a_strides[i];
        walk->b_offset += walk->b_strides[i];
        if (++walk->index[i] < product->batch.dims[i])
            return;
        walk->a_offset -= walk->a_strides[i] * product->batch.dims[i];
        walk->b_offset -= walk->b_strides[i] * product->batch.dims[i];
        walk->index[i] = 0;
    }
}
