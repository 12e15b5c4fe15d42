/* view.c - operators that see the same bytes with another shape, or only the shape: Identity, Reshape,
 * Flatten, Squeeze, Unsqueeze, Shape, Size. All of them finish in prepare; none of them touches elements. */
#include "operator_table.h"
#include "parameters.h"

static enum md_code identity_prepare(struct md_invocation *invocation)
{
    const struct md_tensor *input = md_input(invocation, 0);
    if (input != NULL)
        return md_output_view(invocation, 0, 0, input->datatype, &input->shape, 0);
    if (!md_wants_output(invocation, 0))
        return MD_OK;
    return md_output_value(invocation, 0, invocation->inputs[0]);
}

/* ---- Reshape ---- */
struct reshape_parameters {
    struct md_int_list shape; /* opset 1 */
    bool allow_zero;
};

static enum md_code reshape_configure(const struct md_configuration *configuration,
                                      const void **out_parameters)
{
    struct reshape_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_int_list_read(configuration, "shape", &parameters->shape));
    int64_t allow_zero;
    MD_TRY(md_attribute_int(configuration->attributes, "allowzero", 0, &allow_zero, configuration->error));
    parameters->allow_zero = allow_zero != 0;
    *out_parameters = parameters;
    return MD_OK;
}

/* Fills in the dims that `wanted` leaves open: 0 copies, -1 takes the rest. */
static enum md_code resolve_shape(struct md_invocation *invocation, const struct md_tensor *input,
                                  bool allow_zero, struct md_shape *wanted)
{
    char text[MD_SHAPE_TEXT_SIZE], asked[MD_SHAPE_TEXT_SIZE];
    md_shape_text(&input->shape, text, sizeof text);
    md_shape_text(wanted, asked, sizeof asked);
    int32_t open = -1;
    for (int32_t i = 0; i < wanted->rank; i++) {
        if (wanted->dims[i] == 0 && !allow_zero) {
            if (i >= input->shape.rank)
                return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                               "Reshape of %s to %s: dim %d copies a dim that the input does not have", text,
                               asked, i);
            wanted->dims[i] = input->shape.dims[i];
        } else if (wanted->dims[i] == -1) {
            if (open >= 0)
                return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                               "Reshape of %s to %s: dims %d and %d are both -1", text, asked, open, i);
            open = i;
        }
    }
    struct md_shape known = *wanted;
    if (open >= 0)
        known.dims[open] = 1;
    size_t count;
    if (!md_shape_count(&known, input->datatype, &count))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "Reshape of %s to %s: not a legal shape", text,
                       asked);
    if (open >= 0) {
        if (count == 0 || input->count % count != 0)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "Reshape of %s to %s: %zu elements do not divide by %zu", text, asked,
                           input->count, count);
        wanted->dims[open] = (int64_t)(input->count / count);
    } else if (count != input->count) {
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "Reshape of %s to %s: %zu elements cannot become %zu", text, asked, input->count,
                       count);
    }
    return MD_OK;
}

static enum md_code reshape_prepare(struct md_invocation *invocation)
{
    const struct reshape_parameters *parameters = invocation->parameters;
    MD_TRY(md_expect_tensor(invocation, 0));
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_shape shape = { 0 };
    size_t count = 0;
    if (invocation->input_count > 1) {
        MD_TRY(md_expect_tensor(invocation, 1));
        MD_TRY(md_input_ints(invocation, 1, MD_MAX_RANK, shape.dims, &count));
    } else {
        if (!parameters->shape.present)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "Reshape has neither a shape input nor a shape attribute");
        count = parameters->shape.count;
        if (count > MD_MAX_RANK)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "Reshape to %zu dims: the limit is %d",
                           count, MD_MAX_RANK);
        for (size_t i = 0; i < count; i++)
            shape.dims[i] = parameters->shape.values[i];
    }
    shape.rank = (int32_t)count;
    MD_TRY(resolve_shape(invocation, input, parameters->allow_zero, &shape));
    return md_output_view(invocation, 0, 0, input->datatype, &shape, 0);
}

