/* pad.c - Pad in its dialects (attributes in opsets 1 and 2, inputs from 11, axes from 18, wrap from 19) and
 * CenterCropPad. Negative pads crop. Any element type. */
#include "operator_table.h"
#include "parameters.h"
#include "strided_copy.h"

enum pad_mode { PAD_CONSTANT, PAD_REFLECT, PAD_EDGE, PAD_WRAP, PAD_MODE_COUNT };

struct pad_parameters {
    enum pad_mode mode;
    struct md_int_list pads; /* opsets 1 and 2 */
    float value;             /* opsets 1 and 2 */
};

struct pads {
    struct md_shape shape; /* of the output */
    int64_t before[MD_MAX_RANK];
};

static enum md_code pad_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    static const char *const modes[PAD_MODE_COUNT] = { "constant", "reflect", "edge", "wrap" };
    struct pad_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    struct md_span mode;
    MD_TRY(md_attribute_string(configuration->attributes, "mode", "constant", &mode, configuration->error));
    MD_TRY(
        md_attribute_float(configuration->attributes, "value", 0, &parameters->value, configuration->error));
    MD_TRY(
        md_int_list_read(configuration, configuration->opset < 2 ? "paddings" : "pads", &parameters->pads));
    for (int i = 0; i < PAD_MODE_COUNT; i++) {
        if (!md_span_equal(mode, md_span_of(modes[i])))
            continue;
        parameters->mode = (enum pad_mode)i;
        return MD_OK;
    }
    return md_fail(configuration->error, MD_INVALID_ARGUMENT,
                   "mode \"%.*s\": known are constant, reflect, edge, wrap", (int)mode.size, mode.bytes);
}

/* The pads as listed, and the axes that they belong to (all by default). */
static enum md_code pad_lists(struct md_invocation *invocation, int32_t rank, int64_t *out_pads,
                              size_t *out_pad_count, int64_t *out_axes, size_t *out_axis_count)
{
    const struct pad_parameters *parameters = invocation->parameters;
    *out_axis_count = (size_t)rank;
    for (int32_t i = 0; i < rank; i++)
        out_axes[i] = i;
    if (invocation->opset >= 11) {
        MD_TRY(md_expect_tensor(invocation, 1));
        MD_TRY(md_input_ints(invocation, 1, 2 * MD_MAX_RANK, out_pads, out_pad_count));
        if (md_input(invocation, 3) != NULL)
            MD_TRY(md_input_ints(invocation, 3, MD_MAX_RANK, out_axes, out_axis_count));
        return MD_OK;
    }
    *out_pad_count = parameters->pads.count;
    for (size_t i = 0; i < parameters->pads.count && i < 2 * MD_MAX_RANK; i++)
        out_pads[i] = parameters->pads.values[i];
    return MD_OK;
}

static enum md_code pads_of(struct md_invocation *invocation, const struct md_tensor *input,
                            struct pads *pads)
{
    const struct pad_parameters *parameters = invocation->parameters;
    int64_t list[2 * MD_MAX_RANK], axes[MD_MAX_RANK];
    size_t count = 0, axis_count = 0;
    MD_TRY(pad_lists(invocation, input->shape.rank, list, &count, axes, &axis_count));
    if (count != 2 * axis_count)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "pads has %zu entries for %zu axes, 2 per axis are needed", count, axis_count);
    *pads = (struct pads){ .shape = input->shape };
    bool done[MD_MAX_RANK] = { false };
    for (size_t i = 0; i < axis_count; i++) {
        int32_t axis;
        MD_TRY(md_expect_axis(invocation, axes[i], input->shape.rank, &axis));
        int64_t dim = input->shape.dims[axis], before = list[i], after = list[i + axis_count], sum;
        if (done[axis])
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "Pad lists axis %d twice", axis);
        if (__builtin_add_overflow(dim, before, &sum) || __builtin_add_overflow(sum, after, &sum) ||
            sum < 0 || before == INT64_MIN)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "pads %lld and %lld of axis %d with size %lld", (long long)before,
                           (long long)after, axis, (long long)dim);
        /* Where the crop leaves nothing there is nothing to repeat. */
        int64_t left = dim + (before < 0 ? before : 0) + (after < 0 ? after : 0);
        if (parameters->mode != PAD_CONSTANT && left <= 0 && sum > 0)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "Pad of axis %d: %lld elements are left to repeat", axis,
                           (long long)(left < 0 ? 0 : left));
        done[axis] = true;
        pads->before[axis] = before;
        pads->shape.dims[axis] = sum;
    }
    return MD_OK;
}

