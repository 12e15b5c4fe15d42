/* gather.c - Gather, GatherElements, GatherND: reading elements at given indices; any element type.
 * An index out of range is an error of run, with the index and the range. */
#include "operator_table.h"
#include "parameters.h"
#include "strided_copy.h"

struct gather_parameters {
    int64_t axis;
    int64_t batch_dims;
};

static enum md_code gather_configure(const struct md_configuration *configuration,
                                     const void **out_parameters)
{
    struct gather_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    MD_TRY(md_attribute_int(configuration->attributes, "axis", 0, &parameters->axis, configuration->error));
    return md_attribute_int(configuration->attributes, "batch_dims", 0, &parameters->batch_dims,
                            configuration->error);
}

/* Index `at` of the indices as a number in [0,dim). */
static inline enum md_code read_index(struct md_invocation *invocation, const struct md_tensor *indices,
                                      size_t at, int64_t dim, int64_t *out_index)
{
    int64_t index = md_index_at(indices, at);
    if (index < -dim || index >= dim)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "index %lld at position %zu: range is [%lld,%lld]", (long long)index, at,
                       (long long)-dim, (long long)(dim - 1));
    *out_index = index < 0 ? index + dim : index;
    return MD_OK;
}

static enum md_code gather_prepare(struct md_invocation *invocation)
{
    const struct gather_parameters *parameters = invocation->parameters;
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_expect_tensor(invocation, 1));
    MD_TRY(md_expect_datatype(invocation, 1, MD_TYPES_INDEX));
    const struct md_tensor *data = md_input(invocation, 0), *indices = md_input(invocation, 1);
    int32_t axis;
    MD_TRY(md_expect_axis(invocation, parameters->axis, data->shape.rank, &axis));
    if (data->shape.rank - 1 + indices->shape.rank > MD_MAX_RANK)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "Gather of ranks %d and %d: the limit of the result is %d", data->shape.rank,
                       indices->shape.rank, MD_MAX_RANK);
    struct md_shape shape = { 0 };
    for (int32_t i = 0; i < axis; i++)
        shape.dims[shape.rank++] = data->shape.dims[i];
    for (int32_t i = 0; i < indices->shape.rank; i++)
        shape.dims[shape.rank++] = indices->shape.dims[i];
    for (int32_t i = axis + 1; i < data->shape.rank; i++)
        shape.dims[shape.rank++] = data->shape.dims[i];
    return md_output(invocation, 0, data->datatype, &shape);
}

static enum md_code gather_run(struct md_invocation *invocation)
{
    const struct gather_parameters *parameters = invocation->parameters;
    const struct md_tensor *data = md_input(invocation, 0), *indices = md_input(invocation, 1);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    int32_t axis;
    MD_TRY(md_expect_axis(invocation, parameters->axis, data->shape.rank, &axis));
    size_t size = md_datatype_size(data->datatype);
    size_t outer = md_shape_product(&data->shape, 0, axis);
    size_t run = md_shape_product(&data->shape, axis + 1, data->shape.rank) * size;
    int64_t dim = data->shape.dims[axis];
    for (size_t k = 0; k < indices->count; k++) {
        int64_t index = 0;
        MD_TRY(read_index(invocation, indices, k, dim, &index));
        for (size_t o = 0; o < outer; o++)
            memcpy(md_elements(char, output) + (o * indices->count + k) * run,
                   md_elements(const char, data) + (o * (size_t)dim + (size_t)index) * run, run);
    }
    return MD_OK;
}

/* ---- GatherElements ---- */
static enum md_code gather_elements_prepare(struct md_invocation *invocation)
{
    const struct gather_parameters *parameters = invocation->parameters;
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_expect_tensor(invocation, 1));
    MD_TRY(md_expect_datatype(invocation, 1, MD_TYPES_INDEX));
    const struct md_tensor *data = md_input(invocation, 0), *indices = md_input(invocation, 1);
    int32_t axis;
    MD_TRY(md_expect_axis(invocation, parameters->axis, data->shape.rank, &axis));
    MD_TRY(md_expect_rank(invocation, 1, data->shape.rank, data->shape.rank));
    for (int32_t i = 0; i < data->shape.rank; i++)
        if (i != axis && indices->shape.dims[i] > data->shape.dims[i])
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "dim %d of the indices is %lld, of the data %lld", i,
                           (long long)indices->shape.dims[i], (long long)data->shape.dims[i]);
    return md_output(invocation, 0, data->datatype, &indices->shape);
}

