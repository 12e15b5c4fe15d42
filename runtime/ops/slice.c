/* slice.c - Slice in its two dialects: attributes (opset 1) and inputs (opset 10 on). A slice that leaves one
 * run of the input's bytes is a view. */
#include "operator_table.h"
#include "parameters.h"
#include "strided_copy.h"

struct slice_parameters {
    struct md_int_list starts, ends, axes; /* opset 1 */
};

/* Where the output lies in the input: per dim, first element and step. */
struct slice {
    struct md_shape shape; /* of the output */
    int64_t start[MD_MAX_RANK];
    int64_t step[MD_MAX_RANK];
};

static enum md_code slice_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct slice_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    MD_TRY(md_int_list_read(configuration, "starts", &parameters->starts));
    MD_TRY(md_int_list_read(configuration, "ends", &parameters->ends));
    MD_TRY(md_int_list_read(configuration, "axes", &parameters->axes));
    size_t limit = MD_MAX_RANK;
    if (parameters->starts.count > limit || parameters->ends.count > limit || parameters->axes.count > limit)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT,
                       "starts, ends or axes has more than %d entries", MD_MAX_RANK);
    return MD_OK;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* Slice (13): negative bounds count from the end, then bounds are clamped: to [0,dim] for a positive step, to
 * [0,dim-1] and [-1,dim-1] for a negative one. */
static void slice_dim(struct slice *slice, int32_t axis, int64_t start, int64_t end, int64_t step)
{
    int64_t dim = slice->shape.dims[axis];
    int64_t count;
    step = clamp(step, -dim - 1, dim + 1); /* longer steps reach one element, too, and would overflow */
    start += start < 0 ? dim : 0;
    end += end < 0 ? dim : 0;
    if (step > 0) {
        start = clamp(start, 0, dim);
        end = clamp(end, 0, dim);
        count = end > start ? 1 + (end - start - 1) / step : 0;
    } else {
        start = clamp(start, 0, dim - 1);
        end = clamp(end, -1, dim - 1);
        count = start > end ? 1 + (start - end - 1) / -step : 0;
    }
    slice->start[axis] = count > 0 ? start : 0;
    slice->step[axis] = step;
    slice->shape.dims[axis] = count;
}

/* The four lists of the node; axes and steps get their defaults. */
static enum md_code slice_lists(struct md_invocation *invocation, int64_t lists[4][MD_MAX_RANK],
                                size_t *out_count)
{
    const struct slice_parameters *parameters = invocation->parameters;
    size_t count[4] = { 0 };
    for (size_t i = 0; i < MD_MAX_RANK; i++) {
        lists[2][i] = (int64_t)i;
        lists[3][i] = 1;
    }
    if (invocation->opset >= 10) {
        MD_TRY(md_expect_tensor(invocation, 1));
        MD_TRY(md_expect_tensor(invocation, 2));
        for (size_t i = 0; i < 4; i++)
            MD_TRY(md_input_ints(invocation, i + 1, MD_MAX_RANK, lists[i], &count[i]));
    } else {
        const struct md_int_list *given[3] = { &parameters->starts, &parameters->ends, &parameters->axes };
        for (size_t i = 0; i < 3; i++) {
            count[i] = given[i]->count;
            for (size_t k = 0; k < count[i]; k++)
                lists[i][k] = given[i]->values[k];
        }
    }
    bool axes = invocation->opset >= 10 ? md_input(invocation, 3) != NULL : parameters->axes.present;
    bool steps = invocation->opset >= 10 && md_input(invocation, 4) != NULL;
    if (count[1] != count[0] || (axes && count[2] != count[0]) || (steps && count[3] != count[0]))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "Slice has %zu starts, %zu ends, %zu axes, %zu steps", count[0], count[1], count[2],
                       count[3]);
    *out_count = count[0];
    return MD_OK;
}

static enum md_code slice_of(struct md_invocation *invocation, struct slice *slice)
{
    MD_TRY(md_expect_tensor(invocation, 0));
    slice->shape = md_input(invocation, 0)->shape;
    bool done[MD_MAX_RANK] = { false };
    for (int32_t i = 0; i < MD_MAX_RANK; i++) {
        slice->start[i] = 0;
        slice->step[i] = 1;
    }
    int64_t lists[4][MD_MAX_RANK];
    size_t count = 0;
    MD_TRY(slice_lists(invocation, lists, &count));
    for (size_t i = 0; i < count; i++) {
        int32_t axis;
        MD_TRY(md_expect_axis(invocation, lists[2][i], slice->shape.rank, &axis));
        if (done[axis])
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "Slice lists axis %d twice", axis);
        if (lists[3][i] == 0)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "Slice of axis %d has step 0", axis);
        done[axis] = true;
        slice_dim(slice, axis, lists[0][i], lists[1][i], lists[3][i]);
    }
    return MD_OK;
}

/* One run of bytes: behind the first dim longer than 1, every dim is taken whole. */
static bool is_one_run(const struct slice *slice, const struct md_shape *input)
{
    int32_t i = 0;
    while (i < input->rank && slice->shape.dims[i] == 1)
        i++;
    if (i < input->rank && slice->step[i] != 1)
        return false;
    for (i++; i < input->rank; i++)
        if (slice->step[i] != 1 || slice->shape.dims[i] != input->dims[i])
            return false;
    return true;
}

static int64_t first_byte(const struct slice *slice, const struct md_strided *input, int32_t rank)
{
    int64_t offset = 0;
    for (int32_t i = 0; i < rank; i++)
        offset += slice->start[i] * input->strides[i];
    return offset;
}

static enum md_code slice_prepare(struct md_invocation *invocation)
{
    struct slice slice;
    MD_TRY(slice_of(invocation, &slice));
    const struct md_tensor *input = md_input(invocation, 0);
    if (md_shape_product(&slice.shape, 0, slice.shape.rank) == 0 || !is_one_run(&slice, &input->shape))
        return md_output(invocation, 0, input->datatype, &slice.shape);
    struct md_strided from = md_strided_of(input);
    return md_output_view(invocation, 0, 0, input->datatype, &slice.shape,
                          (size_t)first_byte(&slice, &from, input->shape.rank));
}

static enum md_code slice_run(struct md_invocation *invocation)
{
    struct slice slice;
    MD_TRY(slice_of(invocation, &slice));
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0 || is_one_run(&slice, &input->shape))
        return MD_OK;
    struct md_strided from = md_strided_of(input), to = md_strided_of(output);
    from.bytes = (char *)input->bytes + first_byte(&slice, &from, input->shape.rank);
    for (int32_t i = 0; i < input->shape.rank; i++)
        from.strides[i] *= slice.step[i];
    md_strided_copy(output->shape.rank, output->shape.dims, &to, &from, md_datatype_size(input->datatype));
    return MD_OK;
}

/* clang-format off */
const struct md_operator md_operators_slice[] = {
    { MD_ONNX, "Slice", 1, 9, 1, 1, 1, 1, MD_TYPES_ALL, 0, 0, slice_configure, slice_prepare, slice_run },
    { MD_ONNX, "Slice", 10, MD_OPSET_NEWEST, 3, 5, 1, 1, MD_TYPES_ALL, 0, 0,
      slice_configure, slice_prepare, slice_run },
    { 0 },
};
