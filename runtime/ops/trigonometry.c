/* trigonometry.c - the trigonometric and hyperbolic functions and their inverses. Outside a function's domain the
 * answer is NaN, as IEEE 754 has it. */
#include "activation.h"
#include "elementwise.h"
#include "operator_table.h"

#include <tgmath.h>

#define RUN(name)                                                                                            \
    static enum md_code name##_run(struct md_invocation *invocation)                                         \
    {                                                                                                        \
        static const md_unary_fn kernels[MD_DATATYPE_COUNT] = { [MD_FP32] = name##_float,                    \
                                                                [MD_FP64] = name##_double };                 \
        return md_unary_run(invocation, kernels);                                                            \
    }

#define FUNCTION(name)                                                                                       \
    MD_UNARY_KERNEL(name, float, name(x))                                                                    \
    MD_UNARY_KERNEL(name, double, name(x))                                                                   \
    RUN(name)

FUNCTION(sin)
FUNCTION(cos)
FUNCTION(tan)
FUNCTION(asin)
FUNCTION(acos)
FUNCTION(atan)
FUNCTION(sinh)
FUNCTION(cosh)
FUNCTION(asinh)
FUNCTION(acosh)
FUNCTION(atanh)

static void tanh_float(size_t count, const void *input, void *output, const void *parameters)
{
    (void)parameters;
    md_tanh_f32(count, input, output);
}
MD_UNARY_KERNEL(tanh, double, tanh(x))
RUN(tanh)

#define ROW(name, from, run)                                                                                 \
    { MD_ONNX, name, from, MD_OPSET_NEWEST, 1, 1, 1, 1, MD_TYPES_FLOAT, MD_TYPES_WIDE_FLOAT, MD_IN_PLACE,    \
      NULL, md_prepare_same, run }

const struct md_operator md_operators_trigonometry[] = {
    ROW("Sin", 7, sin_run),     ROW("Cos", 7, cos_run),     ROW("Tan", 7, tan_run),
    ROW("Asin", 7, asin_run),   ROW("Acos", 7, acos_run),   ROW("Atan", 7, atan_run),
    ROW("Sinh", 9, sinh_run),   ROW("Cosh", 9, cosh_run),   ROW("Tanh", 1, tanh_run),
    ROW("Asinh", 9, asinh_run), ROW("Acosh", 9, acosh_run), ROW("Atanh", 9, atanh_run),
    { 0 },
};