static enum md_code pad_prepare(struct md_invocation *invocation)
{
    const struct pad_parameters *parameters = invocation->parameters;
    MD_TRY(md_expect_tensor(invocation, 0));
    const struct md_tensor *input = md_input(invocation, 0), *value = md_input(invocation, 2);
    struct pads pads;
    size_t count;
    MD_TRY(pads_of(invocation, input, &pads));
    if (value != NULL) {
        MD_TRY(md_expect_same_datatype(invocation, 0, 2));
        if (value->count != 1)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "constant_value has %zu elements, it must have 1", value->count);
    }
    if (!md_shape_count(&pads.shape, input->datatype, &count))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "the output of Pad is too large");
    size_t indices = 0;
    for (int32_t i = 0; parameters->mode != PAD_CONSTANT && i < pads.shape.rank; i++)
        indices += count > 0 ? (size_t)pads.shape.dims[i] : 0;
    MD_TRY(md_scratch(invocation, indices * sizeof(int64_t)));
    return md_output(invocation, 0, input->datatype, &pads.shape);
}

/* Copies what input and output have in common. */
static void copy_middle(const struct md_tensor *input, struct md_tensor *output, const int64_t *before)
{
    size_t size = md_datatype_size(input->datatype);
    struct md_strided from = md_strided_of(input), to = md_strided_of(output);
    struct md_shape middle = input->shape;
    int64_t from_at = 0, to_at = 0;
    for (int32_t i = 0; i < input->shape.rank; i++) {
        int64_t first = before[i] < 0 ? -before[i] : 0; /* in the input */
        int64_t last = output->shape.dims[i] - before[i];
        last = last < input->shape.dims[i] ? last : input->shape.dims[i];
        middle.dims[i] = last - first;
        if (middle.dims[i] <= 0)
            return;
        from_at += first * from.strides[i];
        to_at += (first + before[i]) * to.strides[i];
    }
    from.bytes = (char *)from.bytes + from_at;
    to.bytes = (char *)to.bytes + to_at;
    md_strided_copy(middle.rank, middle.dims, &to, &from, size);
}

/* Input index for output position `at`; `first` and `count` are what a crop has left of the axis. */
static int64_t source_index(enum pad_mode mode, int64_t at, int64_t first, int64_t count)
{
    at -= first;
    if (mode == PAD_EDGE)
        return first + (at < 0 ? 0 : at >= count ? count - 1 : at);
    int64_t period = mode == PAD_WRAP ? count : count > 1 ? 2 * (count - 1) : 1;
    at %= period;
    if (at < 0)
        at += period;
    return first + (at < count ? at : period - at);
}

/* Byte offsets in the input for every position of every axis, axis after axis. */
static void fill_offsets(enum pad_mode mode, const struct md_tensor *input, const struct pads *pads,
                         int64_t *offsets)
{
    struct md_strided from = md_strided_of(input);
    for (int32_t i = 0; i < input->shape.rank; i++) {
        int64_t before = pads->before[i], dim = input->shape.dims[i], size = pads->shape.dims[i];
        int64_t after = size - dim - before;
        int64_t first = before < 0 ? -before : 0;
        int64_t left = dim - first + (after < 0 ? after : 0);
        for (int64_t k = 0; k < size; k++)
            *offsets++ = source_index(mode, k - before, first, left) * from.strides[i];
    }
}

static void copy_by_offsets(const struct md_tensor *input, struct md_tensor *output, const int64_t *offsets)
{
    int32_t rank = output->shape.rank;
    size_t size = md_datatype_size(input->datatype);
    const int64_t *axis[MD_MAX_RANK] = { NULL };
    for (int32_t i = 0; i < rank; i++) {
        axis[i] = offsets;
        offsets += output->shape.dims[i];
    }
    int64_t position[MD_MAX_RANK] = { 0 }, columns = output->shape.dims[rank - 1];
    char *to = output->bytes;
    for (size_t row = 0; row < output->count / (size_t)columns; row++) {
        const char *from = input->bytes;
        for (int32_t i = 0; i < rank - 1; i++)
            from += axis[i][position[i]];
        for (int64_t c = 0; c < columns; c++, to += size)
            memcpy(to, from + axis[rank - 1][c], size);
        for (int32_t i = rank - 2; i >= 0; i--) {
            if (++position[i] < output->shape.dims[i])
                break;
            position[i] = 0;
        }
    }
}

