/* matmul.c - MatMul as numpy.matmul defines it, and com.microsoft's FusedMatMul (transposes and a factor). */
#include "gemm_operand.h"
#include "matrix_product.h"
#include "operator_table.h"
#include "parallel.h"
#include "parameters.h"
#include "prepared.h"

struct matmul_parameters {
    struct md_matrix_view a_view, b_view;
    double alpha;
    const struct md_packed_matrix *packed_b; /* B is a constant matrix */
};

static enum md_code describe(const struct md_invocation *invocation, struct md_matrix_product *out_product)
{
    const struct matmul_parameters *parameters = invocation->parameters;
    return md_matrix_product_of(&md_input(invocation, 0)->shape, parameters->a_view,
                                &md_input(invocation, 1)->shape, parameters->b_view, out_product,
                                invocation->error);
}

static enum md_code matmul_prepare(struct md_invocation *invocation)
{
    struct md_matrix_product product;
    enum md_gemm_type type;
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_expect_tensor(invocation, 1));
    MD_TRY(md_expect_same_datatype(invocation, 0, 1));
    MD_TRY(describe(invocation, &product));
    if (!md_gemm_type_of(md_input(invocation, 0)->datatype, &type))
        return md_fail(invocation->error, MD_UNIMPLEMENTED, "no matrix product of datatype %s",
                       md_datatype_name(md_input(invocation, 0)->datatype));
    MD_TRY(md_output(invocation, 0, md_input(invocation, 0)->datatype, &product.output));
    /* One tall product at most: with fewer rows it wants no more. */
    return md_parallel_gemm_scratch(invocation, type, (size_t)product.a.rows * product.matrices,
                                    (size_t)product.b.columns, (size_t)product.a.columns);
}

static enum md_code matmul_run(struct md_invocation *invocation)
{
    const struct matmul_parameters *parameters = invocation->parameters;
    const struct md_tensor *a = md_input(invocation, 0), *b = md_input(invocation, 1);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    struct md_matrix_product product;
    if (output == NULL || output->count == 0)
        return MD_OK;
    MD_TRY(describe(invocation, &product));
    size_t matrices = product.matrices;
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
    struct md_matrix_walk walk;
    md_matrix_walk_start(&product, &walk);
    for (size_t i = 0; i < matrices; i++) {
        gemm.a.elements = md_element_at(a, (size_t)walk.a_offset);
        if (parameters->packed_b != NULL && parameters->packed_b->type == gemm.type)
            gemm.packed = parameters->packed_b;
        else
            gemm.b.elements = md_element_at(b, (size_t)walk.b_offset);
        gemm.c = md_element_at(output, i * gemm.rows * gemm.columns);
        md_parallel_gemm(invocation, &gemm, invocation->scratch);
        md_matrix_walk_next(&product, &walk);
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
    struct md_matrix_operand operand = md_matrix_operand_of(&b->shape, false, parameters->b_view);
    MD_TRY(md_pack_weight(configuration, b, 0, (size_t)operand.rows, (size_t)operand.columns,
                          (ptrdiff_t)operand.row_stride, (ptrdiff_t)operand.column_stride,
                          &parameters->packed_b));
    if (parameters->packed_b != NULL)
        md_constant_release(configuration, 1);
    return MD_OK;
}

static enum md_code matmul_configure(const struct md_configuration *configuration,
                                     const void **out_parameters)
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
    MD_TRY(read_flag(configuration, "transA", &parameters->a_view.transpose));
    MD_TRY(read_flag(configuration, "transB", &parameters->b_view.transpose));
    MD_TRY(read_flag(configuration, "transBatchA", &parameters->a_view.transpose_batch));
    MD_TRY(read_flag(configuration, "transBatchB", &parameters->b_view.transpose_batch));
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
