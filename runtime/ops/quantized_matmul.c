/* quantized_matmul.c - MatMulInteger and QLinearMatMul; com.microsoft's MatMulIntegerToFloat and
 * DynamicQuantizeMatMul. */
#include "float_code.h"
#include "operator_table.h"
#include "quantized_product.h"
#include "requantize.h"

#include <math.h>

enum {
    TYPES_BYTE = (1 << MD_INT8) | (1 << MD_UINT8),
    TYPES_CODE = TYPES_BYTE | MD_TYPES_FP8,
};

/* Which inputs of an operator are what; -1: it has none. */
struct operand_inputs {
    int a, a_scale, a_zero_point, b, b_scale, b_zero_point;
};
static const struct operand_inputs integer_inputs = { 0, -1, 2, 1, -1, 3 };
static const struct operand_inputs linear_inputs = { 0, 1, 2, 3, 4, 5 };
static const struct operand_inputs to_float_inputs = { 0, 2, 4, 1, 3, 5 };
static const struct operand_inputs dynamic_inputs = { 0, -1, -1, 1, 2, 3 };

struct call {
    struct md_matrix_product product;
    struct md_quantized_operand a, b;
    struct md_quantized_axis a_scale, b_scale;
};

static size_t matrix_count(const struct md_matrix_operand *operand)
{
    return md_shape_product(&operand->batch, 0, operand->batch.rank);
}

static enum md_code open_axis(struct md_invocation *invocation, int input, size_t extent, size_t matrices,
                              struct md_quantized_axis *out_axis)
{
    *out_axis = (struct md_quantized_axis){ .tensor = NULL };
    return input < 0 ? MD_OK : md_quantized_axis_open(invocation, (size_t)input, extent, matrices, out_axis);
}

static enum md_code open_call(struct md_invocation *invocation, const struct operand_inputs *inputs,
                              struct call *out_call)
{
    static const struct md_matrix_view plain = { false, false };
    struct call call = { .a.codes = md_input(invocation, (size_t)inputs->a),
                         .b.codes = md_input(invocation, (size_t)inputs->b) };
    MD_TRY(md_matrix_product_of(&call.a.codes->shape, plain, &call.b.codes->shape, plain, &call.product,
                                invocation->error));
    size_t rows = (size_t)call.product.a.rows, columns = (size_t)call.product.b.columns;
    size_t a_matrices = matrix_count(&call.product.a), b_matrices = matrix_count(&call.product.b);
    MD_TRY(open_axis(invocation, inputs->a_zero_point, rows, a_matrices, &call.a.zero_point));
    MD_TRY(open_axis(invocation, inputs->a_scale, rows, a_matrices, &call.a_scale));
    MD_TRY(open_axis(invocation, inputs->b_zero_point, columns, b_matrices, &call.b.zero_point));
    MD_TRY(open_axis(invocation, inputs->b_scale, columns, b_matrices, &call.b_scale));
    *out_call = call;
    return MD_OK;
}

/* Types and presence; then the product. FP8 goes with FP8 only. */
static enum md_code prepare_call(struct md_invocation *invocation, const struct operand_inputs *inputs,
                                 unsigned types, struct call *out_call)
{
    MD_TRY(md_expect_tensor(invocation, (size_t)inputs->a));
    MD_TRY(md_expect_tensor(invocation, (size_t)inputs->b));
    MD_TRY(md_expect_datatype(invocation, (size_t)inputs->b, types));
    if (inputs->a_zero_point >= 0)
        MD_TRY(md_expect_same_datatype(invocation, (size_t)inputs->a, (size_t)inputs->a_zero_point));
    MD_TRY(md_expect_same_datatype(invocation, (size_t)inputs->b, (size_t)inputs->b_zero_point));
    if (inputs->a_scale >= 0) {
        MD_TRY(md_expect_tensor(invocation, (size_t)inputs->a_scale));
        MD_TRY(md_expect_datatype(invocation, (size_t)inputs->a_scale, MD_TYPES_FLOAT));
    }
    if (inputs->b_scale >= 0) {
        MD_TRY(md_expect_tensor(invocation, (size_t)inputs->b_scale));
        MD_TRY(md_expect_datatype(invocation, (size_t)inputs->b_scale, MD_TYPES_FLOAT));
    }
    MD_TRY(open_call(invocation, inputs, out_call));
    bool real_a = md_datatype_in(out_call->a.codes->datatype, MD_TYPES_FP8 | MD_TYPES_FLOAT);
    if (md_datatype_in(out_call->a.codes->datatype, MD_TYPES_FLOAT) ||
        real_a == md_datatype_in(out_call->b.codes->datatype, MD_TYPES_FP8))
        return MD_OK;
    return md_fail(invocation->error, MD_INVALID_ARGUMENT, "%s cannot be multiplied by %s",
                   md_datatype_name(out_call->a.codes->datatype),
                   md_datatype_name(out_call->b.codes->datatype));
}

