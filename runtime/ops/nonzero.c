/* nonzero.c - NonZero, Compress, OneHot, Trilu, ReverseSequence: elements chosen by value, mask or position.
 */
#include "operator_table.h"
#include "parameters.h"
#include "strided_copy.h"

#include <math.h>

/* ---- NonZero ---- */
static enum md_code nonzero_prepare(struct md_invocation *invocation)
{
    MD_TRY(md_expect_tensor(invocation, 0));
    return md_scratch(invocation, md_input(invocation, 0)->count);
}

#define MARK(type, expression)                                                                               \
    for (size_t i = 0; i < input->count; i++) {                                                              \
        const type x = md_elements(const type, input)[i];                                                    \
        marks[i] = (expression);                                                                             \
    }                                                                                                        \
    break;
#define MARK_CASE(datatype_, type)                                                                           \
    case datatype_:                                                                                          \
        MARK(type, x != 0)

struct complex64 {
    float re, im;
};
struct complex128 {
    double re, im;
};

/* marks[i]: is element i not zero (not empty)? */
static void mark_nonzero(const struct md_tensor *input, bool *marks)
{
    switch ((int)input->datatype) {
        MD_FOR_EACH_NUMBER(MARK_CASE)
    case MD_BOOL:
        MARK(uint8_t, x != 0)
    case MD_FP16:
    case MD_BF16: /* all bits but the sign */
        MARK(uint16_t, (x & 0x7fff) != 0)
    case MD_BYTES:
        MARK(struct md_span, x.size != 0)
    case MD_COMPLEX64:
        MARK(struct complex64, x.re != 0 || x.im != 0)
    case MD_COMPLEX128:
        MARK(struct complex128, x.re != 0 || x.im != 0)
    default:
        for (size_t i = 0; i < input->count; i++)
            marks[i] = md_tensor_double(input, i) != 0;
        break;
    }
}

static enum md_code nonzero_run(struct md_invocation *invocation)
{
    const struct md_tensor *input = md_input(invocation, 0);
    if (!md_wants_output(invocation, 0))
        return MD_OK;
    bool *marks = invocation->scratch;
    size_t found = 0;
    if (input->count > 0)
        mark_nonzero(input, marks);
    for (size_t i = 0; i < input->count; i++)
        found += marks[i];
    /* NonZero (9): a scalar has no coordinates, so its result is [0, N]. */
    struct md_shape shape = { .rank = 2, .dims = { input->shape.rank, (int64_t)found } };
    MD_TRY(md_output_now(invocation, 0, MD_INT64, &shape));
    int64_t *to = md_elements(int64_t, md_output_tensor(invocation, 0));
    int64_t position[MD_MAX_RANK] = { 0 };
    size_t column = 0;
    for (size_t k = 0; k < input->count; k++) {
        if (marks[k]) {
            for (int32_t i = 0; i < input->shape.rank; i++)
                to[(size_t)i * found + column] = position[i];
            column++;
        }
        for (int32_t i = input->shape.rank - 1; i >= 0; i--) {
            if (++position[i] < input->shape.dims[i])
                break;
            position[i] = 0;
        }
    }
    return MD_OK;
}

/* ---- Compress ---- */
struct compress_parameters {
    bool flat;
    int64_t axis;
};

static enum md_code compress_configure(const struct md_configuration *configuration,
                                       const void **out_parameters)
{
    struct compress_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    parameters->flat = md_attribute_find(configuration->attributes, "axis") == NULL;
    return md_attribute_int(configuration->attributes, "axis", 0, &parameters->axis, configuration->error);
}

/* The input as [outer, dim, inner] elements. */
static enum md_code compress_layout(struct md_invocation *invocation, int32_t *out_axis, size_t *out_dim)
{
    const struct compress_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0);
    *out_axis = 0;
    *out_dim = input->count;
    if (parameters->flat)
        return MD_OK;
    MD_TRY(md_expect_axis(invocation, parameters->axis, input->shape.rank, out_axis));
    *out_dim = (size_t)input->shape.dims[*out_axis];
    return MD_OK;
}

static enum md_code compress_prepare(struct md_invocation *invocation)
{
    const struct compress_parameters *parameters = invocation->parameters;
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_expect_tensor_rank(invocation, 1, 1, 1));
    MD_TRY(md_expect_datatype(invocation, 1, MD_TYPE(MD_BOOL)));
    const struct md_tensor *input = md_input(invocation, 0), *condition = md_input(invocation, 1);
    int32_t axis;
    size_t dim, kept = 0;
    MD_TRY(compress_layout(invocation, &axis, &dim));
    for (size_t i = 0; i < condition->count && i < dim; i++)
        kept += md_elements(const uint8_t, condition)[i] != 0;
    struct md_shape shape = parameters->flat ? (struct md_shape){ .rank = 1 } : input->shape;
    shape.dims[axis] = (int64_t)kept;
    return md_output(invocation, 0, input->datatype, &shape);
}

