/* gemm_operand.c - see gemm_operand.h. */
#include "gemm_operand.h"

#include "arena.h"
#include "prepared.h"

bool md_gemm_type_of(enum md_datatype datatype, enum md_gemm_type *out_type)
{
    switch (datatype) {
    case MD_FP32:
        *out_type = MD_GEMM_F32;
        return true;
    case MD_FP64:
        *out_type = MD_GEMM_F64;
        return true;
    case MD_INT32:
    case MD_UINT32:
        *out_type = MD_GEMM_I32;
        return true;
    case MD_INT64:
    case MD_UINT64:
        *out_type = MD_GEMM_I64;
        return true;
    default:
        return false;
    }
}

enum md_code md_pack_weight(const struct md_configuration *configuration, const struct md_tensor *tensor,
                            size_t offset, size_t depth, size_t columns, ptrdiff_t row_stride,
                            ptrdiff_t column_stride, const struct md_packed_matrix **out_packed)
{
    enum md_gemm_type type;
    size_t size;
    if (tensor == NULL || tensor->count == 0 || depth == 0 || columns == 0 ||
        !md_gemm_type_of(tensor->datatype, &type) || !md_matrix_pack_size(type, depth, columns, &size))
        return MD_OK;
    struct md_packed_matrix *packed = md_arena_allocate(configuration->arena, sizeof *packed);
    void *panels;
    bool ready;
    if (packed == NULL)
        return md_fail_memory(configuration->error, "packed weights");
    MD_TRY(md_prepared_take(configuration, "panels", size, &panels, &ready));
    if (ready) {
        *packed = (struct md_packed_matrix){ type, depth, columns, panels };
    } else {
        struct md_matrix b = { md_element_at(tensor, offset), row_stride, column_stride };
        md_matrix_pack(type, depth, columns, &b, panels, packed);
    }
    *out_packed = packed;
    return MD_OK;
}

bool md_narrow_type_of(const struct md_configuration *configuration, size_t depth, enum md_narrow_type *out_type)
{
    const enum md_narrow_type type = configuration->precision == MD_PRECISION_INT8 ? MD_NARROW_INT8 : MD_NARROW_BF16;
    if (configuration->precision == MD_PRECISION_FP32 || !md_narrow_is_fast(type) ||
        (type == MD_NARROW_INT8 && depth > MD_NARROW_EXACT_DEPTH))
        return false;
    *out_type = type;
    return true;
}

enum md_code md_pack_narrow_weight(const struct md_configuration *configuration, enum md_narrow_type type,
                                   const struct md_tensor *tensor, size_t offset, size_t depth, size_t columns,
                                   ptrdiff_t row_stride, ptrdiff_t column_stride,
                                   const struct md_narrow_matrix **out_matrix)
{
    size_t size;
    if (tensor == NULL || tensor->count == 0 || tensor->datatype != MD_FP32 || depth == 0 || columns == 0 ||
        !md_narrow_pack_size(type, depth, columns, &size))
        return MD_OK;
    struct md_narrow_matrix *matrix = md_arena_allocate(configuration->arena, sizeof *matrix);
    void *bytes;
    bool ready;
    if (matrix == NULL)
        return md_fail_memory(configuration->error, "packed weights");
    MD_TRY(md_prepared_take(configuration, "narrow panels", size, &bytes, &ready));
    if (ready) { /* made of floats, so its zero points are 0 */
        *matrix = (struct md_narrow_matrix){ type, depth, columns, true, bytes };
    } else {
        struct md_matrix b = { md_element_at(tensor, offset), row_stride, column_stride };
        md_narrow_pack(type, depth, columns, &b, bytes, matrix);
    }
    *out_matrix = matrix;
    return MD_OK;
}

static const struct {
    const char *name;
    enum md_gemm_activation activation;
} activations[] = {
    { "", MD_GEMM_LINEAR },   { "Relu", MD_GEMM_RELU },          { "Tanh", MD_GEMM_TANH },
    { "Gelu", MD_GEMM_GELU }, { "GeluTanh", MD_GEMM_GELU_TANH },
};

enum md_code md_gemm_activation_read(const struct md_configuration *configuration,
                                     enum md_gemm_activation *out_activation)
{
    struct md_span name;
    MD_TRY(md_attribute_string(configuration->attributes, "activation", "", &name, configuration->error));
    for (size_t i = 0; i < sizeof activations / sizeof activations[0]; i++)
        if (md_span_equal(name, md_span_of(activations[i].name))) {
            *out_activation = activations[i].activation;
            return MD_OK;
        }
    return md_fail(configuration->error, MD_INTERNAL, "a pass made a product with an unknown activation");
}

const struct md_tensor *md_constant_input(const struct md_configuration *configuration, size_t index)
{
    return index < configuration->input_count ? configuration->constants[index] : NULL;
}
