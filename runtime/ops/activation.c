/* activation.c - activation functions of one number. NaN stays NaN. */
#include "activation.h"
#include "elementwise.h"
#include "integer_from_real.h"
#include "operator_table.h"

#include "parameters.h"

#include <tgmath.h>

/* What alpha and beta are differs: see the rows of each operator. */
struct activation {
    float alpha, beta;
};

/* One real loop; `expression` sees x, alpha and beta of `type`. */
#define ACTIVATION_KERNEL(name, type, expression)                                                            \
    static void name##_##type(size_t count, const void *input, void *output, const void *parameters)         \
    {                                                                                                        \
        const struct activation *activation = parameters;                                                    \
        const type alpha = activation != NULL ? (type)activation->alpha : 0;                                 \
        const type beta = activation != NULL ? (type)activation->beta : 0;                                   \
        const type *in = input;                                                                              \
        type *out = output;                                                                                  \
        (void)alpha;                                                                                         \
        (void)beta;                                                                                          \
        MD_INDEPENDENT                                                                                       \
        for (size_t i = 0; i < count; i++) {                                                                 \
            const type x = in[i];                                                                            \
            out[i] = (expression);                                                                           \
        }                                                                                                    \
    }
#define RUN(name)                                                                                            \
    static enum md_code name##_run(struct md_invocation *invocation)                                         \
    {                                                                                                        \
        static const md_unary_fn kernels[MD_DATATYPE_COUNT] = { [MD_FP32] = name##_float,                    \
                                                                [MD_FP64] = name##_double };                 \
        return md_unary_run(invocation, kernels);                                                            \
    }

#define ACTIVATION(name, expression)                                                                         \
    ACTIVATION_KERNEL(name, float, expression)                                                               \
    ACTIVATION_KERNEL(name, double, expression)                                                              \
    RUN(name)

ACTIVATION(leaky_relu, x < 0 ? alpha * x : x)
ACTIVATION(elu, x < 0 ? alpha * expm1(x) : x)
ACTIVATION(selu, x > 0 ? beta * x : beta * alpha * expm1(x))
ACTIVATION(celu, x < 0 ? alpha * expm1(x / alpha) : x)
ACTIVATION_KERNEL(sigmoid, double, 1 / (1 + exp(-x)))
ACTIVATION(softsign, x / (1 + fabs(x)))
/* log(1 + e^x) without overflow */
ACTIVATION(softplus, x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)))
ACTIVATION(mish, x *tanh(x > 0 ? x + log1p(exp(-x)) : log1p(exp(x))))
ACTIVATION(thresholded_relu, x > alpha || x != x ? x : 0)
ACTIVATION(swish, x / (1 + exp(-alpha * x)))

/* min and max that keep NaN */
#define CLAMP_TO_ONE(value) ((value) > 1 ? 1 : (value) < 0 ? 0 : (value))
ACTIVATION(hard_sigmoid, CLAMP_TO_ONE(alpha * x + beta))
ACTIVATION(hard_swish, x *CLAMP_TO_ONE(x / 6 + (beta + 1) / 2)) /* beta is 0: no constant of type double */

static void sigmoid_float(size_t count, const void *input, void *output, const void *parameters)
{
    (void)parameters;
    md_sigmoid_f32(count, input, output);
}
RUN(sigmoid)

/* ---- Relu and Shrink, which integers have, too ---- */
#define RELU_REAL(datatype, type)      MD_UNARY_KERNEL(relu, type, x < 0 ? 0 : x)
#define RELU_ENTRY(datatype, type)     [datatype] = relu_##type,
#define SHRINK_KERNEL(datatype, type)                                                                        \
    static void shrink_##type(size_t count, const void *input, void *output, const void *parameters)         \
    {                                                                                                        \
        const struct activation *activation = parameters;                                                    \
        const double lambda = (double)activation->alpha, bias = (double)activation->beta;                    \
        const type *in = input;                                                                              \
        type *out = output;                                                                                  \
        for (size_t i = 0; i < count; i++) {                                                                 \
            const double x = (double)in[i];                                                                  \
            out[i] = x < -lambda ? md_##type##_from_double(x + bias) :                                       \
                     x > lambda  ? md_##type##_from_double(x - bias) :                                       \
                                   0;                                                                        \
        }                                                                                                    \
    }