static float scale_at(const struct md_quantized_axis *axis, size_t matrix, size_t index)
{
    return axis->tensor == NULL
               ? 1.0f
               : (float)md_tensor_double(axis->tensor, matrix * axis->matrix_step + index * axis->step);
}

static size_t matrix_index(const struct md_matrix_operand *operand, int64_t offset)
{
    size_t elements = (size_t)operand->rows * (size_t)operand->columns;
    return elements == 0 ? 0 : (size_t)offset / elements;
}

/* sums, INT32 or FP32, become floats in place: sum * a_scale * b_scale * factor + bias. */
static void scale_sums(const struct call *call, const struct md_matrix_walk *walk, float factor,
                       const struct md_tensor *bias, void *sums)
{
    bool whole = md_quantized_type(call->b.codes) == MD_GEMM_I32;
    size_t a_matrix = matrix_index(&call->product.a, walk->a_offset);
    size_t b_matrix = matrix_index(&call->product.b, walk->b_offset);
    size_t columns = (size_t)call->product.b.columns;
    for (size_t r = 0; r < (size_t)call->product.a.rows; r++) {
        float a_scale = scale_at(&call->a_scale, a_matrix, r);
        for (size_t j = 0; j < columns; j++) {
            unsigned char *element = (unsigned char *)sums + (r * columns + j) * sizeof(float);
            int32_t integer;
            float value;
            memcpy(&integer, element, sizeof integer);
            memcpy(&value, element, sizeof value);
            value =
                (whole ? (float)integer : value) * (a_scale * scale_at(&call->b_scale, b_matrix, j) * factor);
            if (bias != NULL)
                value += (float)md_tensor_double(bias, j);
            memcpy(element, &value, sizeof value);
        }
    }
}

static enum md_code request_scratch(struct md_invocation *invocation, const struct call *call, size_t more)
{
    size_t size;
    if (!md_quantized_scratch(&call->product, md_quantized_type(call->b.codes), &size) ||
        __builtin_add_overflow(size, more, &size))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "matrices of %lld rows are too large",
                       (long long)call->product.a.rows);
    return md_scratch(invocation, size);
}

/* ---- MatMulInteger ---- */
static enum md_code integer_prepare(struct md_invocation *invocation)
{
    struct call call;
    MD_TRY(prepare_call(invocation, &integer_inputs, TYPES_BYTE, &call));
    MD_TRY(md_output(invocation, 0, MD_INT32, &call.product.output));
    return request_scratch(invocation, &call, 0);
}

static enum md_code integer_run(struct md_invocation *invocation)
{
    struct md_tensor *output = md_output_tensor(invocation, 0);
    struct md_matrix_walk walk;
    struct call call;
    MD_TRY(open_call(invocation, &integer_inputs, &call));
    if (output == NULL || output->count == 0)
        return MD_OK;
    size_t matrix = (size_t)call.product.a.rows * (size_t)call.product.b.columns;
    md_matrix_walk_start(&call.product, &walk);
    for (size_t i = 0; i < call.product.matrices; i++) {
        md_quantized_multiply(&call.product, &walk, &call.a, &call.b, invocation->scratch,
                              md_elements(int32_t, output) + i * matrix);
        md_matrix_walk_next(&call.product, &walk);
    }
    return MD_OK;
}

/* ---- QLinearMatMul ---- */
enum { LINEAR_Y_SCALE = 6, LINEAR_Y_ZERO_POINT = 7 };

static enum md_code expect_one(struct md_invocation *invocation, size_t input)
{
    MD_TRY(md_expect_tensor(invocation, input));
    size_t count = md_input(invocation, input)->count;
    return count == 1 ? MD_OK
                      : md_fail(invocation->error, MD_INVALID_ARGUMENT,
                                "input %zu has %zu elements, expected 1", input, count);
}