/* ---- Flatten ---- */
struct flatten_parameters {
    int64_t axis;
};

static enum md_code flatten_configure(const struct md_configuration *configuration,
                                      const void **out_parameters)
{
    struct flatten_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    return md_attribute_int(configuration->attributes, "axis", 1, &parameters->axis, configuration->error);
}

static enum md_code flatten_prepare(struct md_invocation *invocation)
{
    const struct flatten_parameters *parameters = invocation->parameters;
    MD_TRY(md_expect_tensor(invocation, 0));
    const struct md_tensor *input = md_input(invocation, 0);
    int32_t rank = input->shape.rank;
    int64_t axis = parameters->axis; /* rank itself is legal: everything goes into dim 0 */
    if (axis < -rank || axis > rank)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "axis %lld of an input with rank %d: range is [-%d,%d]", (long long)axis, rank, rank,
                       rank);
    int32_t split = (int32_t)(axis < 0 ? axis + rank : axis);
    struct md_shape shape = { .rank = 2,
                              .dims = { (int64_t)md_shape_product(&input->shape, 0, split),
                                        (int64_t)md_shape_product(&input->shape, split, rank) } };
    return md_output_view(invocation, 0, 0, input->datatype, &shape, 0);
}

/* ---- Squeeze, Unsqueeze ---- */
static enum md_code axes_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct md_int_list *axes = md_parameters_new(configuration, sizeof *axes);
    if (axes == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = axes;
    return md_int_list_read(configuration, "axes", axes);
}

/* The axes of the node: attribute (before opset 13) or input 1. *out_present is false when there is neither.
 */
static enum md_code node_axes(struct md_invocation *invocation, int64_t *out_axes, size_t *out_count,
                              bool *out_present)
{
    const struct md_int_list *axes = invocation->parameters;
    *out_present = axes->present || md_input(invocation, 1) != NULL;
    if (!axes->present)
        return md_input_ints(invocation, 1, MD_MAX_RANK, out_axes, out_count);
    if (axes->count > MD_MAX_RANK)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "%zu axes: the limit is %d", axes->count,
                       MD_MAX_RANK);
    for (size_t i = 0; i < axes->count; i++)
        out_axes[i] = axes->values[i];
    *out_count = axes->count;
    return MD_OK;
}

static enum md_code mark_axes(struct md_invocation *invocation, int32_t rank, bool *marked, bool *out_present)
{
    int64_t axes[MD_MAX_RANK];
    size_t count = 0;
    MD_TRY(node_axes(invocation, axes, &count, out_present));
    for (size_t i = 0; i < count; i++) {
        int32_t axis;
        MD_TRY(md_expect_axis(invocation, axes[i], rank, &axis));
        if (marked[axis])
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "axis %d is listed twice", axis);
        marked[axis] = true;
    }
    return MD_OK;
}

static enum md_code squeeze_prepare(struct md_invocation *invocation)
{
    MD_TRY(md_expect_tensor(invocation, 0));
    const struct md_tensor *input = md_input(invocation, 0);
    bool marked[MD_MAX_RANK] = { false };
    bool present;
    MD_TRY(mark_axes(invocation, input->shape.rank, marked, &present));
    struct md_shape shape = { 0 };
    for (int32_t i = 0; i < input->shape.rank; i++) {
        int64_t dim = input->shape.dims[i];
        if (present && marked[i] && dim != 1)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "Squeeze of axis %d: its size is %lld, it must be 1", i, (long long)dim);
        if (present ? !marked[i] : dim != 1)
            shape.dims[shape.rank++] = dim;
    }
    return md_output_view(invocation, 0, 0, input->datatype, &shape, 0);
}

