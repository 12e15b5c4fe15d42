/* scatter.c - Scatter (deprecated name), ScatterElements, ScatterND, TensorScatter: a copy of the data with
 * updates written, or combined, at given indices. Updates are applied in the order of the indices, so that
 * duplicates give the same answer in every run. */
#include "operator_table.h"
#include "parameters.h"
#include "scatter_reduction.h"
#include "strided_copy.h"

struct scatter_parameters {
    int64_t axis;
    enum md_reduction reduction;
    bool circular; /* TensorScatter */
};

static enum md_code scatter_configure(const struct md_configuration *configuration,
                                      const void **out_parameters)
{
    struct scatter_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    struct md_span reduction;
    MD_TRY(md_attribute_int(configuration->attributes, "axis", 0, &parameters->axis, configuration->error));
    MD_TRY(md_attribute_string(configuration->attributes, "reduction", "none", &reduction,
                               configuration->error));
    return md_reduction_parse(reduction, &parameters->reduction, configuration->error);
}

/* Starts the output with the data and finds the function that combines; NULL: updates replace. */
static enum md_code scatter_begin(struct md_invocation *invocation, md_reduce_fn *out_reduce)
{
    const struct scatter_parameters *parameters = invocation->parameters;
    const struct md_tensor *data = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    MD_TRY(md_reduction_find(parameters->reduction, data->datatype, out_reduce, invocation->error));
    if (output != NULL && output->bytes != data->bytes)
        md_copy_bytes(output->bytes, data->bytes, md_tensor_size(data));
    return MD_OK;
}

static enum md_code read_index(struct md_invocation *invocation, size_t at, int64_t dim, int64_t *out_index)
{
    int64_t index = md_index_at(md_input(invocation, 1), at);
    if (index < -dim || index >= dim)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "index %lld at position %zu: range is [%lld,%lld]", (long long)index, at,
                       (long long)-dim, (long long)(dim - 1));
    *out_index = index < 0 ? index + dim : index;
    return MD_OK;
}

static enum md_code scatter_inputs(struct md_invocation *invocation)
{
    for (size_t i = 0; i < 3; i++)
        MD_TRY(md_expect_tensor(invocation, i));
    MD_TRY(md_expect_datatype(invocation, 1, MD_TYPES_INDEX));
    return md_expect_same_datatype(invocation, 0, 2);
}

/* ---- ScatterElements ---- */
static enum md_code scatter_elements_prepare(struct md_invocation *invocation)
{
    const struct scatter_parameters *parameters = invocation->parameters;
    MD_TRY(scatter_inputs(invocation));
    const struct md_tensor *data = md_input(invocation, 0), *indices = md_input(invocation, 1);
    const struct md_tensor *updates = md_input(invocation, 2);
    int32_t axis;
    MD_TRY(md_expect_axis(invocation, parameters->axis, data->shape.rank, &axis));
    if (!md_shape_equal(&indices->shape, &updates->shape)) {
        char a[MD_SHAPE_TEXT_SIZE], b[MD_SHAPE_TEXT_SIZE];
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "indices have shape %s, updates %s",
                       md_shape_text(&indices->shape, a, sizeof a),
                       md_shape_text(&updates->shape, b, sizeof b));
    }
    MD_TRY(md_expect_rank(invocation, 1, data->shape.rank, data->shape.rank));
    for (int32_t i = 0; i < data->shape.rank; i++)
        if (i != axis && indices->shape.dims[i] > data->shape.dims[i])
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "dim %d of the indices is %lld, of the data %lld", i,
                           (long long)indices->shape.dims[i], (long long)data->shape.dims[i]);
    return md_output(invocation, 0, data->datatype, &data->shape);
}

static enum md_code scatter_elements_run(struct md_invocation *invocation)
{
    const struct scatter_parameters *parameters = invocation->parameters;
    const struct md_tensor *indices = md_input(invocation, 1), *updates = md_input(invocation, 2);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    md_reduce_fn reduce = NULL;
    MD_TRY(scatter_begin(invocation, &reduce));
    if (output == NULL)
        return MD_OK;
    int32_t axis, rank = output->shape.rank;
    MD_TRY(md_expect_axis(invocation, parameters->axis, rank, &axis));
    size_t size = md_datatype_size(output->datatype);
    struct md_strided to = md_strided_of(output);
    int64_t position[MD_MAX_RANK] = { 0 }, along = to.strides[axis], row = 0;
    to.strides[axis] = 0;
    for (size_t k = 0; k < indices->count; k++) {
        int64_t index = 0;
        MD_TRY(read_index(invocation, k, output->shape.dims[axis], &index));
        char *element = md_elements(char, output) + row + index * along;
        if (reduce == NULL)
            memcpy(element, md_elements(const char, updates) + k * size, size);
        else
            reduce(element, md_elements(const char, updates) + k * size, 1);
        for (int32_t i = rank - 1; i >= 0; i--) {
            row += to.strides[i];
            if (++position[i] < indices->shape.dims[i])
                break;
            row -= to.strides[i] * position[i];
            position[i] = 0;
        }
    }
    return MD_OK;
}

