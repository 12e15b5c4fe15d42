/* block_quantized_matmul.c - com.microsoft's MatMulNBits: A times a matrix of 2, 4 or 8 bit codes that have a
 * scale and a zero point per block of rows. Panels of it are made real while the product runs. */
#include "gemm.h"
#include "operator_table.h"
#include "parameters.h"

#include "float_code.h"

enum { INPUT_A, INPUT_B, INPUT_SCALES, INPUT_ZERO_POINTS, INPUT_GROUPS, INPUT_BIAS };

struct block_parameters {
    int64_t depth, columns, bits, block_size;
};

static size_t blocks_of(const struct block_parameters *parameters)
{
    return (size_t)(parameters->depth / parameters->block_size +
                    (parameters->depth % parameters->block_size != 0));
}

static enum md_code expect_count(struct md_invocation *invocation, size_t input, size_t count)
{
    const struct md_tensor *tensor = md_input(invocation, input);
    if (tensor == NULL || tensor->count == count)
        return MD_OK;
    return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input %zu has %zu elements, expected %zu", input,
                   tensor->count, count);
}

/* Is the projection left out? Then the result is 0 (or the bias). */
static bool is_omitted(const struct md_invocation *invocation)
{
    return md_input(invocation, INPUT_B)->count == 0;
}

static enum md_code check_weights(struct md_invocation *invocation)
{
    const struct block_parameters *parameters = invocation->parameters;
    size_t columns = (size_t)parameters->columns, blocks = blocks_of(parameters), codes, scales, groups_count;
    size_t blob = (size_t)(parameters->block_size * parameters->bits / 8);
    const struct md_tensor *zero_points = md_input(invocation, INPUT_ZERO_POINTS);
    const struct md_tensor *groups = md_input(invocation, INPUT_GROUPS);
    if (__builtin_mul_overflow(columns, blocks, &scales) || __builtin_mul_overflow(scales, blob, &codes))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "attributes N %zu and K %lld are too large",
                       columns, (long long)parameters->depth);
    MD_TRY(md_expect_datatype(invocation, INPUT_B, MD_TYPE(MD_UINT8)));
    MD_TRY(expect_count(invocation, INPUT_BIAS, columns));
    if (is_omitted(invocation))
        return MD_OK;
    MD_TRY(expect_count(invocation, INPUT_B, codes));
    MD_TRY(expect_count(invocation, INPUT_SCALES, scales));
    if (zero_points != NULL) {
        bool packed = zero_points->datatype == MD_UINT8;
        size_t row = (blocks * (size_t)parameters->bits + 7) / 8;
        MD_TRY(md_expect_datatype(invocation, INPUT_ZERO_POINTS, MD_TYPE(MD_UINT8) | MD_TYPE(MD_FP32)));
        MD_TRY(expect_count(invocation, INPUT_ZERO_POINTS, packed ? columns * row : scales));
    }
    if (groups == NULL)
        return MD_OK;
    MD_TRY(md_expect_datatype(invocation, INPUT_GROUPS, MD_TYPE(MD_INT32)));
    groups_count = groups->count;
    if (groups_count < (size_t)parameters->depth)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "g_idx has %zu elements, expected %lld",
                       groups_count, (long long)parameters->depth);
    for (size_t k = 0; k < groups_count; k++) {
        int32_t group = md_elements(const int32_t, groups)[k];
        if (group < 0 || (size_t)group >= blocks)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "g_idx[%zu] is %d: range is [0,%zu)", k,
                           (int)group, blocks);
    }
    return MD_OK;
}

static enum md_code block_prepare(struct md_invocation *invocation)
{
    const struct block_parameters *parameters = invocation->parameters;
    for (size_t i = INPUT_A; i <= INPUT_SCALES; i++)
        MD_TRY(md_expect_tensor(invocation, i));
    MD_TRY(md_expect_rank(invocation, INPUT_A, 1, MD_MAX_RANK));
    MD_TRY(md_expect_same_datatype(invocation, INPUT_A, INPUT_SCALES));
    MD_TRY(md_expect_same_datatype(invocation, INPUT_A, INPUT_BIAS));
    const struct md_tensor *a = md_input(invocation, INPUT_A);
    struct md_shape output = a->shape;
    if (output.dims[output.rank - 1] != parameters->depth)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "A has depth %lld, attribute K is %lld",
                       (long long)output.dims[output.rank - 1], (long long)parameters->depth);
    MD_TRY(check_weights(invocation));
    output.dims[output.rank - 1] = parameters->columns;
    MD_TRY(md_output(invocation, 0, MD_FP32, &output));
    return md_scratch(invocation, md_gemm_workspace(MD_GEMM_F32, (size_t)parameters->depth));
}

struct block_source {
    const struct block_parameters *parameters;
    const uint8_t *codes;
    const float *scales;
    const uint8_t *packed_zero_points; /* at most one of the two */
    const float *zero_points;
    const int32_t *groups;
    size_t blocks, blob;
};

static float code_at(const uint8_t *bytes, size_t index, size_t bits)
{
    size_t per_byte = 8 / bits;
    unsigned mask = (1u << bits) - 1u;
    return (float)((unsigned)bytes[index / per_byte] >> (index % per_byte * bits) & mask);
}

