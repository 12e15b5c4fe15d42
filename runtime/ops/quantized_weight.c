/* quantized_weight.c - see quantized_weight.h. */
#include "quantized_weight.h"

#include "arena.h"
#include "checked.h"
#include "gemm_operand.h"
#include "parallel.h"

enum { TYPES_BYTE = (1 << MD_INT8) | (1 << MD_UINT8) };

static const struct md_tensor *constant_at(const struct md_configuration *configuration, int input)
{
    return input < 0 ? NULL : md_constant_input(configuration, (size_t)input);
}

static bool is_packable(const struct md_tensor *b, const struct md_tensor *zero_point)
{
    if (!md_narrow_is_fast(MD_NARROW_INT8) || b == NULL || b->shape.rank != 2 || b->count == 0 ||
        !md_datatype_in(b->datatype, TYPES_BYTE))
        return false;
    return zero_point == NULL || (zero_point->datatype == b->datatype &&
                                  (zero_point->count == 1 || (int64_t)zero_point->count == b->shape.dims[1]));
}

/* One scale per column, up to a whole panel. */
static enum md_code spread_scales(const struct md_configuration *configuration, const struct md_tensor *scale,
                                  size_t columns, const float **out_scales)
{
    const size_t panel = md_narrow_panel(MD_NARROW_INT8);
    size_t width;
    if (scale == NULL || scale->datatype != MD_FP32 || (scale->count != 1 && scale->count != columns))
        return MD_OK;
    if (!md_checked_add(columns, panel - 1, &width))
        return md_fail_memory(configuration->error, "scales of weights");
    float *scales = md_arena_allocate_zeroed(configuration->arena, width / panel * panel, sizeof *scales);
    if (scales == NULL)
        return md_fail_memory(configuration->error, "scales of weights");
    for (size_t j = 0; j < columns; j++)
        scales[j] = md_elements(const float, scale)[scale->count == 1 ? 0 : j];
    *out_scales = scales;
    return MD_OK;
}

enum md_code md_quantized_weight_pack(const struct md_configuration *configuration, int b_input, int zero_point_input,
                                      int scale_input, struct md_quantized_weight *out_weight)
{
    const struct md_tensor *b = constant_at(configuration, b_input);
    const struct md_tensor *zero = constant_at(configuration, zero_point_input);
    size_t size;
    if (!is_packable(b, zero))
        return MD_OK;
    const size_t depth = (size_t)b->shape.dims[0], columns = (size_t)b->shape.dims[1];
    if (!md_narrow_pack_size(MD_NARROW_INT8, depth, columns, &size))
        return MD_OK;
    struct md_narrow_matrix *packed = md_arena_allocate(configuration->arena, sizeof *packed);
    void *bytes = md_arena_allocate(configuration->arena, size);
    if (packed == NULL || bytes == NULL)
        return md_fail_memory(configuration->error, "packed weights");
    const struct md_narrow_codes codes = { { b->bytes, (ptrdiff_t)columns, 1 },
                                           b->datatype == MD_UINT8,
                                           zero == NULL ? NULL : zero->bytes,
                                           zero != NULL && zero->count != 1 };
    md_narrow_pack_codes(depth, columns, &codes, bytes, packed);
    out_weight->packed = packed;
    out_weight->has_zero_point = zero != NULL;
    return spread_scales(configuration, constant_at(configuration, scale_input), columns, &out_weight->column_scales);
}

struct packing {
    const struct md_quantized_rows *rows;
    const struct md_narrow_rows *to;
    size_t first;
};

/* Index of row `row` of all matrices in its zero points or scales. */
static size_t axis_index(const struct md_quantized_axis *axis, const struct md_quantized_rows *rows, size_t row)
{
    return row / rows->matrix_rows * axis->matrix_step + row % rows->matrix_rows * axis->step;
}

static void pack_rows(void *context, size_t first, size_t count, size_t slot)
{
    const struct packing *packing = context;
    const struct md_quantized_rows *rows = packing->rows;
    const size_t depth = packing->to->depth;
    (void)slot; /* needs no scratch */
    for (size_t i = first; i < first + count; i++) {
        const size_t row = packing->first + i;
        int32_t zero = 0;
        float scale = 1.0f;
        if (rows->zero_point.tensor != NULL)
            md_quantized_read(rows->zero_point.tensor, axis_index(&rows->zero_point, rows, row), 1, &zero);
        if (rows->scale.tensor != NULL)
            scale = (float)md_tensor_double(rows->scale.tensor, axis_index(&rows->scale, rows, row));
        md_narrow_code_rows(packing->to, i, 1, (const uint8_t *)rows->codes + row * depth, depth, rows->is_unsigned,
                            zero, scale);
    }
}

void md_quantized_weight_multiply(const struct md_invocation *invocation, const struct md_quantized_rows *rows,
                                  size_t first, const struct md_narrow_gemm *gemm)
{
    struct packing packing = { rows, &gemm->a, first };
    md_parallel(invocation, gemm->rows, (double)gemm->a.depth, pack_rows, &packing);
    md_parallel_narrow_columns(invocation, gemm);
}
