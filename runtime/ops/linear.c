/* linear.c - Gemm (alpha * A' * B' + beta * C), and com.microsoft's FusedGemm, which applies an activation to
 * it. */
#include "gemm_operand.h"
#include "integer_from_real.h"
#include "named_activation.h"
#include "operator_table.h"
#include "parallel.h"
#include "parameters.h"
#include "prepared.h"

#include "broadcast_loop.h"

struct gemm_parameters {
    bool transpose_a, transpose_b;
    double alpha, beta;
    struct md_named_activation activation;
    const struct md_packed_matrix *packed_b;
};

struct sizes {
    size_t rows, columns, depth;
};

static enum md_code read_sizes(const struct md_invocation *invocation, struct sizes *out_sizes)
{
    const struct gemm_parameters *parameters = invocation->parameters;
    const struct md_shape *a = &md_input(invocation, 0)->shape, *b = &md_input(invocation, 1)->shape;
    int64_t depth = a->dims[parameters->transpose_a ? 0 : 1];
    int64_t depth_b = b->dims[parameters->transpose_b ? 1 : 0];
    if (depth != depth_b)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "A has depth %lld, B has depth %lld",
                       (long long)depth, (long long)depth_b);
    *out_sizes = (struct sizes){ (size_t)a->dims[parameters->transpose_a ? 1 : 0],
                                 (size_t)b->dims[parameters->transpose_b ? 0 : 1], (size_t)depth };
    return MD_OK;
}

/* Opset 6 and earlier: attribute `broadcast` allows what later versions always allow. */
static enum md_code check_c(struct md_invocation *invocation, const struct md_shape *output)
{
    const struct md_tensor *c = md_input(invocation, 2);
    struct md_shape both;
    char text_c[MD_SHAPE_TEXT_SIZE], text[MD_SHAPE_TEXT_SIZE];
    MD_TRY(md_expect_same_datatype(invocation, 0, 2));
    if (c == NULL || (md_shape_broadcast(&c->shape, output, &both) && md_shape_equal(&both, output)))
        return MD_OK;
    return md_fail(invocation->error, MD_INVALID_ARGUMENT, "C of shape %s does not broadcast to %s",
                   md_shape_text(&c->shape, text_c, sizeof text_c), md_shape_text(output, text, sizeof text));
}

static enum md_code gemm_prepare(struct md_invocation *invocation)
{
    struct sizes sizes;
    enum md_gemm_type type;
    for (size_t i = 0; i < 2; i++) {
        MD_TRY(md_expect_tensor(invocation, i));
        MD_TRY(md_expect_rank(invocation, i, 2, 2));
    }
    MD_TRY(md_expect_same_datatype(invocation, 0, 1));
    MD_TRY(read_sizes(invocation, &sizes));
    struct md_shape output = { 2, { (int64_t)sizes.rows, (int64_t)sizes.columns } };
    MD_TRY(check_c(invocation, &output));
    if (!md_gemm_type_of(md_input(invocation, 0)->datatype, &type))
        return md_fail(invocation->error, MD_UNIMPLEMENTED, "no matrix product of datatype %s",
                       md_datatype_name(md_input(invocation, 0)->datatype));
    MD_TRY(md_output(invocation, 0, md_input(invocation, 0)->datatype, &output));
    return md_parallel_gemm_scratch(invocation, type, sizes.rows, sizes.columns, sizes.depth);
}

/* output = beta * C, broadcast. */
#define SPREAD(datatype, type)                                                                               \
    case datatype:                                                                                           \
        for (; loop.runs > 0; md_broadcast_loop_next(&loop)) {                                               \
            const type *from = md_elements(const type, c) + loop.offsets[0];                                 \
            type *to = md_elements(type, output) + loop.position;                                            \
            for (size_t i = 0; i < loop.inner; i++)                                                          \
                to[i] = beta == 1.0 ? from[i * loop.steps[0]]                                                \
                                    : md_##type##_from_double((double)from[i * loop.steps[0]] * beta);       \
        }                                                                                                    \
        break;

