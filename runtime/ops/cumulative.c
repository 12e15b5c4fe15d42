/* cumulative.c - CumSum and CumProd along an axis that is an input. Reals accumulate in double. */
#include "elementwise.h"
#include "operator_table.h"

#include "parameters.h"

struct cumulative_parameters {
    bool exclusive, reverse;
};

typedef void (*cumulate_fn)(const struct cumulative_parameters *parameters, const void *input, size_t outer,
                            size_t length, size_t inner, void *output);

static enum md_code cumulative_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct cumulative_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    int64_t exclusive = 0, reverse = 0;
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_attribute_int(configuration->attributes, "exclusive", 0, &exclusive, configuration->error));
    MD_TRY(md_attribute_int(configuration->attributes, "reverse", 0, &reverse, configuration->error));
    parameters->exclusive = exclusive != 0;
    parameters->reverse = reverse != 0;
    *out_parameters = parameters;
    return MD_OK;
}

static enum md_code find_axis(struct md_invocation *invocation, int32_t *out_axis)
{
    const struct md_tensor *axis = md_input(invocation, 1);
    MD_TRY(md_expect_datatype(invocation, 1, MD_TYPES_INDEX));
    if (axis->count != 1)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input 1 (axis) has %zu elements: must have 1",
                       axis->count);
    return md_expect_axis(invocation, md_index_at(axis, 0), md_input(invocation, 0)->shape.rank, out_axis);
}

static enum md_code cumulative_prepare(struct md_invocation *invocation)
{
    int32_t axis = 0;
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_expect_tensor(invocation, 1));
    MD_TRY(find_axis(invocation, &axis));
    return md_prepare_same(invocation);
}

/* One column at a time; in may be out, because an element is read before its place is written. */
#define CUMULATE(name, type, acc_type, start, step)                                                          \
    static void name##_##type(const struct cumulative_parameters *parameters, const void *input,             \
                              size_t outer, size_t length, size_t inner, void *output)                       \
    {                                                                                                        \
        for (size_t column = 0; column < outer * inner; column++) {                                          \
            size_t base = column / inner * length * inner + column % inner;                                  \
            acc_type a = (start);                                                                            \
            for (size_t i = 0; i < length; i++) {                                                            \
                size_t at = base + (parameters->reverse ? length - 1 - i : i) * inner;                       \
                const acc_type x = (acc_type)((const type *)input)[at], before = a;                          \
                a = (step);                                                                                  \
                ((type *)output)[at] = (type)(parameters->exclusive ? before : a);                           \
            }                                                                                                \
        }                                                                                                    \
    }
#define REAL_KERNELS(datatype, type)                                                                         \
    CUMULATE(sum, type, double, 0, a + x)                                                                    \
    CUMULATE(prod, type, double, 1, a *x)
#define INTEGER_KERNELS(datatype, type)                                                                      \
    CUMULATE(sum, type, uint64_t, 0, a + x)                                                                  \
    CUMULATE(prod, type, uint64_t, 1, a *x)
#define SUM_ENTRY(datatype, type)  [datatype] = sum_##type,
#define PROD_ENTRY(datatype, type) [datatype] = prod_##type,

MD_FOR_EACH_REAL(REAL_KERNELS)
MD_FOR_EACH_INTEGER(INTEGER_KERNELS)

static enum md_code cumulate(struct md_invocation *invocation, const cumulate_fn *kernels)
{
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    int32_t axis = 0;
    if (output == NULL || output->count == 0)
        return MD_OK;
    if (kernels[input->datatype] == NULL)
        return md_fail_datatype(invocation, input->datatype);
    MD_TRY(find_axis(invocation, &axis));
    kernels[input->datatype](invocation->parameters, input->bytes, md_shape_product(&input->shape, 0, axis),
                             (size_t)input->shape.dims[axis],
                             md_shape_product(&input->shape, axis + 1, input->shape.rank), output->bytes);
    return MD_OK;
}

static enum md_code cumulative_sum_run(struct md_invocation *invocation)
{
    static const cumulate_fn kernels[MD_DATATYPE_COUNT] = { MD_FOR_EACH_NUMBER(SUM_ENTRY) };
    return cumulate(invocation, kernels);
}

static enum md_code cumulative_product_run(struct md_invocation *invocation)
{
    static const cumulate_fn kernels[MD_DATATYPE_COUNT] = { MD_FOR_EACH_NUMBER(PROD_ENTRY) };
    return cumulate(invocation, kernels);
}

#define NATIVE (MD_TYPES_WIDE_FLOAT | MD_TYPES_INTEGER)

const struct md_operator md_operators_cumulative[] = {
    { MD_ONNX, "CumSum", 11, MD_OPSET_NEWEST, 2, 2, 1, 1, MD_TYPES_NUMBER, NATIVE, MD_IN_PLACE, cumulative_configure,
      cumulative_prepare, cumulative_sum_run },
    { MD_ONNX, "CumProd", 26, 26, 2, 2, 1, 1, MD_TYPES_NUMBER, NATIVE, MD_IN_PLACE, cumulative_configure,
      cumulative_prepare, cumulative_product_run },
    { 0 },
};