static enum md_code compress_run(struct md_invocation *invocation)
{
    const struct compress_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0), *condition = md_input(invocation, 1);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    int32_t axis;
    size_t dim;
    MD_TRY(compress_layout(invocation, &axis, &dim));
    size_t outer = parameters->flat ? 1 : md_shape_product(&input->shape, 0, axis);
    size_t run = (parameters->flat ? 1 : md_shape_product(&input->shape, axis + 1, input->shape.rank)) *
                 md_datatype_size(input->datatype);
    char *to = output->bytes;
    for (size_t o = 0; o < outer; o++)
        for (size_t i = 0; i < condition->count && i < dim; i++)
            if (md_elements(const uint8_t, condition)[i] != 0) {
                memcpy(to, md_elements(const char, input) + (o * dim + i) * run, run);
                to += run;
            }
    return MD_OK;
}

/* ---- OneHot ---- */
struct onehot_parameters {
    int64_t axis;
};

static enum md_code onehot_configure(const struct md_configuration *configuration,
                                     const void **out_parameters)
{
    struct onehot_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    return md_attribute_int(configuration->attributes, "axis", -1, &parameters->axis, configuration->error);
}

static enum md_code onehot_prepare(struct md_invocation *invocation)
{
    const struct onehot_parameters *parameters = invocation->parameters;
    for (size_t i = 0; i < 3; i++)
        MD_TRY(md_expect_tensor(invocation, i));
    MD_TRY(md_expect_datatype(invocation, 1, MD_TYPES_NUMBER));
    const struct md_tensor *indices = md_input(invocation, 0), *depth = md_input(invocation, 1);
    const struct md_tensor *values = md_input(invocation, 2);
    if (depth->count != 1 || values->count != 2)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "depth has %zu elements, values has %zu: 1 and 2 are needed", depth->count,
                       values->count);
    double classes = md_tensor_double(depth, 0);
    if (!(classes >= 0 && classes <= (double)INT32_MAX))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "depth is %g: range is [0,%d]", classes,
                       INT32_MAX);
    int32_t axis, rank = indices->shape.rank + 1;
    if (rank > MD_MAX_RANK)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "OneHot to rank %d: the limit is %d", rank,
                       MD_MAX_RANK);
    MD_TRY(md_expect_axis(invocation, parameters->axis, rank, &axis));
    struct md_shape shape = { .rank = rank };
    for (int32_t i = 0; i < rank; i++)
        shape.dims[i] = i == axis ? (int64_t)classes : indices->shape.dims[i < axis ? i : i - 1];
    return md_output(invocation, 0, values->datatype, &shape);
}

/* The class of an index: in [0,depth), or -1 for none. */
static int64_t onehot_class(const struct md_invocation *invocation, size_t at, int64_t depth)
{
    const struct md_tensor *indices = md_input(invocation, 0);
    double index = trunc(md_tensor_double(indices, at));
    if (index < 0 && invocation->opset >= 11) /* before, negative indices were out of range */
        index += (double)depth;
    return index >= 0 && index < (double)depth ? (int64_t)index : -1;
}

static enum md_code onehot_run(struct md_invocation *invocation)
{
    const struct onehot_parameters *parameters = invocation->parameters;
    const struct md_tensor *indices = md_input(invocation, 0), *values = md_input(invocation, 2);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    int32_t axis;
    MD_TRY(md_expect_axis(invocation, parameters->axis, output->shape.rank, &axis));
    size_t size = md_datatype_size(values->datatype);
    size_t inner = md_shape_product(&output->shape, axis + 1, output->shape.rank);
    int64_t depth = output->shape.dims[axis];
    md_fill_elements(output->bytes, values->bytes, output->count, size);
    for (size_t k = 0; k < indices->count; k++) {
        int64_t class = onehot_class(invocation, k, depth);
        size_t at = (k / inner * (size_t)depth + (size_t) class) * inner + k % inner;
        if (class >= 0)
            memcpy(md_elements(char, output) + at * size, md_elements(const char, values) + size, size);
    }
    return MD_OK;
}

/* ---- Trilu ---- */
struct trilu_parameters {
    bool lower;
};

static enum md_code trilu_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct trilu_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    int64_t upper;
    MD_TRY(md_attribute_int(configuration->attributes, "upper", 1, &upper, configuration->error));
    parameters->lower = upper == 0;
    return MD_OK;
}

static enum md_code trilu_prepare(struct md_invocation *invocation)
{
    MD_TRY(md_expect_tensor_rank(invocation, 0, 2, MD_MAX_RANK));
    const struct md_tensor *k = md_input(invocation, 1);
    if (k != NULL && k->count != 1)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "input k of Trilu has %zu elements, it must have 1", k->count);
    MD_TRY(md_expect_datatype(invocation, 1, MD_TYPES_INDEX));
    return md_prepare_same(invocation);
}

