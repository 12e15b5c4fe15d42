/* quantized_product.c - see quantized_product.h. */
#include "quantized_product.h"

#include "float_code.h"

enum md_code md_quantized_axis_open(struct md_invocation *invocation, size_t input, size_t extent,
                                    size_t matrices, struct md_quantized_axis *out_axis)
{
    const struct md_tensor *tensor = md_input(invocation, input);
    struct md_quantized_axis axis = { .tensor = tensor };
    if (tensor != NULL && tensor->count != 1) {
        axis.step = 1;
        axis.matrix_step = tensor->count == extent ? 0 : extent;
        if (tensor->count != extent && tensor->count != extent * matrices)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "input %zu has %zu elements, expected 1 or %zu", input, tensor->count, extent);
    }
    *out_axis = axis;
    return MD_OK;
}

enum md_gemm_type md_quantized_type(const struct md_tensor *codes)
{
    return md_datatype_in(codes->datatype, MD_TYPES_FP8) ? MD_GEMM_F32 : MD_GEMM_I32;
}

void md_quantized_read(const struct md_tensor *codes, size_t first, size_t count, void *out_values)
{
    int32_t *values = out_values;
    if (codes->datatype == MD_INT8) {
        const int8_t *from = md_elements(const int8_t, codes) + first;
        for (size_t i = 0; i < count; i++)
            values[i] = from[i];
    } else if (codes->datatype == MD_UINT8) {
        const uint8_t *from = md_elements(const uint8_t, codes) + first;
        for (size_t i = 0; i < count; i++)
            values[i] = from[i];
    } else {
        md_decode_floats(codes->datatype, count, md_elements(const uint8_t, codes) + first, out_values);
    }
}

/* values -= zero point, `step` 0 or 1. */
static void subtract(enum md_gemm_type type, size_t count, const void *zero_points, size_t step, void *values)
{
    if (type == MD_GEMM_I32) {
        const int32_t *zero = zero_points;
        for (size_t i = 0; i < count; i++)
            ((int32_t *)values)[i] -= zero[i * step];
    } else {
        const float *zero = zero_points;
        for (size_t i = 0; i < count; i++)
            ((float *)values)[i] -= zero[i * step];
    }
}

void md_quantized_center(const struct md_tensor *codes, const struct md_tensor *zero_point, size_t inner,
                         void *out_values)
{
    enum md_gemm_type type = md_quantized_type(codes);
    md_quantized_read(codes, 0, codes->count, out_values);
    for (size_t i = 0; zero_point != NULL && inner != 0 && i < codes->count / inner; i++) {
        uint32_t zero;
        md_quantized_read(zero_point, zero_point->count == 1 ? 0 : i % zero_point->count, 1, &zero);
        subtract(type, inner, &zero, 0, (unsigned char *)out_values + i * inner * sizeof zero);
    }
}

struct b_source {
    const struct md_quantized_operand *operand;
    enum md_gemm_type type;
    size_t offset, matrix, depth, width;
};

static void fill_b(const void *source_pointer, size_t first, size_t columns, size_t stride, void *panel)
{
    const struct b_source *source = source_pointer;
    const struct md_quantized_axis *zero_point = &source->operand->zero_point;
    uint32_t zeros[MD_GEMM_MAX_PANEL] = { 0 };
    if (zero_point->tensor != NULL)
        md_quantized_read(zero_point->tensor,
                          source->matrix * zero_point->matrix_step + first * zero_point->step,
                          zero_point->step == 0 ? 1 : columns, zeros);
    for (size_t k = 0; k < source->depth; k++) {
        uint32_t *row = (uint32_t *)panel + k * stride;
        md_quantized_read(source->operand->codes, source->offset + k * source->width + first, columns, row);
        if (zero_point->tensor != NULL)
            subtract(source->type, columns, zeros, zero_point->step, row);
        memset(row + columns, 0, (stride - columns) * sizeof *row);
    }
}

/* Size of A's widened matrix, rounded up so that the workspace behind it is aligned. */
static bool matrix_size(const struct md_matrix_product *product, size_t *out_size)
{
    return !__builtin_mul_overflow((size_t)product->a.rows, (size_t)product->a.columns, out_size) &&
           !__builtin_mul_overflow(*out_size, sizeof(int32_t), out_size) &&
           !__builtin_add_overflow(*out_size, 63, out_size) && ((*out_size &= ~(size_t)63), true);
}

bool md_quantized_scratch(const struct md_matrix_product *product, enum md_gemm_type type, size_t *out_size)
{
    return matrix_size(product, out_size) &&
           !__builtin_add_overflow(*out_size, md_gemm_workspace(type, (size_t)product->a.columns), out_size);
}

static void multiply_centered(const struct md_matrix_product *product, const struct md_matrix_walk *walk,
                              const void *a, const struct md_quantized_operand *b, void *workspace, void *sums)
{
    size_t depth = (size_t)product->a.columns, columns = (size_t)product->b.columns;
    size_t offset = (size_t)walk->b_offset, elements = depth * columns;
    struct b_source source = { b,      md_quantized_type(b->codes),
                               offset, elements == 0 ? 0 : offset / elements,
                               depth,  columns };
    struct md_gemm gemm = {
        .type = source.type,
        .rows = (size_t)product->a.rows,
        .columns = columns,
        .depth = depth,
        .a = { a, (ptrdiff_t)depth, 1 },
        .fill = fill_b,
        .fill_source = &source,
        .c = sums,
        .c_stride = columns,
        .finish.alpha = 1.0,
    };
    md_gemm(&gemm, workspace);
}

void md_quantized_multiply(const struct md_matrix_product *product, const struct md_matrix_walk *walk,
                           const struct md_quantized_operand *a, const struct md_quantized_operand *b,
                           void *scratch, void *sums)
{
    size_t rows = (size_t)product->a.rows, depth = (size_t)product->a.columns, size;
    size_t offset = (size_t)walk->a_offset, elements = rows * depth;
    size_t matrix = elements == 0 ? 0 : offset / elements;
    const struct md_quantized_axis *zero_point = &a->zero_point;
    enum md_gemm_type type = md_quantized_type(a->codes);
    (void)matrix_size(product, &size); /* held in prepare */
    for (size_t r = 0; r < rows; r++) {
        uint32_t zero, *row = (uint32_t *)scratch + r * depth;
        md_quantized_read(a->codes, offset + r * depth, depth, row);
        if (zero_point->tensor == NULL)
            continue;
        md_quantized_read(zero_point->tensor, matrix * zero_point->matrix_step + r * zero_point->step, 1,
                          &zero);
        subtract(type, depth, &zero, 0, row);
    }
    multiply_centered(product, walk, scratch, b, (unsigned char *)scratch + size, sums);
}