/* ---- ScatterND ---- */
static enum md_code scatter_nd_prepare(struct md_invocation *invocation)
{
    MD_TRY(scatter_inputs(invocation));
    MD_TRY(md_expect_tensor_rank(invocation, 1, 1, MD_MAX_RANK));
    const struct md_tensor *data = md_input(invocation, 0);
    const struct md_shape *indices = &md_input(invocation, 1)->shape,
                          *updates = &md_input(invocation, 2)->shape;
    int64_t depth = indices->dims[indices->rank - 1];
    if (depth < 0 || depth > data->shape.rank)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "the last dim of the indices is %lld, the data has rank %d", (long long)depth,
                       data->shape.rank);
    struct md_shape wanted = { 0 };
    char a[MD_SHAPE_TEXT_SIZE], b[MD_SHAPE_TEXT_SIZE];
    if (indices->rank - 1 + data->shape.rank - depth > MD_MAX_RANK)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "updates of ScatterND would need more than %d dims", MD_MAX_RANK);
    for (int32_t i = 0; i < indices->rank - 1; i++)
        wanted.dims[wanted.rank++] = indices->dims[i];
    for (int32_t i = (int32_t)depth; i < data->shape.rank; i++)
        wanted.dims[wanted.rank++] = data->shape.dims[i];
    if (!md_shape_equal(updates, &wanted))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "updates have shape %s, the indices ask for %s", md_shape_text(updates, a, sizeof a),
                       md_shape_text(&wanted, b, sizeof b));
    return md_output(invocation, 0, data->datatype, &data->shape);
}

static enum md_code scatter_nd_run(struct md_invocation *invocation)
{
    const struct md_tensor *indices = md_input(invocation, 1), *updates = md_input(invocation, 2);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    md_reduce_fn reduce = NULL;
    MD_TRY(scatter_begin(invocation, &reduce));
    if (output == NULL || updates->count == 0)
        return MD_OK;
    size_t depth = (size_t)indices->shape.dims[indices->shape.rank - 1];
    size_t tuples = md_shape_product(&indices->shape, 0, indices->shape.rank - 1);
    size_t run = md_shape_product(&output->shape, (int32_t)depth, output->shape.rank);
    size_t size = md_datatype_size(output->datatype);
    struct md_strided to = md_strided_of(output);
    for (size_t t = 0; t < tuples; t++) {
        int64_t offset = 0;
        for (size_t i = 0; i < depth; i++) {
            int64_t index = 0;
            MD_TRY(read_index(invocation, t * depth + i, output->shape.dims[i], &index));
            offset += index * to.strides[i];
        }
        if (reduce == NULL)
            memcpy(md_elements(char, output) + offset, md_elements(const char, updates) + t * run * size,
                   run * size);
        else
            reduce(md_elements(char, output) + offset, md_elements(const char, updates) + t * run * size,
                   run);
    }
    return MD_OK;
}

/* ---- TensorScatter: the key and value caches of attention ---- */
static enum md_code tensor_scatter_configure(const struct md_configuration *configuration,
                                             const void **out_parameters)
{
    struct scatter_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    struct md_span mode;
    MD_TRY(md_attribute_int(configuration->attributes, "axis", -2, &parameters->axis, configuration->error));
    MD_TRY(md_attribute_string(configuration->attributes, "mode", "linear", &mode, configuration->error));
    parameters->circular = md_span_equal(mode, md_span_of("circular"));
    if (!parameters->circular && !md_span_equal(mode, md_span_of("linear")))
        return md_fail(configuration->error, MD_INVALID_ARGUMENT,
                       "mode \"%.*s\": known are linear and circular", (int)mode.size, mode.bytes);
    return MD_OK;
}

