/* named_activation.c - see named_activation.h. */
#include "named_activation.h"

#include "activation.h"

#include <strings.h>
#include <tgmath.h>

static const struct {
    const char *name;
    size_t parameter_count;
    struct md_named_activation activation;
} known[] = {
    { "Relu", 0, { MD_ACTIVATION_RELU, 0, 0 } },
    { "Tanh", 0, { MD_ACTIVATION_TANH, 0, 0 } },
    { "Sigmoid", 0, { MD_ACTIVATION_SIGMOID, 0, 0 } },
    { "Affine", 2, { MD_ACTIVATION_AFFINE, 1.0f, 0 } },
    { "LeakyRelu", 1, { MD_ACTIVATION_LEAKY_RELU, 0.01f, 0 } },
    { "ThresholdedRelu", 1, { MD_ACTIVATION_THRESHOLDED_RELU, 1.0f, 0 } },
    { "ScaledTanh", 2, { MD_ACTIVATION_SCALED_TANH, 1.0f, 1.0f } },
    { "HardSigmoid", 2, { MD_ACTIVATION_HARD_SIGMOID, 0.2f, 0.5f } },
    { "Elu", 1, { MD_ACTIVATION_ELU, 1.0f, 0 } },
    { "Softsign", 0, { MD_ACTIVATION_SOFTSIGN, 0, 0 } },
    { "Softplus", 0, { MD_ACTIVATION_SOFTPLUS, 0, 0 } },
    { "Clip", 2, { MD_ACTIVATION_CLIP, -3.402823466e+38f, 3.402823466e+38f } },
    { "HardSwish", 2, { MD_ACTIVATION_HARD_SWISH, 1.0f / 6.0f, 0.5f } },
    { "Gelu", 0, { MD_ACTIVATION_GELU, 0, 0 } },
};

enum md_code md_named_activation_find(struct md_span name, struct md_named_activation *out_activation,
                                      size_t *out_parameter_count, struct md_error *error)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strlen(known[i].name) != name.size || strncasecmp(known[i].name, name.bytes, name.size) != 0)
            continue;
        *out_activation = known[i].activation;
        *out_parameter_count = known[i].parameter_count;
        return MD_OK;
    }
    return md_fail(error, MD_INVALID_ARGUMENT, "no activation function is called \"%.*s\"",
                   name.size > 60 ? 60 : (int)name.size, name.bytes);
}

#define EACH(type, expression)                                                                               \
    for (size_t i = 0; i < count; i++) {                                                                     \
        const type x = values[i];                                                                            \
        values[i] = (expression);                                                                            \
    }                                                                                                        \
    break;

static inline float unit_f32(float x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}
static inline double unit_f64(double x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

#define DEFINE_APPLY(type, suffix)                                                                           \
    static void apply_##suffix(const struct md_named_activation *activation, size_t count, type *values)     \
    {                                                                                                        \
        const type alpha = (type)activation->alpha, beta = (type)activation->beta;                           \
        switch (activation->kind) {                                                                          \
        case MD_ACTIVATION_IDENTITY:                                                                         \
            break;                                                                                           \
        case MD_ACTIVATION_RELU:                                                                             \
            EACH(type, x < 0 ? 0 : x)                                                                        \
        case MD_ACTIVATION_TANH:                                                                             \
            md_tanh_##suffix(count, values, values);                                                         \
            break;                                                                                           \
        case MD_ACTIVATION_SIGMOID:                                                                          \
            md_sigmoid_##suffix(count, values, values);                                                      \
            break;                                                                                           \
        case MD_ACTIVATION_AFFINE:                                                                           \
            EACH(type, alpha *x + beta)                                                                      \
        case MD_ACTIVATION_LEAKY_RELU:                                                                       \
            EACH(type, x < 0 ? alpha * x : x)                                                                \
        case MD_ACTIVATION_THRESHOLDED_RELU:                                                                 \
            EACH(type, x < alpha ? 0 : x)                                                                    \
        case MD_ACTIVATION_SCALED_TANH:                                                                      \
            EACH(type, alpha *tanh(beta *x))                                                                 \
        case MD_ACTIVATION_HARD_SIGMOID:                                                                     \
            EACH(type, unit_##suffix(alpha *x + beta))                                                       \
        case MD_ACTIVATION_ELU:                                                                              \
            EACH(type, x < 0 ? alpha * expm1(x) : x)                                                         \
        case MD_ACTIVATION_SOFTSIGN:                                                                         \
            EACH(type, x / (1 + fabs(x)))                                                                    \
        case MD_ACTIVATION_SOFTPLUS:                                                                         \
            EACH(type, x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)))                                           \
        case MD_ACTIVATION_CLIP:                                                                             \
            EACH(type, x<alpha ? alpha : x> beta ? beta : x)                                                 \
        case MD_ACTIVATION_HARD_SWISH:                                                                       \
            EACH(type, x *unit_##suffix(alpha *x + beta))                                                    \
        case MD_ACTIVATION_GELU:                                                                             \
            EACH(type, x / 2 * (1 + erf(x * (type)0.70710678118654752440)))                                  \
        }                                                                                                    \
    }

DEFINE_APPLY(float, f32)
DEFINE_APPLY(double, f64)

void md_named_activation_apply(const struct md_named_activation *activation, bool is_double, size_t count,
                               void *values)
{
    if (is_double)
        apply_f64(activation, count, values);
    else
        apply_f32(activation, count, values);
}