static bool sums_size(const struct call *call, size_t *out_size)
{
    return !__builtin_mul_overflow((size_t)call->product.a.rows, (size_t)call->product.b.columns, out_size) &&
           !__builtin_mul_overflow(*out_size, sizeof(float), out_size) &&
           !__builtin_add_overflow(*out_size, 63, out_size) && ((*out_size &= ~(size_t)63), true);
}

static enum md_code linear_prepare(struct md_invocation *invocation)
{
    struct call call;
    size_t sums;
    MD_TRY(prepare_call(invocation, &linear_inputs, TYPES_CODE, &call));
    MD_TRY(expect_one(invocation, LINEAR_Y_SCALE));
    MD_TRY(expect_one(invocation, LINEAR_Y_ZERO_POINT));
    MD_TRY(md_expect_datatype(invocation, LINEAR_Y_SCALE, MD_TYPES_FLOAT));
    MD_TRY(md_expect_datatype(invocation, LINEAR_Y_ZERO_POINT, TYPES_CODE));
    MD_TRY(
        md_output(invocation, 0, md_input(invocation, LINEAR_Y_ZERO_POINT)->datatype, &call.product.output));
    if (!sums_size(&call, &sums))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "matrices of %lld rows are too large",
                       (long long)call.product.a.rows);
    return request_scratch(invocation, &call, sums);
}

static enum md_code linear_run(struct md_invocation *invocation)
{
    struct md_tensor *output = md_output_tensor(invocation, 0);
    struct md_matrix_walk walk;
    struct call call;
    size_t sums_bytes;
    MD_TRY(open_call(invocation, &linear_inputs, &call));
    if (output == NULL || output->count == 0)
        return MD_OK;
    (void)sums_size(&call, &sums_bytes); /* held in prepare */
    void *sums = invocation->scratch;
    size_t matrix = (size_t)call.product.a.rows * (size_t)call.product.b.columns;
    float factor = 1.0f / (float)md_tensor_double(md_input(invocation, LINEAR_Y_SCALE), 0);
    md_matrix_walk_start(&call.product, &walk);
    for (size_t i = 0; i < call.product.matrices; i++) {
        md_quantized_multiply(&call.product, &walk, &call.a, &call.b, (unsigned char *)sums + sums_bytes,
                              sums);
        scale_sums(&call, &walk, factor, NULL, sums);
        md_requantize(sums, matrix, md_input(invocation, LINEAR_Y_ZERO_POINT), output, i * matrix);
        md_matrix_walk_next(&call.product, &walk);
    }
    return MD_OK;
}

/* ---- to FP32 ---- */
static enum md_code check_bias(struct md_invocation *invocation, size_t input, const struct call *call)
{
    const struct md_tensor *bias = md_input(invocation, input);
    MD_TRY(md_expect_datatype(invocation, input, MD_TYPES_FLOAT));
    if (bias == NULL || bias->count == (size_t)call->product.b.columns)
        return MD_OK;
    return md_fail(invocation->error, MD_INVALID_ARGUMENT, "bias has %zu elements, B has %lld columns",
                   bias->count, (long long)call->product.b.columns);
}

static enum md_code to_float_prepare(struct md_invocation *invocation)
{
    struct call call;
    MD_TRY(prepare_call(invocation, &to_float_inputs, TYPES_BYTE, &call));
    MD_TRY(md_expect_datatype(invocation, 2, MD_TYPE(MD_FP32)));
    MD_TRY(check_bias(invocation, 6, &call));
    MD_TRY(md_output(invocation, 0, MD_FP32, &call.product.output));
    return request_scratch(invocation, &call, 0);
}

static enum md_code to_float_run(struct md_invocation *invocation)
{
    struct md_tensor *output = md_output_tensor(invocation, 0);
    struct md_matrix_walk walk;
    struct call call;
    MD_TRY(open_call(invocation, &to_float_inputs, &call));
    if (output == NULL || output->count == 0)
        return MD_OK;
    size_t matrix = (size_t)call.product.a.rows * (size_t)call.product.b.columns;
    md_matrix_walk_start(&call.product, &walk);
    for (size_t i = 0; i < call.product.matrices; i++) {
        float *sums = md_elements(float, output) + i * matrix;
        md_quantized_multiply(&call.product, &walk, &call.a, &call.b, invocation->scratch, sums);
        scale_sums(&call, &walk, 1.0f, md_input(invocation, 6), sums);
        md_matrix_walk_next(&call.product, &walk);
    }
    return MD_OK;
}