static void spread_c(const struct md_tensor *c, double beta, struct md_tensor *output)
{
    struct md_broadcast_loop loop;
    const struct md_shape *shapes[] = { &c->shape };
    md_broadcast_loop_start(&loop, &output->shape, 1, shapes);
    switch (output->datatype) {
        MD_FOR_EACH_NUMBER(SPREAD)
    default:
        break;
    }
}

/* Integers meet a fractional alpha after the product, in double. */
#define SCALE(datatype, type)                                                                                \
    case datatype:                                                                                           \
        for (size_t i = 0; i < output->count; i++)                                                           \
            md_elements(type, output)[i] =                                                                   \
                md_##type##_from_double((double)md_elements(type, output)[i] * alpha);                       \
        break;

static void scale(struct md_tensor *output, double alpha)
{
    switch (output->datatype) {
        MD_FOR_EACH_INTEGER(SCALE)
    default:
        break;
    }
}

#define ADD_C(datatype, type)                                                                                \
    case datatype:                                                                                           \
        for (; loop.runs > 0; md_broadcast_loop_next(&loop)) {                                               \
            const type *from = md_elements(const type, c) + loop.offsets[0];                                 \
            type *to = md_elements(type, output) + loop.position;                                            \
            for (size_t i = 0; i < loop.inner; i++)                                                          \
                to[i] = (type)((uint64_t)to[i] +                                                             \
                               (uint64_t)md_##type##_from_double((double)from[i * loop.steps[0]] * beta));   \
        }                                                                                                    \
        break;

static void add_c(const struct md_tensor *c, double beta, struct md_tensor *output)
{
    struct md_broadcast_loop loop;
    const struct md_shape *shapes[] = { &c->shape };
    md_broadcast_loop_start(&loop, &output->shape, 1, shapes);
    switch (output->datatype) {
        MD_FOR_EACH_INTEGER(ADD_C)
    default:
        break;
    }
}

/* What remains of alpha, beta and C, given to the product where it can take it. */
static void set_finish(const struct gemm_parameters *parameters, const struct md_tensor *c,
                       struct md_tensor *output, struct md_gemm *gemm)
{
    bool real = gemm->type == MD_GEMM_F32 || gemm->type == MD_GEMM_F64;
    bool plain_beta = parameters->beta == 1.0;
    gemm->finish.alpha = real ? parameters->alpha : 1.0;
    if (real && parameters->activation.kind == MD_ACTIVATION_RELU)
        gemm->finish.activation = MD_GEMM_RELU;
    if (c == NULL || parameters->beta == 0.0 || (!real && parameters->alpha != 1.0))
        return;
    if (plain_beta && c->count == gemm->columns && c->shape.rank > 0 &&
        c->shape.dims[c->shape.rank - 1] == (int64_t)gemm->columns) {
        gemm->finish.column_bias = c->bytes;
        return;
    }
    spread_c(c, parameters->beta, output);
    gemm->finish.accumulate = true;
}

static enum md_code gemm_run(struct md_invocation *invocation)
{
    const struct gemm_parameters *parameters = invocation->parameters;
    const struct md_tensor *a = md_input(invocation, 0), *b = md_input(invocation, 1),
                           *c = md_input(invocation, 2);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    struct sizes sizes;
    if (output == NULL || output->count == 0)
        return MD_OK;
    MD_TRY(read_sizes(invocation, &sizes));
    ptrdiff_t a_width = (ptrdiff_t)a->shape.dims[1], b_width = (ptrdiff_t)b->shape.dims[1];
    struct md_gemm gemm = {
        .rows = sizes.rows,
        .columns = sizes.columns,
        .depth = sizes.depth,
        .a = { a->bytes, parameters->transpose_a ? 1 : a_width, parameters->transpose_a ? a_width : 1 },
        .c = output->bytes,
        .c_stride = sizes.columns,
    };
    (void)md_gemm_type_of(a->datatype, &gemm.type); /* prepare has seen that it is one */
    if (parameters->packed_b != NULL && parameters->packed_b->type == gemm.type)
        gemm.packed = parameters->packed_b;
    else
        gemm.b = (struct md_matrix){ b->bytes, parameters->transpose_b ? 1 : b_width,
                                     parameters->transpose_b ? b_width : 1 };
    set_finish(parameters, c, output, &gemm);
    md_parallel_gemm(invocation, &gemm, invocation->scratch);
    bool real = gemm.type == MD_GEMM_F32 || gemm.type == MD_GEMM_F64;
    if (!real && parameters->alpha != 1.0) {
        scale(output, parameters->alpha);
        if (c != NULL && parameters->beta != 0.0)
            add_c(c, parameters->beta, output);
    }
    if (real && parameters->activation.kind != MD_ACTIVATION_RELU)
        md_named_activation_apply(&parameters->activation, gemm.type == MD_GEMM_F64, output->count,
                                  output->bytes);
    return MD_OK;
}

static enum md_code read_attributes(const struct md_configuration *configuration,
                                    struct gemm_parameters *parameters)
{
    int64_t transpose_a = 0, transpose_b = 0;
    float alpha = 1.0f, beta = 1.0f;
    MD_TRY(md_attribute_int(configuration->attributes, "transA", 0, &transpose_a, configuration->error));
    MD_TRY(md_attribute_int(configuration->attributes, "transB", 0, &transpose_b, configuration->error));
    MD_TRY(md_attribute_float(configuration->attributes, "alpha", 1.0f, &alpha, configuration->error));
    MD_TRY(md_attribute_float(configuration->attributes, "beta", 1.0f, &beta, configuration->error));
    parameters->transpose_a = transpose_a != 0;
    parameters->transpose_b = transpose_b != 0;
    parameters->alpha = (double)alpha;
    parameters->beta = (double)beta;
    return MD_OK;
}

static enum md_code gemm_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct gemm_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(read_attributes(configuration, parameters));
    const struct md_tensor *b = md_constant_input(configuration, 1);
    *out_parameters = parameters;
    if (b == NULL || b->shape.rank != 2)
        return MD_OK;
    bool transpose = parameters->transpose_b;
    ptrdiff_t width = (ptrdiff_t)b->shape.dims[1];
    MD_TRY(md_pack_weight(configuration, b, 0, (size_t)b->shape.dims[transpose ? 1 : 0],
                          (size_t)b->shape.dims[transpose ? 0 : 1], transpose ? 1 : width,
                          transpose ? width : 1, &parameters->packed_b));
    if (parameters->packed_b != NULL)
        md_constant_release(configuration, 1);
    return MD_OK;
}

