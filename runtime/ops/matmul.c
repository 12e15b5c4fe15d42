/* matmul.c - MatMul as numpy.matmul defines it, and com.microsoft's FusedMatMul (transposes and a factor). */
#include "gemm_operand.h"
#include "operator_table.h"
#include "parameters.h"

struct matmul_parameters {
    bool transpose_a, transpose_b;
    bool transpose_batch_a, transpose_batch_b; /* the first dimension is moved behind the batch dimensions */
    double alpha;
    const struct md_packed_matrix *packed_b;   /* B is a constant matrix */
};

/* One operand as a stack of matrices. */
struct operand {
    struct md_shape batch;
    int64_t batch_strides[MD_MAX_RANK];
    int64_t rows, columns;
    int64_t row_stride, column_stride;
    bool vector; /* its 1 does not appear in the output */
    bool dense;  /* rows of all matrices follow one another */
};

struct product {
    struct operand a, b;
    struct md_shape batch; /* of the output */
    struct md_shape output;
};

static void swap(int64_t *a, int64_t *b)
{
    int64_t kept = *a;
    *a = *b;
    *b = kept;
}

static struct operand describe(const struct md_tensor *tensor, bool left, bool transpose, bool transpose_batch)
{
    struct md_shape shape = tensor->shape;
    int64_t strides[MD_MAX_RANK];
    struct operand operand = { .vector = shape.rank == 1, .dense = !transpose && !transpose_batch };
    if (operand.vector) {
        operand.dense = true;
        operand.rows = left ? 1 : shape.dims[0];
        operand.columns = left ? shape.dims[0] : 1;
        operand.row_stride = left ? shape.dims[0] : 1;
        operand.column_stride = 1;
        return operand;
    }
    md_shape_strides(&shape, strides);
    if (transpose_batch)
        for (int32_t i = 0; i + 2 < shape.rank; i++) {
            swap(&shape.dims[i], &shape.dims[i + 1]);
            swap(&strides[i], &strides[i + 1]);
        }
    int32_t row = shape.rank - 2, column = shape.rank - 1;
    if (transpose) {
        swap(&shape.dims[row], &shape.dims[column]);
        swap(&strides[row], &strides[column]);
    }
    operand.rows = shape.dims[row];
    operand.columns = shape.dims[column];
    operand.row_stride = strides[row];
    operand.column_stride = strides[column];
    operand.batch.rank = row;
    for (int32_t i = 0; i < row; i++) {
        operand.batch.dims[i] = shape.dims[i];
        operand.batch_strides[i] = strides[i];
    }
    return operand;
}

static enum md_code describe_product(const struct md_invocation *invocation, struct product *out_product)
{
    const struct matmul_parameters *parameters = invocation->parameters;
    const struct md_tensor *a = md_input(invocation, 0), *b = md_input(invocation, 1);
    struct product product = {
        .a = describe(a, true, parameters->transpose_a, parameters->transpose_batch_a),
        .b = describe(b, false, parameters->transpose_b, parameters->transpose_batch_b),
    };
    char text_a[MD_SHAPE_TEXT_SIZE], text_b[MD_SHAPE_TEXT_SIZE];
    if (product.a.columns != product.b.rows || !md_shape_broadcast(&product.a.batch, &product.b.batch, &product.batch))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "shapes %s and %s cannot be multiplied",
                       md_shape_text(&a->shape, text_a, sizeof text_a),
                       md_shape_text(&b->shape, text_b, sizeof text_b));
    product.output = product.batch;
    if (!product.a.vector)
        product.output.dims[product.output.rank++] = product.a.rows;
    if (!product.b.vector)
        product.output.dims[product.output.rank++] = product.b.columns;
    *out_product = product;
    return MD_OK;
}

static enum md_code matmul_prepare(struct md_invocation *invocation)
{
    struct product product;
    enum md_gemm_type type;
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_expect_tensor(invocation, 1));
    MD_TRY(md_expect_rank(invocation, 0, 1, MD_MAX_RANK));
    MD_TRY(md_expect_rank(invocation, 1, 1, MD_MAX_RANK));
    MD_TRY(md_expect_same_datatype(invocation, 0, 1));
    MD_TRY(describe_product(invocation, &product));
    if (!md_gemm_type_of(md_input(invocation, 0)->datatype, &type))
        return md_fail(invocation->error, MD_UNIMPLEMENTED, "no matrix product of datatype %s",
                       md_datatype_name(md_input(invocation, 0)->datatype));
    MD_TRY(md_output(invocation, 0, md_input(invocation, 0)->datatype, &product.output));
    return md_scratch(invocation, md_gemm_workspace(type, (size_t)product.a.columns));
}

/* Offsets of one matrix after the other in A and B, in the order of the output's batch. */
struct batch_walk {
    int64_t index[MD_MAX_RANK];
    int64_t a_strides[MD_MAX_RANK], b_strides[MD_MAX_RANK];
    int64_t a_offset, b_offset;
};

static void set_strides(const struct operand *operand, const struct md_shape *batch, int64_t *out_strides)
{
    int32_t missing = batch->rank - operand->batch.rank;
    for (int32_t i = 0; i < batch->rank; i++)
        out_strides[i] = i < missing || operand->batch.dims[i - missing] == 1 ? 0 : operand->batch_strides[i - missing];
}

