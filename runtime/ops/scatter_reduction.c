#include "scatter_reduction.h"

static const char *const names[MD_REDUCE_COUNT] = { "none", "add", "mul", "max", "min" };

enum md_code md_reduction_parse(struct md_span name, enum md_reduction *out_reduction, struct md_error *error)
{
    for (int i = 0; i < MD_REDUCE_COUNT; i++) {
        if (!md_span_equal(name, md_span_of(names[i])))
            continue;
        *out_reduction = (enum md_reduction)i;
        return MD_OK;
    }
    return md_fail(error, MD_INVALID_ARGUMENT, "reduction \"%.*s\": known are none, add, mul, max, min",
                   (int)name.size, name.bytes);
}

#define LOOP(name, type, result)                                                                             \
    static void name##_##type(void *target, const void *update, size_t count)                                \
    {                                                                                                        \
        type *a = target;                                                                                    \
        const type *b = update;                                                                              \
        for (size_t i = 0; i < count; i++) {                                                                 \
            const type x = a[i], y = b[i];                                                                   \
            a[i] = (type)(result);                                                                           \
        }                                                                                                    \
    }

/* Integers wrap, as numpy's do: the arithmetic is done in uint64_t, where it is defined. A NaN stays. */
#define REAL(datatype, type)                                                                                 \
    LOOP(add, type, x + y)                                                                                   \
    LOOP(mul, type, (x) * (y))                                                                               \
    LOOP(max, type, x >= y || x != x ? x : y)                                                                \
    LOOP(min, type, x <= y || x != x ? x : y)
#define INTEGER(datatype, type)                                                                              \
    LOOP(add, type, (uint64_t)x + (uint64_t)y)                                                               \
    LOOP(mul, type, ((uint64_t)x) * ((uint64_t)y))                                                           \
    LOOP(max, type, x > y ? x : y)                                                                           \
    LOOP(min, type, x < y ? x : y)
MD_FOR_EACH_REAL(REAL)
MD_FOR_EACH_INTEGER(INTEGER)
LOOP(add, bool, x || y)
LOOP(mul, bool, (x) && (y))

/* Half precision: every step is rounded, as arithmetic in the type itself would be. */
#define HALF(name, kind, to_float, from_float, loop)                                                         \
    static void name##_##kind(void *target, const void *update, size_t count)                                \
    {                                                                                                        \
        uint16_t *a = target;                                                                                \
        const uint16_t *b = update;                                                                          \
        for (size_t i = 0; i < count; i++) {                                                                 \
            float x = to_float(a[i]), y = to_float(b[i]);                                                    \
            loop(&x, &y, 1);                                                                                 \
            a[i] = from_float(x);                                                                            \
        }                                                                                                    \
    }
#define HALVES(kind, to_float, from_float)                                                                   \
    HALF(add, kind, to_float, from_float, add_float)                                                         \
    HALF(mul, kind, to_float, from_float, mul_float)                                                         \
    HALF(max, kind, to_float, from_float, max_float)                                                         \
    HALF(min, kind, to_float, from_float, min_float)
HALVES(fp16, md_fp16_to_float, md_float_to_fp16)
HALVES(bf16, md_bf16_to_float, md_float_to_bf16)

#define ROW(datatype, type) [datatype] = { NULL, add_##type, mul_##type, max_##type, min_##type },
static const md_reduce_fn loops[MD_DATATYPE_COUNT][MD_REDUCE_COUNT] = {
    [MD_BOOL] = { NULL, add_bool, mul_bool, add_bool, mul_bool },
    MD_FOR_EACH_NUMBER(ROW) ROW(MD_FP16, fp16) ROW(MD_BF16, bf16)
};

enum md_code md_reduction_find(enum md_reduction reduction, enum md_datatype datatype,
                               md_reduce_fn *out_reduce, struct md_error *error)
{
    md_reduce_fn reduce = loops[datatype][reduction];
    if (reduction != MD_REDUCE_NONE && reduce == NULL)
        return md_fail(error, MD_INVALID_ARGUMENT, "reduction \"%s\" of %s elements", names[reduction],
                       md_datatype_name(datatype));
    *out_reduce = reduce;
    return MD_OK;
}