static enum md_code fused_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    const void *configured;
    struct md_span name;
    size_t parameter_count;
    MD_TRY(gemm_configure(configuration, &configured));
    MD_TRY(md_attribute_string(configuration->attributes, "activation", NULL, &name, configuration->error));
    struct gemm_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    memcpy(parameters, configured, sizeof *parameters);
    *out_parameters = parameters;
    struct md_named_activation *activation = &parameters->activation;
    if (name.bytes == NULL || name.size == 0)
        return MD_OK;
    MD_TRY(md_named_activation_find(name, activation, &parameter_count, configuration->error));
    MD_TRY(md_attribute_float(configuration->attributes, "activation_alpha", activation->alpha,
                              &activation->alpha, configuration->error));
    return md_attribute_float(configuration->attributes, "activation_beta", activation->beta,
                              &activation->beta, configuration->error);
}

#define REAL (MD_TYPE(MD_FP32) | MD_TYPE(MD_FP64))
#define WIDE (MD_TYPE(MD_INT32) | MD_TYPE(MD_UINT32) | MD_TYPE(MD_INT64) | MD_TYPE(MD_UINT64))

const struct md_operator md_operators_linear[] = {
    { MD_ONNX, "Gemm", 1, 10, 3, 3, 1, 1, MD_TYPES_FLOAT | WIDE, REAL | WIDE, 0, gemm_configure, gemm_prepare,
      gemm_run },
    { MD_ONNX, "Gemm", 11, MD_OPSET_NEWEST, 2, 3, 1, 1, MD_TYPES_FLOAT | WIDE, REAL | WIDE, 0, gemm_configure,
      gemm_prepare, gemm_run },
    { MD_MICROSOFT, "FusedGemm", 1, MD_OPSET_MICROSOFT, 2, 3, 1, 1, MD_TYPES_FLOAT, REAL, 0, fused_configure,
      gemm_prepare, gemm_run },
    { 0 },
};