static void next_matrix(struct batch_walk *walk, const struct md_shape *batch)
{
    for (int32_t i = batch->rank - 1; i >= 0; i--) {
        walk->a_offset += walk->a_strides[i];
        walk->b_offset += walk->b_strides[i];
        if (++walk->index[i] < batch->dims[i])
            return;
        walk->a_offset -= walk->a_strides[i] * batch->dims[i];
        walk->b_offset -= walk->b_strides[i] * batch->dims[i];
        walk->index[i] = 0;
    }
}

static enum md_code matmul_run(struct md_invocation *invocation)
{
    const struct matmul_parameters *parameters = invocation->parameters;
    const struct md_tensor *a = md_input(invocation, 0), *b = md_input(invocation, 1);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    struct product product;
    if (output == NULL || output->count == 0)
        return MD_OK;
    MD_TRY(describe_product(invocation, &product));
    size_t matrices = md_shape_product(&product.batch, 0, product.batch.rank);
    struct md_gemm gemm = {
        .rows = (size_t)product.a.rows,
        .columns = (size_t)product.b.columns,
        .depth = (size_t)product.a.columns,
        .a = { NULL, (ptrdiff_t)product.a.row_stride, (ptrdiff_t)product.a.column_stride },
        .b = { NULL, (ptrdiff_t)product.b.row_stride, (ptrdiff_t)product.b.column_stride },
        .c_stride = (size_t)product.b.columns,
        .finish.alpha = parameters->alpha,
    };
    (void)md_gemm_type_of(a->datatype, &gemm.type); /* prepare has seen that it is one */
    if (md_shape_product(&product.b.batch, 0, product.b.batch.rank) == 1 && product.a.dense) {
        gemm.rows *= matrices; /* one B for all: one tall product */
        matrices = 1;
    }
    struct batch_walk walk = { .a_offset = 0 };
    set_strides(&product.a, &product.batch, walk.a_strides);
    set_strides(&product.b, &product.batch, walk.b_strides);
    for (size_t i = 0; i < matrices; i++) {
        gemm.a.elements = md_element_at(a, (size_t)walk.a_offset);
        if (parameters->packed_b != NULL && parameters->packed_b->type == gemm.type)
            gemm.packed = parameters->packed_b;
        else
            gemm.b.elements = md_element_at(b, (size_t)walk.b_offset);
        gemm.c = md_element_at(output, i * gemm.rows * gemm.columns);
        md_gemm(&gemm, invocation->scratch);
        next_matrix(&walk, &product.batch);
    }
    return MD_OK;
}

static enum md_code read_flag(const struct md_configuration *configuration, const char *name, bool *out_flag)
{
    int64_t value = 0;
    MD_TRY(md_attribute_int(configuration->attributes, name, 0, &value, configuration->error));
    *out_flag = value != 0;
    return MD_OK;
}

static enum md_code pack_b(const struct md_configuration *configuration, struct matmul_parameters *parameters)
{
    const struct md_tensor *b = md_constant_input(configuration, 1);
    if (b == NULL || b->shape.rank != 2)
        return MD_OK;
    struct operand operand = describe(b, false, parameters->transpose_b, false);
    return md_pack_weight(configuration, b, 0, (size_t)operand.rows, (size_t)operand.columns,
                          (ptrdiff_t)operand.row_stride, (ptrdiff_t)operand.column_stride, &parameters->packed_b);
}

static enum md_code matmul_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct matmul_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    parameters->alpha = 1.0;
    *out_parameters = parameters;
    return pack_b(configuration, parameters);
}

static enum md_code fused_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    float alpha = 1.0f;
    struct matmul_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(read_flag(configuration, "transA", &parameters->transpose_a));
    MD_TRY(read_flag(configuration, "transB", &parameters->transpose_b));
    MD_TRY(read_flag(configuration, "transBatchA", &parameters->transpose_batch_a));
    MD_TRY(read_flag(configuration, "transBatchB", &parameters->transpose_batch_b));
    MD_TRY(md_attribute_float(configuration->attributes, "alpha", 1.0f, &alpha, configuration->error));
    parameters->alpha = (double)alpha;
    *out_parameters = parameters;
    return pack_b(configuration, parameters);
}

#define TYPES                                                                                                \
    (MD_TYPES_FLOAT | MD_TYPE(MD_INT32) | MD_TYPE(MD_UINT32) | MD_TYPE(MD_INT64) | MD_TYPE(MD_UINT64))
#define NATIVE (TYPES & ~(MD_TYPE(MD_FP16) | MD_TYPE(MD_BF16)))

const struct md_operator md_operators_matmul[] = {
    { MD_ONNX, "MatMul", 1, MD_OPSET_NEWEST, 2, 2, 1, 1, TYPES, NATIVE, 0, matmul_configure, matmul_prepare,
      matmul_run },
    { MD_MICROSOFT, "FusedMatMul", 1, MD_OPSET_MICROSOFT, 2, 2, 1, 1, MD_TYPES_FLOAT,
      MD_TYPE(MD_FP32) | MD_TYPE(MD_FP64), 0, fused_configure, matmul_prepare, matmul_run },
    { MD_MICROSOFT, "TransposeMatMul", 1, MD_OPSET_MICROSOFT, 2, 2, 1, 1, MD_TYPES_FLOAT,
      MD_TYPE(MD_FP32) | MD_TYPE(MD_FP64), 0, fused_configure, matmul_prepare, matmul_run },
    { 0 },
};
