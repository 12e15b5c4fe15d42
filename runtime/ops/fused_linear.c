/* fused_linear.c - "Linear" of the internal domain, made by graph passes: a product with constant weights, a bias, and
 * an activation, all in one product. Inputs: A [..., K], B [K, N] constant, bias [N] (optional). */
#include "gemm_operand.h"
#include "operator_table.h"
#include "parameters.h"
#include "prepared.h"

struct linear_parameters {
    enum md_gemm_activation activation;
    const struct md_packed_matrix *packed_b;
};

static const struct {
    const char *name;
    enum md_gemm_activation activation;
} activations[] = {
    { "", MD_GEMM_LINEAR },   { "Relu", MD_GEMM_RELU },          { "Tanh", MD_GEMM_TANH },
    { "Gelu", MD_GEMM_GELU }, { "GeluTanh", MD_GEMM_GELU_TANH },
};

static enum md_code linear_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct linear_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    const struct md_tensor *b = md_constant_input(configuration, 1);
    struct md_span name;
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_attribute_string(configuration->attributes, "activation", "", &name, configuration->error));
    bool known = false;
    for (size_t i = 0; i < sizeof activations / sizeof activations[0]; i++)
        if (md_span_equal(name, md_span_of(activations[i].name))) {
            parameters->activation = activations[i].activation;
            known = true;
        }
    if (!known || b == NULL || b->shape.rank != 2 || b->datatype != MD_FP32)
        return md_fail(configuration->error, MD_INTERNAL, "a pass made a product that has no kernel");
    *out_parameters = parameters;
    MD_TRY(md_pack_weight(configuration, b, 0, (size_t)b->shape.dims[0], (size_t)b->shape.dims[1],
                          (ptrdiff_t)b->shape.dims[1], 1, &parameters->packed_b));
    if (parameters->packed_b != NULL)
        md_constant_release(configuration, 1);
    return MD_OK;
}

static enum md_code linear_prepare(struct md_invocation *invocation)
{
    const struct md_tensor *a = md_input(invocation, 0), *b = md_input(invocation, 1), *bias = md_input(invocation, 2);
    char text_a[MD_SHAPE_TEXT_SIZE], text_b[MD_SHAPE_TEXT_SIZE];
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_expect_rank(invocation, 0, 1, MD_MAX_RANK));
    MD_TRY(md_expect_same_datatype(invocation, 0, 1));
    struct md_shape output = a->shape;
    if (a->shape.dims[a->shape.rank - 1] != b->shape.dims[0])
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "shapes %s and %s cannot be multiplied",
                       md_shape_text(&a->shape, text_a, sizeof text_a), md_shape_text(&b->shape, text_b, sizeof text_b));
    if (bias != NULL && bias->count != (size_t)b->shape.dims[1])
        return md_fail(invocation->error, MD_INTERNAL, "a bias of %zu elements for %lld columns", bias->count,
                       (long long)b->shape.dims[1]);
    output.dims[output.rank - 1] = b->shape.dims[1];
    return md_output(invocation, 0, MD_FP32, &output);
}

static enum md_code linear_run(struct md_invocation *invocation)
{
    const struct linear_parameters *parameters = invocation->parameters;
    const struct md_tensor *a = md_input(invocation, 0), *b = md_input(invocation, 1), *bias = md_input(invocation, 2);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    const size_t columns = (size_t)b->shape.dims[1], depth = (size_t)b->shape.dims[0];
    struct md_gemm gemm = {
        .type = MD_GEMM_F32,
        .rows = output->count / columns,
        .columns = columns,
        .depth = depth,
        .a = { a->bytes, (ptrdiff_t)depth, 1 },
        .packed = parameters->packed_b, /* NULL only for depth 0, which reads no B */
        .c = output->bytes,
        .c_stride = columns,
        .finish = { .alpha = 1.0,
                    .column_bias = bias != NULL ? bias->bytes : NULL,
                    .activation = parameters->activation },
    };
    md_gemm(&gemm, NULL);
    return MD_OK;
}

const struct md_operator md_operators_fused_linear[] = {
    { MD_INTERNAL_DOMAIN, "Linear", 1, 1, 2, 3, 1, 1, MD_TYPE(MD_FP32), MD_TYPE(MD_FP32), 0, linear_configure,
      linear_prepare, linear_run },
    { 0 },
};
