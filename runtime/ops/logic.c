/* logic.c - And, Or, Xor, Not over BOOL, and the bitwise operators and shifts over integers. */
#include "elementwise.h"
#include "operator_table.h"

#include "parameters.h"

MD_BINARY_KERNEL(and, uint8_t, uint8_t, x &y)
MD_BINARY_KERNEL(or, uint8_t, uint8_t, x | y)
MD_BINARY_KERNEL(xor, uint8_t, uint8_t, x ^ y)
MD_UNARY_KERNEL(not, uint8_t, !x)

/* A shift by the width or more shifts everything out; C leaves it undefined. */
#define SHIFT_LEFT(datatype, type)                                                                           \
    MD_BINARY_KERNEL(shift_left, type, type, (uint64_t)y < sizeof(type) * 8 ? (uint64_t)x << y : 0)
#define SHIFT_RIGHT(datatype, type)                                                                          \
    MD_BINARY_KERNEL(shift_right, type, type, (uint64_t)y < sizeof(type) * 8 ? x >> y : (type)(x < 0 ? -1 : 0))
#define SHIFT_RIGHT_UNSIGNED(datatype, type)                                                                 \
    MD_BINARY_KERNEL(shift_right, type, type, (uint64_t)y < sizeof(type) * 8 ? x >> y : 0)
#define BITWISE(datatype, type)                                                                              \
    MD_BINARY_KERNEL(bitwise_and, type, type, x &y)                                                          \
    MD_BINARY_KERNEL(bitwise_or, type, type, x | y)                                                          \
    MD_BINARY_KERNEL(bitwise_xor, type, type, x ^ y)                                                         \
    MD_UNARY_KERNEL(bitwise_not, type, ~x)

MD_FOR_EACH_INTEGER(SHIFT_LEFT)
MD_FOR_EACH_SIGNED(SHIFT_RIGHT)
MD_FOR_EACH_UNSIGNED(SHIFT_RIGHT_UNSIGNED)
MD_FOR_EACH_INTEGER(BITWISE)

#define SHIFT_LEFT_ENTRY(datatype, type)  [datatype] = shift_left_##type,
#define SHIFT_RIGHT_ENTRY(datatype, type) [datatype] = shift_right_##type,
#define AND_ENTRY(datatype, type)         [datatype] = bitwise_and_##type,
#define OR_ENTRY(datatype, type)          [datatype] = bitwise_or_##type,
#define XOR_ENTRY(datatype, type)         [datatype] = bitwise_xor_##type,
#define NOT_ENTRY(datatype, type)         [datatype] = bitwise_not_##type,

static const md_binary_fn shift_left_kernels[MD_DATATYPE_COUNT] = { MD_FOR_EACH_INTEGER(SHIFT_LEFT_ENTRY) };
static const md_binary_fn shift_right_kernels[MD_DATATYPE_COUNT] = { MD_FOR_EACH_INTEGER(SHIFT_RIGHT_ENTRY) };

struct shift_parameters {
    bool left;
};

static enum md_code shift_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct shift_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    struct md_span direction;
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_attribute_string(configuration->attributes, "direction", "", &direction, configuration->error));
    parameters->left = md_span_equal(direction, md_span_of("LEFT"));
    if (!parameters->left && !md_span_equal(direction, md_span_of("RIGHT")))
        return md_fail(configuration->error, MD_INVALID_ARGUMENT,
                       "attribute direction is \"%.*s\": must be \"LEFT\" or \"RIGHT\"",
                       (int)(direction.size < 40 ? direction.size : 40), direction.bytes);
    *out_parameters = parameters;
    return MD_OK;
}

static enum md_code shift_run(struct md_invocation *invocation)
{
    const struct shift_parameters *parameters = invocation->parameters;
    return md_binary_run(invocation, parameters->left ? shift_left_kernels : shift_right_kernels);
}

#define RUN(name, fn_type, frame, ...)                                                                       \
    static enum md_code name##_run(struct md_invocation *invocation)                                         \
    {                                                                                                        \
        static const fn_type kernels[MD_DATATYPE_COUNT] = { __VA_ARGS__ };                                   \
        return frame(invocation, kernels);                                                                   \
    }

RUN(and, md_binary_fn, md_binary_run, [MD_BOOL] = and_uint8_t)
RUN(or, md_binary_fn, md_binary_run, [MD_BOOL] = or_uint8_t)
RUN(xor, md_binary_fn, md_binary_run, [MD_BOOL] = xor_uint8_t)
RUN(not, md_unary_fn, md_unary_run, [MD_BOOL] = not_uint8_t)
RUN(bitwise_and, md_binary_fn, md_binary_run, MD_FOR_EACH_INTEGER(AND_ENTRY))
RUN(bitwise_or, md_binary_fn, md_binary_run, MD_FOR_EACH_INTEGER(OR_ENTRY))
RUN(bitwise_xor, md_binary_fn, md_binary_run, MD_FOR_EACH_INTEGER(XOR_ENTRY))
RUN(bitwise_not, md_unary_fn, md_unary_run, MD_FOR_EACH_INTEGER(NOT_ENTRY))

#define LOGIC_ROWS(name, run)                                                                                \
    { MD_ONNX, name, 1, 6, 2, 2, 1, 1, MD_TYPE(MD_BOOL), 0, MD_IN_PLACE, md_legacy_broadcast_configure,      \
      md_binary_prepare, run },                                                                              \
    { MD_ONNX, name, 7, MD_OPSET_NEWEST, 2, 2, 1, 1, MD_TYPE(MD_BOOL), 0, MD_IN_PLACE, NULL,                 \
      md_binary_prepare, run }
#define BITWISE_ROW(name, run)                                                                               \
    { MD_ONNX, name, 18, MD_OPSET_NEWEST, 2, 2, 1, 1, MD_TYPES_INTEGER, 0, MD_IN_PLACE, NULL,                \
      md_binary_prepare, run }

const struct md_operator md_operators_logic[] = {
    LOGIC_ROWS("And", and_run),
    LOGIC_ROWS("Or", or_run),
    LOGIC_ROWS("Xor", xor_run),
    { MD_ONNX, "Not", 1, MD_OPSET_NEWEST, 1, 1, 1, 1, MD_TYPE(MD_BOOL), 0, MD_IN_PLACE, NULL, md_prepare_same,
      not_run },
    { MD_ONNX, "BitShift", 11, MD_OPSET_NEWEST, 2, 2, 1, 1, MD_TYPES_INTEGER, 0, MD_IN_PLACE, shift_configure,
      md_binary_prepare, shift_run },
    BITWISE_ROW("BitwiseAnd", bitwise_and_run),
    BITWISE_ROW("BitwiseOr", bitwise_or_run),
    BITWISE_ROW("BitwiseXor", bitwise_xor_run),
    { MD_ONNX, "BitwiseNot", 18, MD_OPSET_NEWEST, 1, 1, 1, 1, MD_TYPES_INTEGER, 0, MD_IN_PLACE, NULL,
      md_prepare_same, bitwise_not_run },
    { 0 },
};