#define SHRINK_ENTRY(datatype, type) [datatype] = shrink_##type,

MD_FOR_EACH_REAL(RELU_REAL)
MD_FOR_EACH_SIGNED(RELU_REAL)
MD_FOR_EACH_NUMBER(SHRINK_KERNEL)

static enum md_code relu_run(struct md_invocation *invocation)
{
    static const md_unary_fn kernels[MD_DATATYPE_COUNT] = { MD_FOR_EACH_REAL(RELU_ENTRY)
                                                                MD_FOR_EACH_SIGNED(RELU_ENTRY) };
    return md_unary_run(invocation, kernels);
}

static enum md_code shrink_run(struct md_invocation *invocation)
{
    static const md_unary_fn kernels[MD_DATATYPE_COUNT] = { MD_FOR_EACH_NUMBER(SHRINK_ENTRY) };
    return md_unary_run(invocation, kernels);
}

/* ---- attributes ---- */
static enum md_code configure(const struct md_configuration *configuration, const char *alpha_name, float alpha,
                              const char *beta_name, float beta, const void **out_parameters)
{
    struct activation *activation = md_parameters_new(configuration, sizeof *activation);
    if (activation == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_attribute_float(configuration->attributes, alpha_name, alpha, &activation->alpha,
                              configuration->error));
    MD_TRY(md_attribute_float(configuration->attributes, beta_name, beta, &activation->beta,
                              configuration->error));
    *out_parameters = activation;
    return MD_OK;
}

#define CONFIGURE(name, alpha_name, alpha, beta_name, beta)                                                  \
    static enum md_code name##_configure(const struct md_configuration *configuration,                       \
                                         const void **out_parameters)                                        \
    {                                                                                                        \
        return configure(configuration, alpha_name, alpha, beta_name, beta, out_parameters);                 \
    }

CONFIGURE(leaky_relu, "alpha", 0.01f, "beta", 0)
CONFIGURE(alpha_one, "alpha", 1, "beta", 0)
CONFIGURE(selu_1, "alpha", 1.6732f, "gamma", 1.0507f)
CONFIGURE(selu_6, "alpha", 1.67326319217681884765625f, "gamma", 1.05070102214813232421875f)
CONFIGURE(hard_sigmoid, "alpha", 0.2f, "beta", 0.5f)
CONFIGURE(shrink, "lambd", 0.5f, "bias", 0)

/* ---- PRelu: the slope broadcasts to the input and never the other way ---- */
#define PRELU_REAL(datatype, type)    MD_BINARY_KERNEL(prelu, type, type, x < 0 ? x * y : x)
#define PRELU_INTEGER(datatype, type) MD_BINARY_KERNEL(prelu, type, type, x < 0 ? (uint64_t)x * (uint64_t)y : (uint64_t)x)
#define PRELU_ENTRY(datatype, type)   [datatype] = prelu_##type,
#define PRELU_COPY(datatype, type)                                                                           \
    static void prelu_##type(size_t count, const void *left, size_t left_step, const void *right,            \
                             size_t right_step, void *output)                                                \
    {                                                                                                        \
        (void)right;                                                                                         \
        (void)right_step;                                                                                    \
        for (size_t i = 0; i < count; i++)                                                                   \
            ((type *)output)[i] = ((const type *)left)[i * left_step];                                       \
    }

MD_FOR_EACH_REAL(PRELU_REAL)
MD_FOR_EACH_SIGNED(PRELU_INTEGER)
MD_FOR_EACH_UNSIGNED(PRELU_COPY)