/* ---- DynamicQuantizeMatMul: A is quantized to UINT8 by the range of all its elements, 0 included ---- */
static enum md_code dynamic_prepare(struct md_invocation *invocation)
{
    struct call call;
    MD_TRY(prepare_call(invocation, &dynamic_inputs, TYPES_BYTE, &call));
    MD_TRY(check_bias(invocation, 4, &call));
    MD_TRY(md_output(invocation, 0, MD_FP32, &call.product.output));
    return request_scratch(invocation, &call, 0);
}

struct range {
    float scale, zero;
};

static struct range range_of(const struct md_tensor *tensor)
{
    const float *values = md_elements(const float, tensor);
    float low = 0, high = 0;
    for (size_t i = 0; i < tensor->count; i++) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
    }
    struct range range = { high == low ? 1.0f : (high - low) / 255.0f, 0 };
    float zero = rintf(-low / range.scale);
    range.zero = zero > 255.0f ? 255.0f : zero > 0.0f ? zero : 0.0f;
    return range;
}

static void quantize_rows(const float *values, size_t count, struct range range, int32_t *out_centered)
{
    for (size_t i = 0; i < count; i++) {
        float code = rintf(values[i] / range.scale) + range.zero;
        out_centered[i] = (int32_t)((code > 255.0f ? 255.0f : code > 0.0f ? code : 0.0f) - range.zero);
    }
}

static enum md_code dynamic_run(struct md_invocation *invocation)
{
    struct md_tensor *output = md_output_tensor(invocation, 0);
    struct md_matrix_walk walk;
    struct call call;
    MD_TRY(open_call(invocation, &dynamic_inputs, &call));
    if (output == NULL || output->count == 0)
        return MD_OK;
    size_t rows = (size_t)call.product.a.rows, depth = (size_t)call.product.a.columns;
    size_t matrix = rows * (size_t)call.product.b.columns, workspace;
    struct range range = range_of(call.a.codes);
    workspace = (rows * depth * sizeof(int32_t) + 63) & ~(size_t)63; /* as md_quantized_scratch has it */
    md_matrix_walk_start(&call.product, &walk);
    for (size_t i = 0; i < call.product.matrices; i++) {
        float *sums = md_elements(float, output) + i * matrix;
        quantize_rows(md_elements(const float, call.a.codes) + walk.a_offset, rows * depth, range,
                      invocation->scratch);
        md_quantized_multiply_centered(&call.product, &walk, invocation->scratch, &call.b,
                                       (unsigned char *)invocation->scratch + workspace, sums);
        scale_sums(&call, &walk, range.scale, md_input(invocation, 4), sums);
        md_matrix_walk_next(&call.product, &walk);
    }
    return MD_OK;
}

const struct md_operator md_operators_quantized_matmul[] = {
    { MD_ONNX, "MatMulInteger", 10, MD_OPSET_NEWEST, 2, 4, 1, 1, TYPES_BYTE, 0, 0, NULL, integer_prepare,
      integer_run },
    { MD_ONNX, "QLinearMatMul", 10, 20, 8, 8, 1, 1, TYPES_BYTE, 0, 0, NULL, linear_prepare, linear_run },
    { MD_ONNX, "QLinearMatMul", 21, MD_OPSET_NEWEST, 8, 8, 1, 1, TYPES_CODE, 0, 0, NULL, linear_prepare,
      linear_run },
    { MD_MICROSOFT, "DynamicQuantizeMatMul", 1, MD_OPSET_MICROSOFT, 3, 5, 1, 1, MD_TYPE(MD_FP32), 0, 0, NULL,
      dynamic_prepare, dynamic_run },
    { MD_MICROSOFT, "MatMulIntegerToFloat", 1, MD_OPSET_MICROSOFT, 4, 7, 1, 1, TYPES_BYTE, 0, 0, NULL,
      to_float_prepare, to_float_run },
    { 0 },
};