static enum md_code trilu_run(struct md_invocation *invocation)
{
    const struct trilu_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0), *diagonal = md_input(invocation, 1);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    int64_t rows = input->shape.dims[input->shape.rank - 2],
            columns = input->shape.dims[input->shape.rank - 1];
    int64_t k = diagonal != NULL ? md_index_at(diagonal, 0) : 0;
    k = k < -rows ? -rows : k > columns ? columns : k;
    size_t size = md_datatype_size(input->datatype);
    size_t row_count = input->count / (size_t)columns;
    for (size_t i = 0; i < row_count; i++) {
        int64_t row = (int64_t)(i % (size_t)rows);
        int64_t split = row + k + (parameters->lower ? 1 : 0); /* first column of the upper part */
        size_t left = (size_t)(split < 0 ? 0 : split > columns ? columns : split) * size;
        size_t whole = (size_t)columns * size;
        char *to = md_elements(char, output) + i * whole;
        const char *from = md_elements(const char, input) + i * whole;
        md_copy_bytes(parameters->lower ? to : to + left, parameters->lower ? from : from + left,
                      parameters->lower ? left : whole - left);
        memset(parameters->lower ? to + left : to, 0, parameters->lower ? whole - left : left);
    }
    return MD_OK;
}

/* ---- ReverseSequence ---- */
struct reverse_parameters {
    int64_t time_axis, batch_axis;
};

static enum md_code reverse_configure(const struct md_configuration *configuration,
                                      const void **out_parameters)
{
    struct reverse_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    MD_TRY(md_attribute_int(configuration->attributes, "time_axis", 0, &parameters->time_axis,
                            configuration->error));
    MD_TRY(md_attribute_int(configuration->attributes, "batch_axis", 1, &parameters->batch_axis,
                            configuration->error));
    if (!(parameters->time_axis == 0 && parameters->batch_axis == 1) &&
        !(parameters->time_axis == 1 && parameters->batch_axis == 0))
        return md_fail(configuration->error, MD_INVALID_ARGUMENT,
                       "time_axis %lld and batch_axis %lld: one is 0, one is 1",
                       (long long)parameters->time_axis, (long long)parameters->batch_axis);
    return MD_OK;
}

static enum md_code reverse_prepare(struct md_invocation *invocation)
{
    const struct reverse_parameters *parameters = invocation->parameters;
    MD_TRY(md_expect_tensor_rank(invocation, 0, 2, MD_MAX_RANK));
    MD_TRY(md_expect_tensor_rank(invocation, 1, 1, 1));
    MD_TRY(md_expect_datatype(invocation, 1, MD_TYPES_INDEX));
    const struct md_tensor *input = md_input(invocation, 0), *lengths = md_input(invocation, 1);
    int64_t batch = input->shape.dims[parameters->batch_axis],
            time = input->shape.dims[parameters->time_axis];
    if (lengths->shape.dims[0] != batch)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "sequence_lens has %lld entries, the batch size is %lld",
                       (long long)lengths->shape.dims[0], (long long)batch);
    for (size_t i = 0; i < lengths->count; i++)
        if (md_index_at(lengths, i) < 0 || md_index_at(lengths, i) > time)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "sequence length %lld: range is [0,%lld]",
                           (long long)md_index_at(lengths, i), (long long)time);
    return md_output(invocation, 0, input->datatype, &input->shape);
}

static enum md_code reverse_run(struct md_invocation *invocation)
{
    const struct reverse_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0), *lengths = md_input(invocation, 1);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    struct md_strided strides = md_strided_of(input);
    size_t run = (size_t)strides.strides[1];
    int64_t batch = input->shape.dims[parameters->batch_axis],
            time = input->shape.dims[parameters->time_axis];
    int64_t batch_step = strides.strides[parameters->batch_axis],
            time_step = strides.strides[parameters->time_axis];
    for (int64_t b = 0; b < batch; b++) {
        int64_t length = md_index_at(lengths, (size_t)b);
        for (int64_t t = 0; t < time; t++) {
            int64_t from = t < length ? length - 1 - t : t;
            memcpy(md_elements(char, output) + b * batch_step + t * time_step,
                   md_elements(const char, input) + b * batch_step + from * time_step, run);
        }
    }
    return MD_OK;
}

/* clang-format off */
const struct md_operator md_operators_nonzero[] = {
    { MD_ONNX, "NonZero", 9, MD_OPSET_NEWEST, 1, 1, 1, 1, MD_TYPES_ALL, 0, 0,
      NULL, nonzero_prepare, nonzero_run },
    { MD_ONNX, "Compress", 9, MD_OPSET_NEWEST, 2, 2, 1, 1, MD_TYPES_ALL, 0, 0,
      compress_configure, compress_prepare, compress_run },
    { MD_ONNX, "OneHot", 9, MD_OPSET_NEWEST, 3, 3, 1, 1, MD_TYPES_NUMBER, 0, 0,
      onehot_configure, onehot_prepare, onehot_run },
    { MD_ONNX, "Trilu", 14, MD_OPSET_NEWEST, 1, 2, 1, 1, MD_TYPES_ALL, 0, 0,
      trilu_configure, trilu_prepare, trilu_run },
    { MD_ONNX, "ReverseSequence", 10, MD_OPSET_NEWEST, 2, 2, 1, 1, MD_TYPES_ALL, 0, 0,
      reverse_configure, reverse_prepare, reverse_run },
    { 0 },
};