static enum md_code gather_elements_run(struct md_invocation *invocation)
{
    const struct gather_parameters *parameters = invocation->parameters;
    const struct md_tensor *data = md_input(invocation, 0), *indices = md_input(invocation, 1);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    int32_t axis, rank = data->shape.rank;
    MD_TRY(md_expect_axis(invocation, parameters->axis, rank, &axis));
    size_t size = md_datatype_size(data->datatype);
    struct md_strided from = md_strided_of(data);
    int64_t position[MD_MAX_RANK] = { 0 }, along = from.strides[axis],
            row = 0; /* row: offset but for the axis */
    from.strides[axis] = 0;
    for (size_t k = 0; k < indices->count; k++) {
        int64_t index = 0;
        MD_TRY(read_index(invocation, indices, k, data->shape.dims[axis], &index));
        memcpy(md_elements(char, output) + k * size, md_elements(const char, data) + row + index * along,
               size);
        for (int32_t i = rank - 1; i >= 0; i--) {
            row += from.strides[i];
            if (++position[i] < indices->shape.dims[i])
                break;
            row -= from.strides[i] * position[i];
            position[i] = 0;
        }
    }
    return MD_OK;
}

/* ---- GatherND ---- */
static enum md_code gather_nd_prepare(struct md_invocation *invocation)
{
    const struct gather_parameters *parameters = invocation->parameters;
    MD_TRY(md_expect_tensor_rank(invocation, 0, 1, MD_MAX_RANK));
    MD_TRY(md_expect_tensor_rank(invocation, 1, 1, MD_MAX_RANK));
    MD_TRY(md_expect_datatype(invocation, 1, MD_TYPES_INDEX));
    const struct md_shape *data = &md_input(invocation, 0)->shape, *indices = &md_input(invocation, 1)->shape;
    int64_t batch = parameters->batch_dims;
    int64_t depth = indices->dims[indices->rank - 1];
    if (batch < 0 || batch >= data->rank || batch >= indices->rank)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "batch_dims is %lld, the inputs have ranks %d and %d", (long long)batch, data->rank,
                       indices->rank);
    if (depth < 1 || depth > data->rank - batch)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "the last dim of the indices is %lld: range is [1,%lld]", (long long)depth,
                       (long long)(data->rank - batch));
    for (int32_t i = 0; i < batch; i++)
        if (data->dims[i] != indices->dims[i])
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "batch dim %d is %lld in the data, %lld in the indices", i,
                           (long long)data->dims[i], (long long)indices->dims[i]);
    struct md_shape shape = { 0 };
    int32_t first = (int32_t)(batch + depth);
    if (indices->rank - 1 + data->rank - first > MD_MAX_RANK)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "the result of GatherND has rank %d, the limit is %d",
                       indices->rank - 1 + data->rank - first, MD_MAX_RANK);
    for (int32_t i = 0; i < indices->rank - 1; i++)
        shape.dims[shape.rank++] = indices->dims[i];
    for (int32_t i = first; i < data->rank; i++)
        shape.dims[shape.rank++] = data->dims[i];
    return md_output(invocation, 0, md_input(invocation, 0)->datatype, &shape);
}

static enum md_code gather_nd_run(struct md_invocation *invocation)
{
    const struct gather_parameters *parameters = invocation->parameters;
    const struct md_tensor *data = md_input(invocation, 0), *indices = md_input(invocation, 1);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    int32_t batch = (int32_t)parameters->batch_dims, rank = data->shape.rank;
    size_t depth = (size_t)indices->shape.dims[indices->shape.rank - 1];
    size_t tuples = indices->count / depth, batches = md_shape_product(&data->shape, 0, batch);
    size_t run =
        md_shape_product(&data->shape, batch + (int32_t)depth, rank) * md_datatype_size(data->datatype);
    struct md_strided from = md_strided_of(data);
    size_t batch_bytes = md_shape_product(&data->shape, batch, rank) * md_datatype_size(data->datatype);
    for (size_t t = 0; t < tuples; t++) {
        int64_t offset = (int64_t)(t / (tuples / batches) * batch_bytes);
        for (size_t i = 0; i < depth; i++) {
            int64_t index = 0;
            MD_TRY(
                read_index(invocation, indices, t * depth + i, data->shape.dims[batch + (int32_t)i], &index));
            offset += index * from.strides[batch + (int32_t)i];
        }
        memcpy(md_elements(char, output) + t * run, md_elements(const char, data) + offset, run);
    }
    return MD_OK;
}

/* clang-format off */
const struct md_operator md_operators_gather[] = {
    { MD_ONNX, "Gather", 1, MD_OPSET_NEWEST, 2, 2, 1, 1, MD_TYPES_ALL, 0, 0,
      gather_configure, gather_prepare, gather_run },
    { MD_ONNX, "GatherElements", 11, MD_OPSET_NEWEST, 2, 2, 1, 1, MD_TYPES_ALL, 0, 0,
      gather_configure, gather_elements_prepare, gather_elements_run },
    { MD_ONNX, "GatherND", 11, MD_OPSET_NEWEST, 2, 2, 1, 1, MD_TYPES_ALL, 0, 0,
      gather_configure, gather_nd_prepare, gather_nd_run },
    { 0 },
};
