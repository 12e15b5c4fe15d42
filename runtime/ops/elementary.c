/* elementary.c - functions of one number: Neg Abs Sqrt Reciprocal Exp Log Floor Ceil Round Sign Erf.
 * Integers wrap: the absolute value and the negation of the smallest integer are itself. */
#include "activation.h"
#include "elementwise.h"
#include "operator_table.h"

#include <tgmath.h>

#define FOR_REAL(name, expression)                                                                           \
    MD_UNARY_KERNEL(name, float, expression)                                                                 \
    MD_UNARY_KERNEL(name, double, expression)

FOR_REAL(neg, -x)
FOR_REAL(abs, fabs(x))
FOR_REAL(sqrt, sqrt(x))
FOR_REAL(reciprocal, 1 / x)
MD_UNARY_KERNEL(exp, double, exp(x))
FOR_REAL(log, log(x))
FOR_REAL(floor, floor(x))
FOR_REAL(ceil, ceil(x))
FOR_REAL(round, rint(x)) /* halves to even: the default rounding mode, which modeld never changes */
FOR_REAL(sign, x > 0 ? 1 : x < 0 ? -1 : x) /* keeps NaN and the sign of zero */
FOR_REAL(erf, erf(x))

static void exp_float(size_t count, const void *input, void *output, const void *parameters)
{
    (void)parameters;
    md_exp_f32(count, input, output);
}

#define NEG_SIGNED(datatype, type)    MD_UNARY_KERNEL(neg, type, 0u - (uint64_t)x)
#define ABS_SIGNED(datatype, type)    MD_UNARY_KERNEL(abs, type, x < 0 ? (type)(0u - (uint64_t)x) : x)
#define ABS_UNSIGNED(datatype, type)  MD_UNARY_KERNEL(abs, type, x)
#define SIGN_SIGNED(datatype, type)   MD_UNARY_KERNEL(sign, type, (x > 0) - (x < 0))
#define SIGN_UNSIGNED(datatype, type) MD_UNARY_KERNEL(sign, type, x != 0)
#define ERF_INTEGER(datatype, type)   MD_UNARY_KERNEL(erf, type, erf((double)x))

MD_FOR_EACH_SIGNED(NEG_SIGNED)
MD_FOR_EACH_SIGNED(ABS_SIGNED)
MD_FOR_EACH_UNSIGNED(ABS_UNSIGNED)
MD_FOR_EACH_SIGNED(SIGN_SIGNED)
MD_FOR_EACH_UNSIGNED(SIGN_UNSIGNED)
MD_FOR_EACH_INTEGER(ERF_INTEGER)

#define NEG_ENTRY(datatype, type)  [datatype] = neg_##type,
#define ABS_ENTRY(datatype, type)  [datatype] = abs_##type,
#define SIGN_ENTRY(datatype, type) [datatype] = sign_##type,
#define ERF_ENTRY(datatype, type)  [datatype] = erf_##type,

static const md_unary_fn neg_kernels[MD_DATATYPE_COUNT] = { MD_FOR_EACH_REAL(NEG_ENTRY)
                                                                MD_FOR_EACH_SIGNED(NEG_ENTRY) };
static const md_unary_fn abs_kernels[MD_DATATYPE_COUNT] = { MD_FOR_EACH_NUMBER(ABS_ENTRY) };
static const md_unary_fn sign_kernels[MD_DATATYPE_COUNT] = { MD_FOR_EACH_NUMBER(SIGN_ENTRY) };
static const md_unary_fn erf_kernels[MD_DATATYPE_COUNT] = { MD_FOR_EACH_NUMBER(ERF_ENTRY) };

static enum md_code neg_run(struct md_invocation *invocation)
{
    return md_unary_run(invocation, neg_kernels);
}

static enum md_code abs_run(struct md_invocation *invocation)
{
    return md_unary_run(invocation, abs_kernels);
}

static enum md_code sign_run(struct md_invocation *invocation)
{
    return md_unary_run(invocation, sign_kernels);
}

static enum md_code erf_run(struct md_invocation *invocation)
{
    return md_unary_run(invocation, erf_kernels);
}

#define FLOAT_RUN(name)                                                                                      \
    static enum md_code name##_run(struct md_invocation *invocation)                                         \
    {                                                                                                        \
        static const md_unary_fn kernels[MD_DATATYPE_COUNT] = { [MD_FP32] = name##_float,                    \
                                                                [MD_FP64] = name##_double };                 \
        return md_unary_run(invocation, kernels);                                                            \
    }

FLOAT_RUN(sqrt)
FLOAT_RUN(reciprocal)
FLOAT_RUN(exp)
FLOAT_RUN(log)
FLOAT_RUN(floor)
FLOAT_RUN(ceil)
FLOAT_RUN(round)

#define ROW(name, from, types, run)                                                                          \
    { MD_ONNX, name, from, MD_OPSET_NEWEST, 1, 1, 1, 1, types, (types) & ~(unsigned)MD_TYPES_HALF,           \
      MD_IN_PLACE, NULL, md_prepare_same, run }

const struct md_operator md_operators_elementary[] = {
    ROW("Neg", 1, MD_TYPES_FLOAT | MD_TYPES_SIGNED, neg_run),
    ROW("Abs", 1, MD_TYPES_NUMBER, abs_run),
    ROW("Sqrt", 1, MD_TYPES_FLOAT, sqrt_run),
    ROW("Reciprocal", 1, MD_TYPES_FLOAT, reciprocal_run),
    ROW("Exp", 1, MD_TYPES_FLOAT, exp_run),
    ROW("Log", 1, MD_TYPES_FLOAT, log_run),
    ROW("Floor", 1, MD_TYPES_FLOAT, floor_run),
    ROW("Ceil", 1, MD_TYPES_FLOAT, ceil_run),
    ROW("Round", 11, MD_TYPES_FLOAT, round_run),
    ROW("Sign", 9, MD_TYPES_NUMBER, sign_run),
    ROW("Erf", 9, MD_TYPES_NUMBER, erf_run),
    { 0 },
};
