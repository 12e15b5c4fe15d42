/* quantized_matmul.c - MatMulInteger and QLinearMatMul; com.microsoft's MatMulIntegerToFloat, which graph passes
 * make with an activation as "QuantizedLinear", and DynamicQuantizeMatMul. A constant B meets quantized_weight.h,
 * any other B quantized_product.h. */
#include "checked.h"
#include "dynamic_range.h"
#include "float_code.h"
#include "gemm_operand.h"
#include "operator_table.h"
#include "parallel.h"
#include "parameters.h"
#include "quantized_product.h"
#include "quantized_weight.h"
#include "requantize.h"

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

struct quantized_parameters {
    struct md_quantized_weight weight;
    enum md_gemm_activation activation;
};

static enum md_code configure(const struct md_configuration *configuration, const struct operand_inputs *inputs,
                              const void **out_parameters)
{
    struct quantized_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    MD_TRY(md_gemm_activation_read(configuration, &parameters->activation));
    return md_quantized_weight_pack(configuration, inputs->b, inputs->b_zero_point, inputs->b_scale,
                                    &parameters->weight);
}

#define CONFIGURE(kind)                                                                                      \
    static enum md_code kind##_configure(const struct md_configuration *configuration, const void **out_parameters) \
    {                                                                                                        \
        return configure(configuration, &kind##_inputs, out_parameters);                                     \
    }

CONFIGURE(integer)
CONFIGURE(linear)
CONFIGURE(to_float)
CONFIGURE(dynamic)

struct call {
    const struct md_narrow_matrix *packed; /* B, or NULL */
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
    const struct md_quantized_weight *weight = &((const struct quantized_parameters *)invocation->parameters)->weight;
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
    if (weight->has_zero_point == (call.b.zero_point.tensor != NULL))
        call.packed = weight->packed;
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

/* For the product of one matrix, or of all of them with a packed B; `more` bytes lie before it. */
static enum md_code request_scratch(struct md_invocation *invocation, const struct call *call, size_t more)
{
    const size_t depth = (size_t)call->product.a.columns;
    size_t size;
    bool fits = call->packed == NULL ?
                    md_quantized_scratch(&call->product, md_quantized_type(call->b.codes), &size) :
                    md_narrow_rows_size(MD_NARROW_INT8, call->a.codes->count / depth, depth, &size);
    if (!fits || !md_checked_add(size, more, &size))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "matrices of %lld rows are too large",
                       (long long)call->product.a.rows);
    return md_scratch(invocation, size);
}

static struct md_quantized_rows rows_of(const struct call *call)
{
    const struct md_tensor *codes = call->a.codes;
    return (struct md_quantized_rows){
        .codes = codes->bytes,
        .is_unsigned = codes->datatype == MD_UINT8,
        .rows = codes->count / call->packed->depth,
        .matrix_rows = (size_t)call->product.a.rows,
        .zero_point = call->a.zero_point,
        .scale = call->a_scale,
    };
}

/* Rows of A times a packed B; the caller sets the finish. */
static struct md_narrow_gemm packed_product(const struct call *call, size_t rows, void *buffer, void *c)
{
    return (struct md_narrow_gemm){
        .a = { MD_NARROW_INT8, rows, call->packed->depth, buffer },
        .b = call->packed,
        .rows = rows,
        .columns = call->packed->columns,
        .c = c,
        .c_stride = call->packed->columns,
        .integer = true,
    };
}

/* The sums of the walk's current matrix. */
static void multiply(const struct md_invocation *invocation, const struct call *call, const struct md_matrix_walk *walk,
                     void *scratch, void *sums)
{
    if (call->packed == NULL) {
        md_quantized_multiply(&call->product, walk, &call->a, &call->b, scratch, sums);
        return;
    }
    const struct md_quantized_rows rows = rows_of(call);
    const struct md_narrow_gemm gemm = packed_product(call, rows.matrix_rows, scratch, sums);
    md_quantized_weight_multiply(invocation, &rows, (size_t)walk->a_offset / call->packed->depth, &gemm);
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
    if (call.packed != NULL) {
        const struct md_quantized_rows rows = rows_of(&call);
        const struct md_narrow_gemm gemm = packed_product(&call, rows.rows, invocation->scratch, output->bytes);
        md_quantized_weight_multiply(invocation, &rows, 0, &gemm);
        return MD_OK;
    }
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
        multiply(invocation, &call, &walk, (unsigned char *)sums + sums_bytes, sums);
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

/* With a packed B: can the product scale its sums and add the bias? */
static bool is_finished_by_product(const struct md_invocation *invocation, size_t bias_input)
{
    const struct quantized_parameters *parameters = invocation->parameters;
    const struct md_tensor *bias = md_input(invocation, bias_input);
    return parameters->weight.column_scales != NULL && (bias == NULL || bias->datatype == MD_FP32);
}

static void finish_with_product(const struct md_invocation *invocation, size_t bias_input, struct md_narrow_gemm *gemm)
{
    const struct quantized_parameters *parameters = invocation->parameters;
    const struct md_tensor *bias = md_input(invocation, bias_input);
    gemm->integer = false;
    gemm->column_scales = parameters->weight.column_scales;
    gemm->column_bias = bias == NULL ? NULL : bias->bytes;
    gemm->activation = parameters->activation;
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

/* Where the product did not. */
static void activate(const struct md_invocation *invocation, struct md_tensor *output)
{
    const struct quantized_parameters *parameters = invocation->parameters;
    float *values = md_elements(float, output);
    if (parameters->activation == MD_GEMM_RELU)
        for (size_t i = 0; i < output->count; i++)
            values[i] = values[i] <= 0.0f ? 0.0f : values[i];
    else if (parameters->activation != MD_GEMM_LINEAR)
        md_vector_loops()->map(parameters->activation == MD_GEMM_GELU      ? MD_MAP_GELU :
                               parameters->activation == MD_GEMM_GELU_TANH ? MD_MAP_GELU_TANH :
                                                                             MD_MAP_TANH,
                               output->count, values, values);
}

static void real_product(const struct md_invocation *invocation, const struct call *call, size_t bias_input,
                         void *scratch, struct md_tensor *output)
{
    const size_t matrix = (size_t)call->product.a.rows * (size_t)call->product.b.columns;
    struct md_matrix_walk walk;
    if (call->packed != NULL && is_finished_by_product(invocation, bias_input)) {
        const struct md_quantized_rows rows = rows_of(call);
        struct md_narrow_gemm gemm = packed_product(call, rows.rows, scratch, output->bytes);
        finish_with_product(invocation, bias_input, &gemm);
        md_quantized_weight_multiply(invocation, &rows, 0, &gemm);
        return;
    }
    md_matrix_walk_start(&call->product, &walk);
    for (size_t i = 0; i < call->product.matrices; i++) {
        float *sums = md_elements(float, output) + i * matrix;
        multiply(invocation, call, &walk, scratch, sums);
        scale_sums(call, &walk, 1.0f, md_input(invocation, bias_input), sums);
        md_matrix_walk_next(&call->product, &walk);
    }
    activate(invocation, output);
}

static enum md_code to_float_run(struct md_invocation *invocation)
{
    struct md_tensor *output = md_output_tensor(invocation, 0);
    struct call call;
    MD_TRY(open_call(invocation, &to_float_inputs, &call));
    if (output != NULL && output->count > 0)
        real_product(invocation, &call, 6, invocation->scratch, output);
    return MD_OK;
}

/* ---- DynamicQuantizeMatMul: A is quantized to UINT8 by the range of all its elements, 0 included ---- */
static bool codes_size(const struct call *call, size_t *out_size)
{
    return md_checked_add(call->a.codes->count, 63, out_size) && ((*out_size &= ~(size_t)63), true);
}

static enum md_code dynamic_prepare(struct md_invocation *invocation)
{
    struct call call;
    size_t codes;
    MD_TRY(prepare_call(invocation, &dynamic_inputs, TYPES_BYTE, &call));
    MD_TRY(check_bias(invocation, 4, &call));
    MD_TRY(md_output(invocation, 0, MD_FP32, &call.product.output));
    if (!codes_size(&call, &codes))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "%zu elements are too many", call.a.codes->count);
    return request_scratch(invocation, &call, codes);
}

static enum md_code dynamic_run(struct md_invocation *invocation)
{
    struct md_tensor *output = md_output_tensor(invocation, 0);
    struct call call;
    size_t size;
    MD_TRY(open_call(invocation, &dynamic_inputs, &call));
    if (output == NULL || output->count == 0)
        return MD_OK;
    (void)codes_size(&call, &size); /* held in prepare */
    const struct md_tensor *a = call.a.codes;
    struct md_dynamic_range range = md_dynamic_range_of(a->count, md_elements(const float, a));
    uint8_t zero_point = (uint8_t)range.zero_point;
    md_dynamic_codes(invocation, range, a->count, md_elements(const float, a), invocation->scratch);
    const struct md_tensor zero = { .datatype = MD_UINT8, .count = 1, .bytes = &zero_point };
    const struct md_tensor scale = { .datatype = MD_FP32, .count = 1, .bytes = &range.scale };
    struct md_tensor codes = *a;
    codes.datatype = MD_UINT8;
    codes.bytes = invocation->scratch;
    call.a = (struct md_quantized_operand){ &codes, { .tensor = &zero } };
    call.a_scale = (struct md_quantized_axis){ .tensor = &scale };
    real_product(invocation, &call, 4, (unsigned char *)invocation->scratch + size, output);
    return MD_OK;
}

const struct md_operator md_operators_quantized_matmul[] = {
    { MD_ONNX, "MatMulInteger", 10, MD_OPSET_NEWEST, 2, 4, 1, 1, TYPES_BYTE, 0, 0, integer_configure, integer_prepare,
      integer_run },
    { MD_ONNX, "QLinearMatMul", 10, 20, 8, 8, 1, 1, TYPES_BYTE, 0, 0, linear_configure, linear_prepare, linear_run },
    { MD_ONNX, "QLinearMatMul", 21, MD_OPSET_NEWEST, 8, 8, 1, 1, TYPES_CODE, 0, 0, linear_configure, linear_prepare,
      linear_run },
    { MD_MICROSOFT, "DynamicQuantizeMatMul", 1, MD_OPSET_MICROSOFT, 3, 5, 1, 1, MD_TYPE(MD_FP32), 0, 0,
      dynamic_configure, dynamic_prepare, dynamic_run },
    { MD_MICROSOFT, "MatMulIntegerToFloat", 1, MD_OPSET_MICROSOFT, 4, 7, 1, 1, TYPES_BYTE, 0, 0, to_float_configure,
      to_float_prepare, to_float_run },
    { MD_INTERNAL_DOMAIN, "QuantizedLinear", 1, 1, 4, 7, 1, 1, TYPES_BYTE, 0, 0, to_float_configure, to_float_prepare,
      to_float_run },
    { 0 },
};
