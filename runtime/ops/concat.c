/* concat.c - Concat and Split: runs of bytes side by side along one axis. */
#include "checked.h"
#include "operator_table.h"
#include "parameters.h"
#include "strided_copy.h"

struct concat_parameters {
    int64_t axis;
};

static enum md_code concat_configure(const struct md_configuration *configuration,
                                     const void **out_parameters)
{
    struct concat_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    if (configuration->opset >= 4 && md_attribute_find(configuration->attributes, "axis") == NULL)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "Concat has no axis");
    return md_attribute_int(configuration->attributes, "axis", 1, &parameters->axis, configuration->error);
}

static enum md_code concat_check(struct md_invocation *invocation, size_t index, int32_t axis)
{
    MD_TRY(md_expect_tensor(invocation, index));
    MD_TRY(md_expect_same_datatype(invocation, 0, index));
    const struct md_shape *first = &md_input(invocation, 0)->shape,
                          *shape = &md_input(invocation, index)->shape;
    struct md_shape same = *shape;
    if (shape->rank == first->rank)
        same.dims[axis] = first->dims[axis];
    if (md_shape_equal(&same, first))
        return MD_OK;
    char text[MD_SHAPE_TEXT_SIZE], other[MD_SHAPE_TEXT_SIZE];
    return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                   "Concat along axis %d: input %zu has shape %s, input 0 has %s", axis, index,
                   md_shape_text(shape, text, sizeof text), md_shape_text(first, other, sizeof other));
}

static enum md_code concat_prepare(struct md_invocation *invocation)
{
    const struct concat_parameters *parameters = invocation->parameters;
    MD_TRY(md_expect_tensor(invocation, 0));
    const struct md_tensor *input = md_input(invocation, 0);
    int32_t axis;
    MD_TRY(md_expect_axis(invocation, parameters->axis, input->shape.rank, &axis));
    struct md_shape shape = input->shape;
    for (size_t i = 1; i < invocation->input_count; i++) {
        MD_TRY(concat_check(invocation, i, axis));
        if (__builtin_add_overflow(shape.dims[axis], md_input(invocation, i)->shape.dims[axis],
                                   &shape.dims[axis]))
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "Concat along axis %d: the sum of sizes overflows", axis);
    }
    if (invocation->input_count == 1)
        return md_output_view(invocation, 0, 0, input->datatype, &shape, 0);
    return md_output(invocation, 0, input->datatype, &shape);
}

static enum md_code concat_run(struct md_invocation *invocation)
{
    const struct concat_parameters *parameters = invocation->parameters;
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0 || invocation->input_count == 1)
        return MD_OK;
    int32_t axis;
    MD_TRY(md_expect_axis(invocation, parameters->axis, output->shape.rank, &axis));
    size_t inner =
        md_shape_product(&output->shape, axis + 1, output->shape.rank) * md_datatype_size(output->datatype);
    size_t outer = md_shape_product(&output->shape, 0, axis);
    size_t pitch = inner * (size_t)output->shape.dims[axis];
    char *to = output->bytes;
    for (size_t i = 0; i < invocation->input_count; i++) {
        const struct md_tensor *input = md_input(invocation, i);
        size_t run = inner * (size_t)input->shape.dims[axis];
        for (size_t o = 0; run > 0 && o < outer; o++)
            memcpy(to + o * pitch, md_elements(const char, input) + o * run, run);
        to += run;
    }
    return MD_OK;
}

/* ---- Split ---- */
struct split_parameters {
    int64_t axis;
    int64_t num_outputs;      /* opset 18; 0: absent */
    struct md_int_list split; /* opset 1 to 12 */
};

static enum md_code split_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct split_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    MD_TRY(md_attribute_int(configuration->attributes, "axis", 0, &parameters->axis, configuration->error));
    MD_TRY(md_attribute_int(configuration->attributes, "num_outputs", 0, &parameters->num_outputs,
                            configuration->error));
    if (parameters->num_outputs != 0 && parameters->num_outputs != (int64_t)configuration->output_count)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT,
                       "num_outputs is %lld, the node has %zu outputs", (long long)parameters->num_outputs,
                       configuration->output_count);
    return md_int_list_read(configuration, "split", &parameters->split);
}

/* Size of part `index` when nothing is listed: equal parts, the last one smaller (legal from opset 18 on). */
static int64_t equal_part(int64_t dim, size_t parts, size_t index)
{
    int64_t chunk = (dim + (int64_t)parts - 1) / (int64_t)parts;
    int64_t left = dim - chunk * (int64_t)index;
    return left < 0 ? 0 : left < chunk ? left : chunk;
}

