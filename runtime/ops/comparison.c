/* comparison.c - Equal, Greater, GreaterOrEqual, Less, LessOrEqual: two operands that broadcast, a BOOL answer.
 * A comparison with NaN is false. */
#include "elementwise.h"
#include "operator_table.h"

#define EQUAL(datatype, type)            MD_BINARY_KERNEL(equal, type, uint8_t, x == y)
#define GREATER(datatype, type)          MD_BINARY_KERNEL(greater, type, uint8_t, x > y)
#define GREATER_OR_EQUAL(datatype, type) MD_BINARY_KERNEL(greater_or_equal, type, uint8_t, x >= y)
#define LESS(datatype, type)             MD_BINARY_KERNEL(less, type, uint8_t, x < y)
#define LESS_OR_EQUAL(datatype, type)    MD_BINARY_KERNEL(less_or_equal, type, uint8_t, x <= y)

MD_FOR_EACH_NUMBER(EQUAL)
MD_FOR_EACH_NUMBER(GREATER)
MD_FOR_EACH_NUMBER(GREATER_OR_EQUAL)
MD_FOR_EACH_NUMBER(LESS)
MD_FOR_EACH_NUMBER(LESS_OR_EQUAL)

static void equal_string(size_t count, const void *left, size_t left_step, const void *right, size_t right_step,
                         void *output)
{
    const struct md_span *a = left, *b = right;
    uint8_t *out = output;
    for (size_t i = 0; i < count; i++)
        out[i] = md_span_equal(a[i * left_step], b[i * right_step]);
}

#define EQUAL_ENTRY(datatype, type)            [datatype] = equal_##type,
#define GREATER_ENTRY(datatype, type)          [datatype] = greater_##type,
#define GREATER_OR_EQUAL_ENTRY(datatype, type) [datatype] = greater_or_equal_##type,
#define LESS_ENTRY(datatype, type)             [datatype] = less_##type,
#define LESS_OR_EQUAL_ENTRY(datatype, type)    [datatype] = less_or_equal_##type,

static enum md_code equal_run(struct md_invocation *invocation)
{
    static const md_binary_fn kernels[MD_DATATYPE_COUNT] = {
        MD_FOR_EACH_NUMBER(EQUAL_ENTRY)[MD_BOOL] = equal_uint8_t, [MD_BYTES] = equal_string
    };
    return md_binary_run(invocation, kernels);
}

static enum md_code greater_run(struct md_invocation *invocation)
{
    static const md_binary_fn kernels[MD_DATATYPE_COUNT] = { MD_FOR_EACH_NUMBER(GREATER_ENTRY) };
    return md_binary_run(invocation, kernels);
}

static enum md_code greater_or_equal_run(struct md_invocation *invocation)
{
    static const md_binary_fn kernels[MD_DATATYPE_COUNT] = { MD_FOR_EACH_NUMBER(GREATER_OR_EQUAL_ENTRY) };
    return md_binary_run(invocation, kernels);
}

static enum md_code less_run(struct md_invocation *invocation)
{
    static const md_binary_fn kernels[MD_DATATYPE_COUNT] = { MD_FOR_EACH_NUMBER(LESS_ENTRY) };
    return md_binary_run(invocation, kernels);
}

static enum md_code less_or_equal_run(struct md_invocation *invocation)
{
    static const md_binary_fn kernels[MD_DATATYPE_COUNT] = { MD_FOR_EACH_NUMBER(LESS_OR_EQUAL_ENTRY) };
    return md_binary_run(invocation, kernels);
}

#define NATIVE      (MD_TYPES_WIDE_FLOAT | MD_TYPES_INTEGER)
#define EQUAL_EXTRA (MD_TYPE(MD_BOOL) | MD_TYPE(MD_BYTES))
#define LEGACY_ROW(name, extra, run)                                                                         \
    { MD_ONNX, name, 1, 6, 2, 2, 1, 1, MD_TYPES_NUMBER | (extra), NATIVE | (extra), 0,                       \
      md_legacy_broadcast_configure, md_binary_prepare_bool, run }
#define ROW(name, from, extra, run)                                                                          \
    { MD_ONNX, name, from, MD_OPSET_NEWEST, 2, 2, 1, 1, MD_TYPES_NUMBER | (extra), NATIVE | (extra), 0,      \
      NULL, md_binary_prepare_bool, run }

const struct md_operator md_operators_comparison[] = {
    LEGACY_ROW("Equal", EQUAL_EXTRA, equal_run),
    ROW("Equal", 7, EQUAL_EXTRA, equal_run),
    LEGACY_ROW("Greater", 0, greater_run),
    ROW("Greater", 7, 0, greater_run),
    ROW("GreaterOrEqual", 12, 0, greater_or_equal_run),
    LEGACY_ROW("Less", 0, less_run),
    ROW("Less", 7, 0, less_run),
    ROW("LessOrEqual", 12, 0, less_or_equal_run),
    { 0 },
};
