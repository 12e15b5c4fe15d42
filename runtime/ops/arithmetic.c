/* arithmetic.c - Add, Sub, Mul, Div, Mod: two operands of one datatype that broadcast.
 *
 * Integers wrap as two's complement does. An integer division by zero is INVALID_ARGUMENT; the quotient of the
 * smallest integer and -1 wraps to the smallest integer. */
#include "elementwise.h"
#include "operator_table.h"

#include "parameters.h"

#include <tgmath.h>

/* Via uint64_t because signed overflow, and uint16_t * uint16_t in int, are undefined; low bits come out the same. */
#define ADD_INTEGER(datatype, type) MD_BINARY_KERNEL(add, type, type, (uint64_t)x + (uint64_t)y)
#define SUB_INTEGER(datatype, type) MD_BINARY_KERNEL(sub, type, type, (uint64_t)x - (uint64_t)y)
#define MUL_INTEGER(datatype, type) MD_BINARY_KERNEL(mul, type, type, (uint64_t)x * (uint64_t)y)
/* -1 is a special case only for signed types; for unsigned ones x / max is what the condition computes anyway. */
#define DIV_SIGNED(datatype, type)                                                                           \
    MD_BINARY_KERNEL(div, type, type, y == -1 ? (type)(0u - (uint64_t)x) : (type)(x / y))
#define DIV_UNSIGNED(datatype, type) MD_BINARY_KERNEL(div, type, type, x / y)
/* fmod = 0: the sign of the divisor, as Python's %; fmod = 1: the sign of the dividend, as C's. */
#define MOD_SIGNED(datatype, type)                                                                           \
    MD_BINARY_KERNEL(mod, type, type, y == -1 ? 0 : x % y + (x % y != 0 && (x % y < 0) != (y < 0) ? y : 0))  \
    MD_BINARY_KERNEL(remainder, type, type, y == -1 ? 0 : x % y)
#define MOD_UNSIGNED(datatype, type)                                                                         \
    MD_BINARY_KERNEL(mod, type, type, x % y)                                                                 \
    MD_BINARY_KERNEL(remainder, type, type, x % y)
#define REAL_KERNELS(datatype, type)                                                                         \
    MD_BINARY_KERNEL(add, type, type, x + y)                                                                 \
    MD_BINARY_KERNEL(sub, type, type, x - y)                                                                 \
    MD_BINARY_KERNEL(mul, type, type, x *y)                                                                  \
    MD_BINARY_KERNEL(div, type, type, x / y)                                                                 \
    MD_BINARY_KERNEL(mod, type, type, x - floor(x / y) * y)                                                  \
    MD_BINARY_KERNEL(remainder, type, type, fmod(x, y))

MD_FOR_EACH_REAL(REAL_KERNELS)
MD_FOR_EACH_INTEGER(ADD_INTEGER)
MD_FOR_EACH_INTEGER(SUB_INTEGER)
MD_FOR_EACH_INTEGER(MUL_INTEGER)
MD_FOR_EACH_SIGNED(DIV_SIGNED)
MD_FOR_EACH_UNSIGNED(DIV_UNSIGNED)
MD_FOR_EACH_SIGNED(MOD_SIGNED)
MD_FOR_EACH_UNSIGNED(MOD_UNSIGNED)

#define ADD_ENTRY(datatype, type) [datatype] = add_##type,
#define SUB_ENTRY(datatype, type) [datatype] = sub_##type,
#define MUL_ENTRY(datatype, type) [datatype] = mul_##type,
#define DIV_ENTRY(datatype, type) [datatype] = div_##type,
#define MOD_ENTRY(datatype, type) [datatype] = mod_##type,
#define REMAINDER_ENTRY(datatype, type) [datatype] = remainder_##type,