static enum md_code unsqueeze_prepare(struct md_invocation *invocation)
{
    MD_TRY(md_expect_tensor(invocation, 0));
    const struct md_tensor *input = md_input(invocation, 0);
    int64_t axes[MD_MAX_RANK];
    size_t count = 0;
    bool present;
    MD_TRY(node_axes(invocation, axes, &count, &present));
    if (!present)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "Unsqueeze has no axes");
    int32_t rank = input->shape.rank + (int32_t)count;
    if (rank > MD_MAX_RANK)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "Unsqueeze to rank %d: the limit is %d", rank,
                       MD_MAX_RANK);
    bool marked[MD_MAX_RANK] = { false };
    MD_TRY(mark_axes(invocation, rank, marked, &present));
    struct md_shape shape = { .rank = rank };
    int32_t from = 0;
    for (int32_t i = 0; i < rank; i++)
        shape.dims[i] = marked[i] ? 1 : input->shape.dims[from++];
    return md_output_view(invocation, 0, 0, input->datatype, &shape, 0);
}

/* ---- Shape, Size ---- */
struct shape_parameters {
    int64_t start, end;
};

static enum md_code shape_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct shape_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    MD_TRY(md_attribute_int(configuration->attributes, "start", 0, &parameters->start, configuration->error));
    return md_attribute_int(configuration->attributes, "end", MD_MAX_RANK, &parameters->end,
                            configuration->error);
}

static int32_t clamp_axis(int64_t axis, int32_t rank)
{
    if (axis < 0)
        axis += rank;
    return (int32_t)(axis < 0 ? 0 : axis > rank ? rank : axis);
}

static enum md_code shape_prepare(struct md_invocation *invocation)
{
    const struct shape_parameters *parameters = invocation->parameters;
    MD_TRY(md_expect_tensor(invocation, 0));
    if (!md_wants_output(invocation, 0))
        return MD_OK;
    const struct md_shape shape = md_input(invocation, 0)->shape;
    int32_t start = clamp_axis(parameters->start, shape.rank);
    int32_t end = clamp_axis(parameters->end, shape.rank);
    int64_t count = end > start ? end - start : 0;
    struct md_shape result = md_shape_of(1, &count);
    MD_TRY(md_output_now(invocation, 0, MD_INT64, &result));
    int64_t *dims = md_elements(int64_t, md_output_tensor(invocation, 0));
    for (int32_t i = 0; i < count; i++)
        dims[i] = shape.dims[start + i];
    return MD_OK;
}

static enum md_code size_prepare(struct md_invocation *invocation)
{
    MD_TRY(md_expect_tensor(invocation, 0));
    if (!md_wants_output(invocation, 0))
        return MD_OK;
    int64_t count = (int64_t)md_input(invocation, 0)->count;
    struct md_shape scalar = { 0 };
    MD_TRY(md_output_now(invocation, 0, MD_INT64, &scalar));
    md_elements(int64_t, md_output_tensor(invocation, 0))[0] = count;
    return MD_OK;
}

/* clang-format off */
#define VIEW(op, from, to, max_inputs, configure, prepare)                                                   \
    { MD_ONNX, op, from, to, 1, max_inputs, 1, 1, MD_TYPES_ALL, 0, 0, configure, prepare, NULL }

const struct md_operator md_operators_view[] = {
    /* Identity also passes sequences and optionals on, so its type is not checked. */
    { MD_ONNX, "Identity", 1, MD_OPSET_NEWEST, 1, 1, 1, 1, 0, 0, 0, NULL, identity_prepare, NULL },
    VIEW("Reshape",   1,  MD_OPSET_NEWEST, 2, reshape_configure, reshape_prepare),
    VIEW("Flatten",   1,  MD_OPSET_NEWEST, 1, flatten_configure, flatten_prepare),
    VIEW("Squeeze",   1,  MD_OPSET_NEWEST, 2, axes_configure,    squeeze_prepare),
    VIEW("Unsqueeze", 1,  MD_OPSET_NEWEST, 2, axes_configure,    unsqueeze_prepare),
    VIEW("Shape",     1,  MD_OPSET_NEWEST, 1, shape_configure,   shape_prepare),
    VIEW("Size",      1,  MD_OPSET_NEWEST, 1, NULL,              size_prepare),
    { 0 },
};
