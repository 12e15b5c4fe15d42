/* variadic.c - Min, Max, Sum, Mean of any number of tensors that broadcast. NaN wins over every number.
 *
 * The first two inputs are combined into the output, then each further one into it, so the output may be the memory
 * of input 0 or 1. */
#include "elementwise.h"
#include "operator_table.h"

#include <math.h>

#define REAL_KERNELS(datatype, type)                                                                         \
    MD_BINARY_KERNEL(min, type, type, x < y || isnan(x) ? x : y)                                             \
    MD_BINARY_KERNEL(max, type, type, x > y || isnan(x) ? x : y)                                             \
    MD_BINARY_KERNEL(sum, type, type, x + y)                                                                 \
    static void divide_##type(size_t count, void *values, size_t divisor)                                    \
    {                                                                                                        \
        for (size_t i = 0; i < count; i++)                                                                   \
            ((type *)values)[i] /= (type)divisor;                                                            \
    }
#define INTEGER_KERNELS(datatype, type)                                                                      \
    MD_BINARY_KERNEL(min, type, type, x < y ? x : y)                                                         \
    MD_BINARY_KERNEL(max, type, type, x > y ? x : y)

MD_FOR_EACH_REAL(REAL_KERNELS)
MD_FOR_EACH_INTEGER(INTEGER_KERNELS)

#define MIN_ENTRY(datatype, type) [datatype] = min_##type,
#define MAX_ENTRY(datatype, type) [datatype] = max_##type,
#define SUM_ENTRY(datatype, type) [datatype] = sum_##type,

static const md_binary_fn min_kernels[MD_DATATYPE_COUNT] = { MD_FOR_EACH_NUMBER(MIN_ENTRY) };
static const md_binary_fn max_kernels[MD_DATATYPE_COUNT] = { MD_FOR_EACH_NUMBER(MAX_ENTRY) };
static const md_binary_fn sum_kernels[MD_DATATYPE_COUNT] = { MD_FOR_EACH_REAL(SUM_ENTRY) };

static enum md_code variadic_prepare(struct md_invocation *invocation)
{
    struct md_shape target;
    MD_TRY(md_expect_tensor(invocation, 0));
    target = md_input(invocation, 0)->shape;
    for (size_t i = 1; i < invocation->input_count; i++) {
        struct md_shape so_far = target;
        char texts[2][MD_SHAPE_TEXT_SIZE];
        MD_TRY(md_expect_tensor(invocation, i));
        MD_TRY(md_expect_same_datatype(invocation, 0, i));
        if (!md_shape_broadcast(&so_far, &md_input(invocation, i)->shape, &target))
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input %zu of shape %s does not broadcast with %s",
                           i, md_shape_text(&md_input(invocation, i)->shape, texts[0], sizeof texts[0]),
                           md_shape_text(&so_far, texts[1], sizeof texts[1]));
    }
    return md_output(invocation, 0, md_input(invocation, 0)->datatype, &target);
}

/* output = kernel(a, b), all broadcast to the output. */
static void combine(md_binary_fn kernel, const struct md_tensor *a, const struct md_tensor *b,
                    struct md_tensor *output)
{
    size_t size = md_datatype_size(output->datatype);
    const struct md_shape *shapes[] = { &a->shape, &b->shape };
    struct md_broadcast_loop loop;
    for (md_broadcast_loop_start(&loop, &output->shape, 2, shapes); loop.runs > 0; md_broadcast_loop_next(&loop))
        kernel(loop.inner, (const char *)a->bytes + loop.offsets[0] * size, loop.steps[0],
               (const char *)b->bytes + loop.offsets[1] * size, loop.steps[1],
               (char *)output->bytes + loop.position * size);
}

static enum md_code variadic_run(struct md_invocation *invocation, const md_binary_fn *kernels)
{
    const struct md_tensor *first = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    md_binary_fn kernel = kernels[first->datatype];
    if (output == NULL || output->count == 0)
        return MD_OK;
    if (kernel == NULL)
        return md_fail_datatype(invocation, first->datatype);
    if (invocation->input_count == 1) {
        if (output->bytes != first->bytes)
            memcpy(output->bytes, first->bytes, md_tensor_size(first));
        return MD_OK;
    }
    combine(kernel, first, md_input(invocation, 1), output);
    for (size_t i = 2; i < invocation->input_count; i++)
        combine(kernel, output, md_input(invocation, i), output);
    return MD_OK;
}

static enum md_code min_run(struct md_invocation *invocation)
{
    return variadic_run(invocation, min_kernels);
}

static enum md_code max_run(struct md_invocation *invocation)
{
    return variadic_run(invocation, max_kernels);
}

static enum md_code sum_run(struct md_invocation *invocation)
{
    return variadic_run(invocation, sum_kernels);
}

static enum md_code mean_run(struct md_invocation *invocation)
{
    struct md_tensor *output = md_output_tensor(invocation, 0);
    MD_TRY(variadic_run(invocation, sum_kernels));
    if (output == NULL)
        return MD_OK;
    if (output->datatype == MD_FP32)
        divide_float(output->count, output->bytes, invocation->input_count);
    else
        divide_double(output->count, output->bytes, invocation->input_count);
    return MD_OK;
}

#define ROW(name, types, run)                                                                                \
    { MD_ONNX, name, 1, MD_OPSET_NEWEST, 1, -1, 1, 1, types, (types) & ~(unsigned)MD_TYPES_HALF,             \
      MD_IN_PLACE, NULL, variadic_prepare, run }

const struct md_operator md_operators_variadic[] = {
    ROW("Min", MD_TYPES_NUMBER, min_run),
    ROW("Max", MD_TYPES_NUMBER, max_run),
    ROW("Sum", MD_TYPES_FLOAT, sum_run),
    ROW("Mean", MD_TYPES_FLOAT, mean_run),
    { 0 },
};