static const md_binary_fn add_kernels[MD_DATATYPE_COUNT] = { MD_FOR_EACH_NUMBER(ADD_ENTRY) };
static const md_binary_fn sub_kernels[MD_DATATYPE_COUNT] = { MD_FOR_EACH_NUMBER(SUB_ENTRY) };
static const md_binary_fn mul_kernels[MD_DATATYPE_COUNT] = { MD_FOR_EACH_NUMBER(MUL_ENTRY) };
static const md_binary_fn div_kernels[MD_DATATYPE_COUNT] = { MD_FOR_EACH_NUMBER(DIV_ENTRY) };
static const md_binary_fn mod_kernels[MD_DATATYPE_COUNT] = { MD_FOR_EACH_NUMBER(MOD_ENTRY) };
static const md_binary_fn remainder_kernels[MD_DATATYPE_COUNT] = { MD_FOR_EACH_NUMBER(REMAINDER_ENTRY) };

struct mod_parameters {
    bool fmod;
};

static enum md_code add_run(struct md_invocation *invocation)
{
    return md_binary_run(invocation, add_kernels);
}

static enum md_code sub_run(struct md_invocation *invocation)
{
    return md_binary_run(invocation, sub_kernels);
}

static enum md_code mul_run(struct md_invocation *invocation)
{
    return md_binary_run(invocation, mul_kernels);
}

/* Looks at every divisor before the loops, which then need no check. */
static enum md_code expect_no_zero(struct md_invocation *invocation)
{
    const struct md_tensor *divisor = md_input(invocation, 1);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
#define FIND_ZERO(name, type)                                                                                \
    case name:                                                                                               \
        for (size_t i = 0; i < divisor->count; i++)                                                          \
            if (md_elements(const type, divisor)[i] == 0)                                                    \
                return md_fail(invocation->error, MD_INVALID_ARGUMENT,                                       \
                               "integer division by zero: element %zu of input 1", i);                       \
        return MD_OK;
    switch (divisor->datatype) {
        MD_FOR_EACH_INTEGER(FIND_ZERO)
    default:
        return MD_OK;
    }
}

static enum md_code div_run(struct md_invocation *invocation)
{
    MD_TRY(expect_no_zero(invocation));
    return md_binary_run(invocation, div_kernels);
}

static enum md_code mod_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct mod_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    int64_t fmod_attribute = 0;
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_attribute_int(configuration->attributes, "fmod", 0, &fmod_attribute, configuration->error));
    parameters->fmod = fmod_attribute != 0;
    *out_parameters = parameters;
    return MD_OK;
}

static enum md_code mod_run(struct md_invocation *invocation)
{
    const struct mod_parameters *parameters = invocation->parameters;
    MD_TRY(expect_no_zero(invocation));
    return md_binary_run(invocation, parameters->fmod ? remainder_kernels : mod_kernels);
}

#define NATIVE (MD_TYPES_WIDE_FLOAT | MD_TYPES_INTEGER)
#define LEGACY_ROW(name, run)                                                                                \
    { MD_ONNX, name, 1, 6, 2, 2, 1, 1, MD_TYPES_NUMBER, NATIVE, MD_IN_PLACE, md_legacy_broadcast_configure,  \
      md_binary_prepare, run }
#define ROW(name, run)                                                                                       \
    { MD_ONNX, name, 7, MD_OPSET_NEWEST, 2, 2, 1, 1, MD_TYPES_NUMBER, NATIVE, MD_IN_PLACE, NULL,             \
      md_binary_prepare, run }

const struct md_operator md_operators_arithmetic[] = {
    LEGACY_ROW("Add", add_run),
    ROW("Add", add_run),
    LEGACY_ROW("Sub", sub_run),
    ROW("Sub", sub_run),
    LEGACY_ROW("Mul", mul_run),
    ROW("Mul", mul_run),
    LEGACY_ROW("Div", div_run),
    ROW("Div", div_run),
    { MD_ONNX, "Mod", 10, MD_OPSET_NEWEST, 2, 2, 1, 1, MD_TYPES_NUMBER, NATIVE, MD_IN_PLACE, mod_configure,
      md_binary_prepare, mod_run },
    { 0 },
};