/* Opset 1-6: one slope, or one per channel (dimension 1). */
static enum md_code prelu_slope(struct md_invocation *invocation, struct md_shape *out_slope)
{
    const struct md_tensor *input = md_input(invocation, 0), *slope = md_input(invocation, 1);
    struct md_shape target;
    char texts[2][MD_SHAPE_TEXT_SIZE];
    *out_slope = slope->shape;
    if (invocation->row->to < 7 && slope->count > 1 && slope->shape.rank == 1 && input->shape.rank > 1) {
        out_slope->rank = input->shape.rank - 1;
        for (int32_t i = 1; i < out_slope->rank; i++)
            out_slope->dims[i] = 1;
    }
    if (md_shape_broadcast(&input->shape, out_slope, &target) && md_shape_equal(&target, &input->shape))
        return MD_OK;
    return md_fail(invocation->error, MD_INVALID_ARGUMENT, "slope %s does not broadcast to input %s",
                   md_shape_text(&slope->shape, texts[0], sizeof texts[0]),
                   md_shape_text(&input->shape, texts[1], sizeof texts[1]));
}

static enum md_code prelu_prepare(struct md_invocation *invocation)
{
    struct md_shape slope;
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_expect_tensor(invocation, 1));
    MD_TRY(md_expect_same_datatype(invocation, 0, 1));
    MD_TRY(prelu_slope(invocation, &slope));
    return md_prepare_same(invocation);
}

static enum md_code prelu_run(struct md_invocation *invocation)
{
    static const md_binary_fn kernels[MD_DATATYPE_COUNT] = { MD_FOR_EACH_NUMBER(PRELU_ENTRY) };
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_shape slope;
    MD_TRY(prelu_slope(invocation, &slope));
    return md_binary_run_shapes(invocation, kernels, &slope, &input->shape);
}

#define ROW(name, from, to, configure, run)                                                                  \
    { MD_ONNX, name, from, to, 1, 1, 1, 1, MD_TYPES_FLOAT, MD_TYPES_WIDE_FLOAT, MD_IN_PLACE, configure,      \
      md_prepare_same, run }
#define TYPES_RELU (MD_TYPES_FLOAT | MD_TYPES_SIGNED)
#define PRELU_ROW(from, to)                                                                                  \
    { MD_ONNX, "PRelu", from, to, 2, 2, 1, 1, MD_TYPES_NUMBER, MD_TYPES_WIDE_FLOAT | MD_TYPES_INTEGER,       \
      MD_IN_PLACE, NULL, prelu_prepare, prelu_run }

const struct md_operator md_operators_activation[] = {
    { MD_ONNX, "Relu", 1, MD_OPSET_NEWEST, 1, 1, 1, 1, TYPES_RELU, TYPES_RELU & ~MD_TYPES_HALF, MD_IN_PLACE, NULL,
      md_prepare_same, relu_run },
    ROW("LeakyRelu", 1, MD_OPSET_NEWEST, leaky_relu_configure, leaky_relu_run),
    PRELU_ROW(1, 6),
    PRELU_ROW(7, MD_OPSET_NEWEST),
    ROW("Elu", 1, MD_OPSET_NEWEST, alpha_one_configure, elu_run),
    ROW("Selu", 1, 5, selu_1_configure, selu_run),
    ROW("Selu", 6, MD_OPSET_NEWEST, selu_6_configure, selu_run),
    ROW("Celu", 12, MD_OPSET_NEWEST, alpha_one_configure, celu_run),
    ROW("HardSigmoid", 1, MD_OPSET_NEWEST, hard_sigmoid_configure, hard_sigmoid_run),
    ROW("HardSwish", 14, MD_OPSET_NEWEST, NULL, hard_swish_run),
    ROW("Sigmoid", 1, MD_OPSET_NEWEST, NULL, sigmoid_run),
    ROW("Softplus", 1, MD_OPSET_NEWEST, NULL, softplus_run),
    ROW("Softsign", 1, MD_OPSET_NEWEST, NULL, softsign_run),
    ROW("ThresholdedRelu", 10, MD_OPSET_NEWEST, alpha_one_configure, thresholded_relu_run),
    ROW("Mish", 18, MD_OPSET_NEWEST, NULL, mish_run),
    ROW("Swish", 24, 24, alpha_one_configure, swish_run),
    { MD_ONNX, "Shrink", 9, MD_OPSET_NEWEST, 1, 1, 1, 1, MD_TYPES_NUMBER, MD_TYPES_WIDE_FLOAT | MD_TYPES_INTEGER,
      MD_IN_PLACE, shrink_configure, md_prepare_same, shrink_run },
    { 0 },
};