static enum md_code tensor_scatter_prepare(struct md_invocation *invocation)
{
    const struct scatter_parameters *parameters = invocation->parameters;
    MD_TRY(md_expect_tensor_rank(invocation, 0, 2, MD_MAX_RANK));
    MD_TRY(md_expect_tensor(invocation, 1));
    MD_TRY(md_expect_same_datatype(invocation, 0, 1));
    const struct md_tensor *cache = md_input(invocation, 0), *update = md_input(invocation, 1);
    const struct md_tensor *write = md_input(invocation, 2);
    int32_t axis;
    MD_TRY(md_expect_axis(invocation, parameters->axis, cache->shape.rank, &axis));
    struct md_shape same = update->shape;
    if (same.rank == cache->shape.rank)
        same.dims[axis] = cache->shape.dims[axis];
    char a[MD_SHAPE_TEXT_SIZE], b[MD_SHAPE_TEXT_SIZE];
    if (axis == 0 || !md_shape_equal(&same, &cache->shape) ||
        update->shape.dims[axis] > cache->shape.dims[axis])
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "update of shape %s does not fit a cache of %s along axis %d",
                       md_shape_text(&update->shape, a, sizeof a), md_shape_text(&cache->shape, b, sizeof b),
                       axis);
    if (write != NULL) {
        MD_TRY(md_expect_datatype(invocation, 2, MD_TYPES_INDEX));
        if (write->shape.rank != 1 || write->shape.dims[0] != cache->shape.dims[0])
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "write_indices have shape %s, the batch size is %lld",
                           md_shape_text(&write->shape, a, sizeof a), (long long)cache->shape.dims[0]);
    }
    return md_output(invocation, 0, cache->datatype, &cache->shape);
}

/* Copies rows [0,count) of every lane of one batch entry to row `start` on, around the end of the axis. */
static void write_lanes(char *to, const char *from, size_t lanes, int64_t dim, int64_t count, int64_t start,
                        size_t row)
{
    int64_t first = count < dim - start ? count : dim - start;
    for (size_t lane = 0; lane < lanes; lane++) {
        char *target = to + lane * (size_t)dim * row;
        const char *source = from + lane * (size_t)count * row;
        md_copy_bytes(target + (size_t)start * row, source, (size_t)first * row);
        md_copy_bytes(target, source + (size_t)first * row, (size_t)(count - first) * row);
    }
}

static enum md_code tensor_scatter_run(struct md_invocation *invocation)
{
    const struct scatter_parameters *parameters = invocation->parameters;
    const struct md_tensor *cache = md_input(invocation, 0), *update = md_input(invocation, 1);
    const struct md_tensor *write = md_input(invocation, 2);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL)
        return MD_OK;
    if (output->bytes != cache->bytes)
        md_copy_bytes(output->bytes, cache->bytes, md_tensor_size(cache));
    int32_t axis, rank = cache->shape.rank;
    MD_TRY(md_expect_axis(invocation, parameters->axis, rank, &axis));
    if (update->count == 0)
        return MD_OK;
    int64_t dim = cache->shape.dims[axis], count = update->shape.dims[axis];
    size_t row = md_shape_product(&cache->shape, axis + 1, rank) * md_datatype_size(cache->datatype);
    size_t lanes = md_shape_product(&cache->shape, 1, axis);
    for (int64_t b = 0; b < cache->shape.dims[0]; b++) {
        int64_t start = write != NULL ? md_index_at(write, (size_t)b) : 0;
        if (start < 0 || (!parameters->circular && start > dim - count))
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "write index %lld: %lld rows do not fit an axis of %lld", (long long)start,
                           (long long)count, (long long)dim);
        write_lanes(md_elements(char, output) + (size_t)b * lanes * (size_t)dim * row,
                    md_elements(const char, update) + (size_t)b * lanes * (size_t)count * row, lanes, dim,
                    count, start % dim, row);
    }
    return MD_OK;
}

/* clang-format off */
enum { TENSOR_SCATTER_NEWEST = MD_OPSET_NEWEST > 24 ? (int)MD_OPSET_NEWEST : 24 };

const struct md_operator md_operators_scatter[] = {
    { MD_ONNX, "Scatter", 9, MD_OPSET_NEWEST, 3, 3, 1, 1, MD_TYPES_ALL, 0, 0,
      scatter_configure, scatter_elements_prepare, scatter_elements_run },
    { MD_ONNX, "ScatterElements", 11, MD_OPSET_NEWEST, 3, 3, 1, 1, MD_TYPES_ALL, 0, 0,
      scatter_configure, scatter_elements_prepare, scatter_elements_run },
    { MD_ONNX, "ScatterND", 11, MD_OPSET_NEWEST, 3, 3, 1, 1, MD_TYPES_ALL, 0, 0,
      scatter_configure, scatter_nd_prepare, scatter_nd_run },
    { MD_ONNX, "TensorScatter", 24, TENSOR_SCATTER_NEWEST, 2, 3, 1, 1, MD_TYPES_ALL, 0, 0,
      tensor_scatter_configure, tensor_scatter_prepare, tensor_scatter_run },
    { 0 },
};