/* The element that a constant pad is made of. */
static void pad_value(const struct md_invocation *invocation, const struct md_tensor *input,
                      void *out_element)
{
    const struct pad_parameters *parameters = invocation->parameters;
    const struct md_tensor *value = md_input(invocation, 2);
    size_t size = md_datatype_size(input->datatype);
    memset(out_element, 0, size);
    if (value != NULL) {
        memcpy(out_element, value->bytes, size);
    } else if (invocation->opset < 11 && md_datatype_in(input->datatype, MD_TYPES_FLOAT)) {
        struct md_tensor element = { .datatype = input->datatype, .count = 1, .bytes = out_element };
        md_tensor_set_double(&element, 0, (double)parameters->value);
    }
}

static enum md_code pad_run(struct md_invocation *invocation)
{
    const struct pad_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    struct pads pads;
    if (output == NULL || output->count == 0)
        return MD_OK;
    MD_TRY(pads_of(invocation, input, &pads));
    if (parameters->mode == PAD_CONSTANT || output->shape.rank == 0) {
        _Alignas(16) char element[16];
        pad_value(invocation, input, element);
        if (!md_shape_equal(&input->shape, &output->shape))
            md_fill_elements(output->bytes, element, output->count, md_datatype_size(input->datatype));
        copy_middle(input, output, pads.before);
        return MD_OK;
    }
    fill_offsets(parameters->mode, input, &pads, invocation->scratch);
    copy_by_offsets(input, output, invocation->scratch);
    return MD_OK;
}

/* ---- CenterCropPad ---- */
static enum md_code crop_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct md_int_list *axes = md_parameters_new(configuration, sizeof *axes);
    if (axes == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = axes;
    return md_int_list_read(configuration, "axes", axes);
}

/* CenterCropPad (18): the odd element is cut, or added, at the end: offsets round down. */
static enum md_code crop_pads(struct md_invocation *invocation, struct pads *pads)
{
    const struct md_int_list *axes = invocation->parameters;
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_expect_tensor(invocation, 1));
    const struct md_tensor *input = md_input(invocation, 0);
    int64_t target[MD_MAX_RANK];
    size_t count = 0, axis_count = axes->present ? axes->count : (size_t)input->shape.rank;
    MD_TRY(md_input_ints(invocation, 1, MD_MAX_RANK, target, &count));
    if (count != axis_count)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "shape has %zu entries for %zu axes", count,
                       axis_count);
    *pads = (struct pads){ .shape = input->shape };
    for (size_t i = 0; i < count; i++) {
        int32_t axis;
        MD_TRY(md_expect_axis(invocation, axes->present ? axes->values[i] : (int64_t)i, input->shape.rank,
                              &axis));
        int64_t dim = input->shape.dims[axis];
        if (target[i] < 0)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "entry %zu of shape is %lld", i,
                           (long long)target[i]);
        pads->before[axis] = target[i] >= dim ? (target[i] - dim) / 2 : -((dim - target[i]) / 2);
        pads->shape.dims[axis] = target[i];
    }
    return MD_OK;
}

static enum md_code crop_prepare(struct md_invocation *invocation)
{
    struct pads pads;
    MD_TRY(crop_pads(invocation, &pads));
    return md_output(invocation, 0, md_input(invocation, 0)->datatype, &pads.shape);
}

static enum md_code crop_run(struct md_invocation *invocation)
{
    struct pads pads;
    MD_TRY(crop_pads(invocation, &pads));
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    memset(output->bytes, 0, md_tensor_size(output));
    copy_middle(md_input(invocation, 0), output, pads.before);
    return MD_OK;
}

/* clang-format off */
const struct md_operator md_operators_pad[] = {
    { MD_ONNX, "Pad", 1, 10, 1, 1, 1, 1, MD_TYPES_ALL, 0, 0, pad_configure, pad_prepare, pad_run },
    { MD_ONNX, "Pad", 11, MD_OPSET_NEWEST, 2, 4, 1, 1, MD_TYPES_ALL, 0, 0,
      pad_configure, pad_prepare, pad_run },
    { MD_ONNX, "CenterCropPad", 18, MD_OPSET_NEWEST, 2, 2, 1, 1, MD_TYPES_ALL, 0, 0,
      crop_configure, crop_prepare, crop_run },
    { 0 },
};
