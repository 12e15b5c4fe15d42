/* arg_reduction.c - ArgMax and ArgMin: where along an axis the first (or last) extreme element is. */
#include "elementwise.h"
#include "operator_table.h"

#include "parameters.h"

struct arg_parameters {
    int64_t axis;
    bool keep_dims, last;
};

typedef void (*arg_fn)(const void *input, size_t outer, size_t length, size_t inner, bool last, int64_t *out);

static enum md_code arg_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct arg_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    int64_t keep_dims = 1, last = 0;
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_attribute_int(configuration->attributes, "axis", 0, &parameters->axis, configuration->error));
    MD_TRY(md_attribute_int(configuration->attributes, "keepdims", 1, &keep_dims, configuration->error));
    MD_TRY(md_attribute_int(configuration->attributes, "select_last_index", 0, &last, configuration->error));
    parameters->keep_dims = keep_dims != 0;
    parameters->last = last != 0;
    *out_parameters = parameters;
    return MD_OK;
}

static enum md_code arg_prepare(struct md_invocation *invocation)
{
    const struct arg_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_shape shape = { 0 };
    int32_t axis = 0;
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_expect_axis(invocation, parameters->axis, input->shape.rank, &axis));
    for (int32_t d = 0; d < input->shape.rank; d++)
        if (d != axis)
            shape.dims[shape.rank++] = input->shape.dims[d];
        else if (parameters->keep_dims)
            shape.dims[shape.rank++] = 1;
    if (input->shape.dims[axis] == 0 && md_shape_product(&shape, 0, shape.rank) > 0)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "axis %d has size 0: there is no extreme element",
                       (int)axis);
    return md_output(invocation, 0, MD_INT64, &shape);
}

/* Walks the axis in memory order, all `inner` columns at once; out holds the best index so far. */
#define ARG_KERNEL(name, type, better, as_good)                                                              \
    static void name##_##type(const void *input, size_t outer, size_t length, size_t inner, bool last,       \
                              int64_t *out)                                                                  \
    {                                                                                                        \
        for (size_t o = 0; o < outer; o++, out += inner) {                                                   \
            const type *in = (const type *)input + o * length * inner;                                       \
            for (size_t c = 0; c < inner; c++)                                                               \
                out[c] = 0;                                                                                  \
            for (size_t i = 1; i < length; i++)                                                              \
                for (size_t c = 0; c < inner; c++) {                                                         \
                    const type x = in[i * inner + c], best = in[(size_t)out[c] * inner + c];                 \
                    if (x better best || (last && x as_good best))                                           \
                        out[c] = (int64_t)i;                                                                 \
                }                                                                                            \
        }                                                                                                    \
    }
#define ARG_MAX(datatype, type)       ARG_KERNEL(arg_max, type, >, ==)
#define ARG_MIN(datatype, type)       ARG_KERNEL(arg_min, type, <, ==)
#define ARG_MAX_ENTRY(datatype, type) [datatype] = arg_max_##type,
#define ARG_MIN_ENTRY(datatype, type) [datatype] = arg_min_##type,

MD_FOR_EACH_NUMBER(ARG_MAX)
MD_FOR_EACH_NUMBER(ARG_MIN)

static enum md_code arg_run(struct md_invocation *invocation, const arg_fn *kernels)
{
    const struct arg_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    int32_t axis = 0;
    if (output == NULL || output->count == 0)
        return MD_OK;
    if (kernels[input->datatype] == NULL)
        return md_fail_datatype(invocation, input->datatype);
    MD_TRY(md_expect_axis(invocation, parameters->axis, input->shape.rank, &axis));
    kernels[input->datatype](input->bytes, md_shape_product(&input->shape, 0, axis), (size_t)input->shape.dims[axis],
                             md_shape_product(&input->shape, axis + 1, input->shape.rank), parameters->last,
                             output->bytes);
    return MD_OK;
}

static enum md_code arg_max_run(struct md_invocation *invocation)
{
    static const arg_fn kernels[MD_DATATYPE_COUNT] = { MD_FOR_EACH_NUMBER(ARG_MAX_ENTRY) };
    return arg_run(invocation, kernels);
}

static enum md_code arg_min_run(struct md_invocation *invocation)
{
    static const arg_fn kernels[MD_DATATYPE_COUNT] = { MD_FOR_EACH_NUMBER(ARG_MIN_ENTRY) };
    return arg_run(invocation, kernels);
}

#define ROW(name, run)                                                                                       \
    { MD_ONNX, name, 1, MD_OPSET_NEWEST, 1, 1, 1, 1, MD_TYPES_NUMBER, MD_TYPES_WIDE_FLOAT | MD_TYPES_INTEGER, 0, \
      arg_configure, arg_prepare, run }

const struct md_operator md_operators_arg_reduction[] = {
    ROW("ArgMax", arg_max_run),
    ROW("ArgMin", arg_min_run),
    { 0 },
};