static enum md_code check_sizes(struct md_invocation *invocation, int64_t dim, size_t count)
{
    const struct split_parameters *parameters = invocation->parameters;
    const struct md_tensor *split = md_input(invocation, 1);
    if (count != invocation->output_count)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "split has %zu entries, the node has %zu outputs", count, invocation->output_count);
    int64_t left = dim;
    for (size_t i = 0; i < count; i++) {
        int64_t size = split != NULL ? md_index_at(split, i) : parameters->split.values[i];
        if (size < 0 || size > left)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "entry %zu of split is %lld, %lld elements are left", i, (long long)size,
                           (long long)left);
        left -= size;
    }
    if (left != 0)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "split adds up to %lld, the axis has size %lld", (long long)(dim - left),
                       (long long)dim);
    return MD_OK;
}

/* Checks the node's parts and returns the axis. */
static enum md_code split_check(struct md_invocation *invocation, int32_t *out_axis)
{
    const struct split_parameters *parameters = invocation->parameters;
    MD_TRY(md_expect_tensor(invocation, 0));
    const struct md_tensor *input = md_input(invocation, 0), *split = md_input(invocation, 1);
    MD_TRY(md_expect_axis(invocation, parameters->axis, input->shape.rank, out_axis));
    int64_t dim = input->shape.dims[*out_axis];
    size_t parts = invocation->output_count;
    if (split != NULL) {
        /* Before opset 2 the sizes had the type of the data. */
        MD_TRY(md_expect_datatype(invocation, 1, MD_TYPES_INDEX));
        return check_sizes(invocation, dim, split->count);
    }
    if (parameters->split.present)
        return check_sizes(invocation, dim, parameters->split.count);
    if (parts == 0 || (invocation->opset < 18 && dim % (int64_t)parts != 0))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "an axis of size %lld does not divide into %zu outputs", (long long)dim, parts);
    return MD_OK;
}

static int64_t part_size(const struct md_invocation *invocation, int64_t dim, size_t index)
{
    const struct split_parameters *parameters = invocation->parameters;
    const struct md_tensor *split = md_input(invocation, 1);
    if (split != NULL)
        return md_index_at(split, index);
    if (parameters->split.present)
        return parameters->split.values[index];
    return equal_part(dim, invocation->output_count, index);
}

static enum md_code split_prepare(struct md_invocation *invocation)
{
    int32_t axis;
    MD_TRY(split_check(invocation, &axis));
    const struct md_tensor *input = md_input(invocation, 0);
    bool views = md_shape_product(&input->shape, 0, axis) == 1;
    size_t inner =
        md_shape_product(&input->shape, axis + 1, input->shape.rank) * md_datatype_size(input->datatype);
    size_t offset = 0;
    for (size_t i = 0; i < invocation->output_count; i++) {
        struct md_shape shape = input->shape;
        shape.dims[axis] = part_size(invocation, input->shape.dims[axis], i);
        size_t run = inner * (size_t)shape.dims[axis];
        if (views && run > 0)
            MD_TRY(md_output_view(invocation, i, 0, input->datatype, &shape, offset));
        else
            MD_TRY(md_output(invocation, i, input->datatype, &shape));
        offset += run;
    }
    return MD_OK;
}

static enum md_code split_run(struct md_invocation *invocation)
{
    int32_t axis;
    MD_TRY(split_check(invocation, &axis));
    const struct md_tensor *input = md_input(invocation, 0);
    size_t outer = md_shape_product(&input->shape, 0, axis);
    if (outer == 1)
        return MD_OK;
    size_t inner =
        md_shape_product(&input->shape, axis + 1, input->shape.rank) * md_datatype_size(input->datatype);
    size_t pitch = inner * (size_t)input->shape.dims[axis];
    size_t offset = 0;
    for (size_t i = 0; i < invocation->output_count; i++) {
        struct md_tensor *output = md_output_tensor(invocation, i);
        size_t run = inner * (size_t)part_size(invocation, input->shape.dims[axis], i);
        for (size_t o = 0; output != NULL && run > 0 && o < outer; o++)
            memcpy(md_elements(char, output) + o * run, md_elements(const char, input) + offset + o * pitch,
                   run);
        offset += run;
    }
    return MD_OK;
}

/* clang-format off */
const struct md_operator md_operators_concat[] = {
    { MD_ONNX, "Concat", 1, MD_OPSET_NEWEST, 1, -1, 1, 1, MD_TYPES_ALL, 0, 0,
      concat_configure, concat_prepare, concat_run },
    { MD_ONNX, "Split", 1, MD_OPSET_NEWEST, 1, 2, 1, -1, MD_TYPES_ALL, 0, 0,
      split_configure, split_prepare, split_run },
    { 0 },
};
