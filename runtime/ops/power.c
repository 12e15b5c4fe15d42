/* power.c - Pow: the base's type is the result's; from opset 12 on the exponent may have any other numeric type.
 *
 * Two integers are multiplied in wrapping arithmetic; a negative exponent gives the truncated reciprocal (0 unless
 * the base is 1 or -1; 0 for base 0). An integer base with a real exponent is computed in double and truncated. The
 * two types may be of different precision, so half precision is read here and not widened by the executor. */
#include "elementwise.h"
#include "float_code.h"
#include "integer_from_real.h"
#include "operator_table.h"

#include <math.h>

enum { BLOCK = 128 };

static uint64_t integer_power(uint64_t base, int64_t exponent)
{
    uint64_t result = 1;
    if (exponent < 0) {
        if (base == 1)
            return 1;
        if (base == UINT64_MAX) /* -1 */
            return exponent % 2 == 0 ? 1 : base;
        return 0;
    }
    for (; exponent > 0; exponent >>= 1) {
        if (exponent & 1)
            result *= base;
        base *= base;
    }
    return result;
}

/* The squares and roots of LayerNorm and GELU as exporters spell them need no pow. */
static void power_float_scalar(size_t count, const float *base, float exponent, float *out)
{
    if (exponent == 2)
        MD_INDEPENDENT
        for (size_t i = 0; i < count; i++)
            out[i] = base[i] * base[i];
    else if (exponent == 3)
        MD_INDEPENDENT
        for (size_t i = 0; i < count; i++)
            out[i] = base[i] * base[i] * base[i];
    else
        for (size_t i = 0; i < count; i++)
            out[i] = powf(base[i], exponent);
}

static void power_float(size_t count, const void *base, size_t base_step, const void *exponent,
                        size_t exponent_step, void *output)
{
    const float *a = base, *b = exponent;
    float *out = output;
    if (base_step == 1 && exponent_step == 0) {
        power_float_scalar(count, a, b[0], out);
        return;
    }
    for (size_t i = 0; i < count; i++)
        out[i] = powf(a[i * base_step], b[i * exponent_step]);
}

/* Up to BLOCK elements as doubles and, when they are integers, as integers. */
static void read_block(enum md_datatype datatype, size_t count, const void *elements, size_t step, double *reals,
                       int64_t *integers)
{
#define READ(name, type)                                                                                     \
    case name:                                                                                               \
        for (size_t i = 0; i < count; i++) {                                                                 \
            integers[i] = (int64_t)((const type *)elements)[i * step];                                       \
            reals[i] = (double)((const type *)elements)[i * step];                                           \
        }                                                                                                    \
        return;
    switch (datatype) {
        MD_FOR_EACH_INTEGER(READ)
    default:
        md_read_reals(datatype, count, elements, step, reals);
    }
}

static void write_block(enum md_datatype datatype, size_t count, const double *reals, void *output)
{
    float floats[BLOCK];
#define WRITE(name, type)                                                                                    \
    case name:                                                                                               \
        for (size_t i = 0; i < count; i++)                                                                   \
            ((type *)output)[i] = md_##type##_from_double(reals[i]);                                         \
        return;
    switch (datatype) {
        MD_FOR_EACH_NUMBER(WRITE)
    default:
        for (size_t i = 0; i < count; i++)
            floats[i] = (float)reals[i];
        md_encode_floats(datatype, false, count, floats, output);
    }
}

static void write_integers(enum md_datatype datatype, size_t count, const int64_t *integers, void *output)
{
#define WRITE_INTEGER(name, type)                                                                            \
    case name:                                                                                               \
        for (size_t i = 0; i < count; i++)                                                                   \
            ((type *)output)[i] = (type)integers[i];                                                         \
        return;
    switch (datatype) {
        MD_FOR_EACH_INTEGER(WRITE_INTEGER)
    default:
        return;
    }
}

static enum md_code power_prepare(struct md_invocation *invocation)
{
    struct md_shape b, target;
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_expect_tensor(invocation, 1));
    MD_TRY(md_expect_datatype(invocation, 1, MD_TYPES_NUMBER));
    if (invocation->opset < 12)
        MD_TRY(md_expect_same_datatype(invocation, 0, 1));
    MD_TRY(md_binary_shapes(invocation, &b, &target));
    return md_output(invocation, 0, md_input(invocation, 0)->datatype, &target);
}

static void power_run_of(const struct md_tensor *base, const struct md_tensor *exponent,
                         const struct md_broadcast_loop *loop, struct md_tensor *output)
{
    const bool both_integers = md_datatype_in(base->datatype, MD_TYPES_INTEGER) &&
                               md_datatype_in(exponent->datatype, MD_TYPES_INTEGER);
    size_t base_size = md_datatype_size(base->datatype), exponent_size = md_datatype_size(exponent->datatype);
    const char *a = (const char *)base->bytes + loop->offsets[0] * base_size;
    const char *b = (const char *)exponent->bytes + loop->offsets[1] * exponent_size;
    char *out = (char *)output->bytes + loop->position * base_size;
    double bases[BLOCK], exponents[BLOCK];
    int64_t base_integers[BLOCK], exponent_integers[BLOCK];
    if (base->datatype == MD_FP32 && exponent->datatype == MD_FP32) {
        power_float(loop->inner, a, loop->steps[0], b, loop->steps[1], out);
        return;
    }
    for (size_t i = 0; i < loop->inner; i += BLOCK) {
        size_t count = loop->inner - i < BLOCK ? loop->inner - i : BLOCK;
        read_block(base->datatype, count, a + i * loop->steps[0] * base_size, loop->steps[0], bases, base_integers);
        read_block(exponent->datatype, count, b + i * loop->steps[1] * exponent_size, loop->steps[1], exponents,
                   exponent_integers);
        for (size_t k = 0; k < count; k++)
            if (both_integers)
                base_integers[k] = (int64_t)integer_power((uint64_t)base_integers[k], exponent_integers[k]);
            else
                bases[k] = pow(bases[k], exponents[k]);
        if (both_integers)
            write_integers(base->datatype, count, base_integers, out + i * base_size);
        else
            write_block(base->datatype, count, bases, out + i * base_size);
    }
}

static enum md_code power_run(struct md_invocation *invocation)
{
    const struct md_tensor *base = md_input(invocation, 0), *exponent = md_input(invocation, 1);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    struct md_shape b, target;
    struct md_broadcast_loop loop;
    if (output == NULL || output->count == 0)
        return MD_OK;
    MD_TRY(md_binary_shapes(invocation, &b, &target));
    const struct md_shape *shapes[] = { &base->shape, &b };
    for (md_broadcast_loop_start(&loop, &target, 2, shapes); loop.runs > 0; md_broadcast_loop_next(&loop))
        power_run_of(base, exponent, &loop, output);
    return MD_OK;
}

const struct md_operator md_operators_power[] = {
    { MD_ONNX, "Pow", 1, 6, 2, 2, 1, 1, MD_TYPES_NUMBER, 0, 0, md_legacy_broadcast_configure, power_prepare,
      power_run },
    { MD_ONNX, "Pow", 7, MD_OPSET_NEWEST, 2, 2, 1, 1, MD_TYPES_NUMBER, 0, 0, NULL, power_prepare, power_run },
    { 0 },
};
