/* fused_layer_normalization.c - "AddLayerNormalization" of the internal domain, made by graph passes:
 * LayerNormalization over the last axis of a + b. Inputs: a, b, scale, bias (optional). Outputs: result, the sum. */
#include "broadcast_loop.h"
#include "operator_table.h"
#include "parallel.h"
#include "parameters.h"
#include "vector_loops.h"

struct add_norm_parameters {
    float epsilon;
};

static enum md_code add_norm_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct add_norm_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    return md_attribute_float(configuration->attributes, "epsilon", 1e-5f, &parameters->epsilon, configuration->error);
}

static enum md_code add_norm_prepare(struct md_invocation *invocation)
{
    const struct md_tensor *a = md_input(invocation, 0), *b = md_input(invocation, 1);
    struct md_shape sum;
    char texts[2][MD_SHAPE_TEXT_SIZE];
    for (size_t i = 0; i < 3; i++)
        MD_TRY(md_expect_tensor(invocation, i));
    for (size_t i = 1; i < 4; i++)
        MD_TRY(md_expect_same_datatype(invocation, 0, i));
    if (!md_shape_broadcast(&a->shape, &b->shape, &sum) || sum.rank == 0)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "shapes %s and %s cannot be added",
                       md_shape_text(&a->shape, texts[0], sizeof texts[0]),
                       md_shape_text(&b->shape, texts[1], sizeof texts[1]));
    for (size_t i = 2; i < 4; i++) {
        const struct md_tensor *row = md_input(invocation, i);
        if (row != NULL && row->count != (size_t)sum.dims[sum.rank - 1])
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input %zu has %zu elements: a row has %lld", i,
                           row->count, (long long)sum.dims[sum.rank - 1]);
    }
    MD_TRY(md_output(invocation, 1, MD_FP32, &sum));
    return md_output(invocation, 0, MD_FP32, &sum);
}

/* output = a + b where their shapes differ. */
static void add_broadcast(const struct md_tensor *a, const struct md_tensor *b, struct md_tensor *output)
{
    const struct md_shape *shapes[] = { &a->shape, &b->shape };
    struct md_broadcast_loop loop;
    for (md_broadcast_loop_start(&loop, &output->shape, 2, shapes); loop.runs > 0; md_broadcast_loop_next(&loop)) {
        const float *x = md_elements(const float, a) + loop.offsets[0], *y = md_elements(const float, b) + loop.offsets[1];
        float *to = md_elements(float, output) + loop.position;
        for (size_t i = 0; i < loop.inner; i++)
            to[i] = x[i * loop.steps[0]] + y[i * loop.steps[1]];
    }
}

static enum md_code add_norm_run(struct md_invocation *invocation)
{
    const struct add_norm_parameters *parameters = invocation->parameters;
    const struct md_tensor *a = md_input(invocation, 0), *b = md_input(invocation, 1), *bias = md_input(invocation, 3);
    struct md_tensor *output = md_output_tensor(invocation, 0), *sums = md_output_tensor(invocation, 1);
    if (output == NULL) { /* only the sum is wanted */
        if (sums != NULL)
            add_broadcast(a, b, sums);
        return MD_OK;
    }
    if (output->count == 0)
        return MD_OK;
    struct md_tensor *sum = sums != NULL ? sums : output;
    const bool same = md_shape_equal(&a->shape, &b->shape);
    if (!same)
        add_broadcast(a, b, sum);
    const size_t length = (size_t)output->shape.dims[output->shape.rank - 1];
    struct md_row_layer_norm row = { .length = length,
                                     .scale = md_input(invocation, 2)->bytes,
                                     .bias = bias != NULL ? bias->bytes : NULL,
                                     .epsilon = parameters->epsilon,
                                     .sum = md_elements(float, sum),
                                     .a = same ? md_elements(const float, a) : md_elements(float, sum),
                                     .b = same ? md_elements(const float, b) : NULL,
                                     .out = md_elements(float, output) };
    md_parallel_layer_norm(invocation, output->count / length, &row);
    return MD_OK;
}

/* Not MD_IN_PLACE: an operand that is broadcast is read again after its place in the output was written. */
const struct md_operator md_operators_fused_layer_normalization[] = {
    { MD_INTERNAL_DOMAIN, "AddLayerNormalization", 1, 1, 3, 4, 1, 2, MD_TYPE(MD_FP32), MD_TYPE(MD_FP32), 0,
      add_norm_configure, add_norm_prepare, add_norm_run },
    { 0 },
};
