/* fused_linear.c - "Linear" of the internal domain, made by graph passes: a product with constant weights, a bias, and
 * an activation, all in one product. Inputs: A [..., K], B [K, N] constant (transB: [N, K]), bias [N] (optional).
 * The precision that the session was asked for decides whether A and B are rounded to BF16 or INT8. */
#include "gemm_operand.h"
#include "operator_table.h"
#include "parallel.h"
#include "parameters.h"
#include "prepared.h"

struct linear_parameters {
    enum md_gemm_activation activation;
    size_t depth, columns;
    const struct md_packed_matrix *packed_b; /* or */
    const struct md_narrow_matrix *narrow_b;
};

static enum md_code pack(const struct md_configuration *configuration, const struct md_tensor *b, bool transpose,
                         struct linear_parameters *parameters)
{
    const ptrdiff_t width = (ptrdiff_t)b->shape.dims[1], row = transpose ? 1 : width, column = transpose ? width : 1;
    const size_t depth = parameters->depth, columns = parameters->columns;
    enum md_narrow_type type;
    if (md_narrow_type_of(configuration, depth, &type))
        return md_pack_narrow_weight(configuration, type, b, 0, depth, columns, row, column, &parameters->narrow_b);
    return md_pack_weight(configuration, b, 0, depth, columns, row, column, &parameters->packed_b);
}

static enum md_code linear_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct linear_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    const struct md_tensor *b = md_constant_input(configuration, 1);
    int64_t transpose;
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_gemm_activation_read(configuration, &parameters->activation));
    MD_TRY(md_attribute_int(configuration->attributes, "transB", 0, &transpose, configuration->error));
    if (b == NULL || b->shape.rank != 2 || b->datatype != MD_FP32)
        return md_fail(configuration->error, MD_INTERNAL, "a pass made a product that has no kernel");
    parameters->depth = (size_t)b->shape.dims[transpose != 0];
    parameters->columns = (size_t)b->shape.dims[transpose == 0];
    *out_parameters = parameters;
    MD_TRY(pack(configuration, b, transpose != 0, parameters));
    if (parameters->packed_b != NULL || parameters->narrow_b != NULL)
        md_constant_release(configuration, 1);
    return MD_OK;
}

static enum md_code request_scratch(struct md_invocation *invocation, const struct linear_parameters *parameters)
{
    const struct md_tensor *a = md_input(invocation, 0);
    size_t size = 0;
    if (parameters->narrow_b == NULL)
        return MD_OK;
    if (!md_narrow_rows_size(parameters->narrow_b->type, a->count / parameters->depth, parameters->depth, &size))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "%zu elements are too many", a->count);
    return md_scratch(invocation, size);
}

static enum md_code linear_prepare(struct md_invocation *invocation)
{
    const struct linear_parameters *parameters = invocation->parameters;
    const struct md_tensor *a = md_input(invocation, 0), *b = md_input(invocation, 1), *bias = md_input(invocation, 2);
    char text_a[MD_SHAPE_TEXT_SIZE], text_b[MD_SHAPE_TEXT_SIZE];
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_expect_rank(invocation, 0, 1, MD_MAX_RANK));
    MD_TRY(md_expect_same_datatype(invocation, 0, 1));
    struct md_shape output = a->shape;
    if ((size_t)a->shape.dims[a->shape.rank - 1] != parameters->depth)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "shapes %s and %s cannot be multiplied",
                       md_shape_text(&a->shape, text_a, sizeof text_a), md_shape_text(&b->shape, text_b, sizeof text_b));
    if (bias != NULL && bias->count != parameters->columns)
        return md_fail(invocation->error, MD_INTERNAL, "a bias of %zu elements for %zu columns", bias->count,
                       parameters->columns);
    output.dims[output.rank - 1] = (int64_t)parameters->columns;
    MD_TRY(md_output(invocation, 0, MD_FP32, &output));
    return request_scratch(invocation, parameters);
}

static void run_narrow(const struct md_invocation *invocation, const float *a, const float *bias, size_t rows, float *c)
{
    const struct linear_parameters *parameters = invocation->parameters;
    struct md_narrow_gemm gemm = {
        .a = { parameters->narrow_b->type, rows, parameters->depth, invocation->scratch },
        .b = parameters->narrow_b,
        .rows = rows,
        .columns = parameters->columns,
        .c = c,
        .c_stride = parameters->columns,
        .column_bias = bias,
        .activation = parameters->activation,
    };
    md_parallel_narrow_gemm(invocation, &gemm, a, parameters->depth);
}

static void run_real(const struct md_invocation *invocation, const float *a, const float *bias, size_t rows, float *c)
{
    const struct linear_parameters *parameters = invocation->parameters;
    struct md_gemm gemm = {
        .type = MD_GEMM_F32,
        .rows = rows,
        .columns = parameters->columns,
        .depth = parameters->depth,
        .a = { a, (ptrdiff_t)parameters->depth, 1 },
        .packed = parameters->packed_b, /* NULL only for depth 0, which reads no B */
        .c = c,
        .c_stride = parameters->columns,
        .finish = { .alpha = 1.0, .column_bias = bias, .activation = parameters->activation },
    };
    md_parallel_gemm(invocation, &gemm, NULL);
}

static enum md_code linear_run(struct md_invocation *invocation)
{
    const struct linear_parameters *parameters = invocation->parameters;
    const struct md_tensor *a = md_input(invocation, 0), *bias = md_input(invocation, 2);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    const size_t rows = output->count / parameters->columns;
    const float *column_bias = bias != NULL ? bias->bytes : NULL;
    if (parameters->narrow_b != NULL)
        run_narrow(invocation, a->bytes, column_bias, rows, output->bytes);
    else
        run_real(invocation, a->bytes, column_bias, rows, output->bytes);
    return MD_OK;
}

const struct md_operator md_operators_fused_linear[] = {
    { MD_INTERNAL_DOMAIN, "Linear", 1, 1, 2, 3, 1, 1, MD_TYPE(MD_FP32), MD_TYPE(MD_FP32), 0, linear_configure,
      linear_prepare, linear_run },
    { 0 },
};