static float zero_point_at(const struct block_source *source, size_t column, size_t block)
{
    size_t bits = (size_t)source->parameters->bits;
    if (source->zero_points != NULL)
        return source->zero_points[column * source->blocks + block];
    if (source->packed_zero_points != NULL)
        return code_at(source->packed_zero_points + column * ((source->blocks * bits + 7) / 8), block, bits);
    return (float)(1u << (bits - 1));
}

static void fill_columns(const void *source_pointer, size_t first, size_t columns, size_t stride, void *panel)
{
    const struct block_source *source = source_pointer;
    size_t bits = (size_t)source->parameters->bits, block_size = (size_t)source->parameters->block_size;
    size_t depth = (size_t)source->parameters->depth;
    float *to = panel;
    for (size_t j = 0; j < stride; j++) {
        size_t column = j < columns ? first + j : first;
        const uint8_t *codes = source->codes + column * source->blocks * source->blob;
        for (size_t block = 0; block * block_size < depth; block++) {
            size_t end = depth - block * block_size < block_size ? depth : (block + 1) * block_size;
            float scale = 0, zero = 0;
            if (j < columns && source->groups == NULL) {
                scale = source->scales[column * source->blocks + block];
                zero = zero_point_at(source, column, block);
            }
            for (size_t k = block * block_size; k < end; k++) {
                if (j < columns && source->groups != NULL) {
                    size_t group = (size_t)source->groups[k];
                    scale = source->scales[column * source->blocks + group];
                    zero = zero_point_at(source, column, group);
                }
                to[k * stride + j] = j < columns ? (code_at(codes, k, bits) - zero) * scale : 0.0f;
            }
        }
    }
}

static enum md_code block_run(struct md_invocation *invocation)
{
    const struct block_parameters *parameters = invocation->parameters;
    const struct md_tensor *a = md_input(invocation, INPUT_A), *bias = md_input(invocation, INPUT_BIAS);
    const struct md_tensor *zero_points = md_input(invocation, INPUT_ZERO_POINTS);
    const struct md_tensor *groups = md_input(invocation, INPUT_GROUPS);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    struct block_source source = {
        .parameters = parameters,
        .codes = md_elements(const uint8_t, md_input(invocation, INPUT_B)),
        .scales = md_elements(const float, md_input(invocation, INPUT_SCALES)),
        .groups = groups != NULL ? md_elements(const int32_t, groups) : NULL,
        .blocks = blocks_of(parameters),
        .blob = (size_t)(parameters->block_size * parameters->bits / 8),
    };
    if (zero_points != NULL && zero_points->datatype == MD_UINT8)
        source.packed_zero_points = md_elements(const uint8_t, zero_points);
    else if (zero_points != NULL)
        source.zero_points = md_elements(const float, zero_points);
    size_t columns = (size_t)parameters->columns;
    struct md_gemm gemm = {
        .type = MD_GEMM_F32,
        .rows = output->count / columns,
        .columns = columns,
        .depth = is_omitted(invocation) ? 0 : (size_t)parameters->depth,
        .a = { a->bytes, (ptrdiff_t)parameters->depth, 1 },
        .fill = fill_columns,
        .fill_source = &source,
        .c = output->bytes,
        .c_stride = columns,
        .finish = { .alpha = 1.0, .column_bias = bias != NULL ? bias->bytes : NULL },
    };
    md_gemm(&gemm, invocation->scratch);
    return MD_OK;
}

static enum md_code block_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    const struct md_attributes *attributes = configuration->attributes;
    struct md_error *error = configuration->error;
    int64_t prepacked;
    struct block_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_attribute_int(attributes, "K", 0, &parameters->depth, error));
    MD_TRY(md_attribute_int(attributes, "N", 0, &parameters->columns, error));
    MD_TRY(md_attribute_int(attributes, "bits", 4, &parameters->bits, error));
    MD_TRY(md_attribute_int(attributes, "block_size", 0, &parameters->block_size, error));
    MD_TRY(md_attribute_int(attributes, "weight_prepacked", 0, &prepacked, error));
    if (parameters->bits != 2 && parameters->bits != 4 && parameters->bits != 8)
        return md_fail(error, MD_UNIMPLEMENTED, "attribute bits is %lld: 2, 4 and 8 have a kernel",
                       (long long)parameters->bits);
    if (prepacked != 0)
        return md_fail(error, MD_UNIMPLEMENTED, "attribute weight_prepacked is %lld: only 0 has a kernel",
                       (long long)prepacked);
    if (parameters->depth < 1 || parameters->columns < 1 || parameters->depth > INT32_MAX ||
        parameters->columns > INT32_MAX)
        return md_fail(error, MD_INVALID_ARGUMENT, "attributes K %lld and N %lld must be positive",
                       (long long)parameters->depth, (long long)parameters->columns);
    if (parameters->block_size < 16 || parameters->block_size > 65536 ||
        (parameters->block_size & (parameters->block_size - 1)) != 0)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "attribute block_size is %lld: a power of two from 16 is needed",
                       (long long)parameters->block_size);
    *out_parameters = parameters;
    return MD_OK;
}

const struct md_operator md_operators_block_quantized_matmul[] = {
    { MD_MICROSOFT, "MatMulNBits", 1, MD_OPSET_MICROSOFT, 3, 6, 1, 1, MD_TYPES_FLOAT & ~MD_TYPE(MD_FP64),
      MD_TYPE(MD_FP32), 0, block_configure, block_prepare, block_run },
    { 0 },
};
