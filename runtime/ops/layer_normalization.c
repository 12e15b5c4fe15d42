/* layer_normalization.c - LayerNormalization, SimplifiedLayerNormalization, RMSNormalization.
 *
 * Optimisers write LayerNormalization and SimplifiedLayerNormalization into the default domain of models of any opset,
 * so those rows start at 1. */
#include "elementwise.h"
#include "operator_table.h"

#include "parallel.h"
#include "parameters.h"
#include "row_normalization.h"
#include "vector_loops.h"

struct layer_parameters {
    int64_t axis;
    float epsilon;
};

static enum md_code layer_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct layer_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_attribute_int(configuration->attributes, "axis", -1, &parameters->axis, configuration->error));
    MD_TRY(md_attribute_float(configuration->attributes, "epsilon", 1e-5f, &parameters->epsilon,
                              configuration->error));
    *out_parameters = parameters;
    return MD_OK;
}

static enum md_code expect_factor(struct md_invocation *invocation, size_t index)
{
    const struct md_shape *shape = &md_input(invocation, 0)->shape;
    const struct md_tensor *factor = md_input(invocation, index);
    struct md_shape target;
    char texts[2][MD_SHAPE_TEXT_SIZE];
    if (factor == NULL)
        return MD_OK;
    MD_TRY(md_expect_same_datatype(invocation, 0, index));
    if (md_shape_broadcast(shape, &factor->shape, &target) && md_shape_equal(shape, &target))
        return MD_OK;
    return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input %zu of shape %s does not broadcast to input 0, %s",
                   index, md_shape_text(&factor->shape, texts[0], sizeof texts[0]),
                   md_shape_text(shape, texts[1], sizeof texts[1]));
}

/* statistics: the outputs from `first_statistic` on are one number per row. */
static enum md_code prepare(struct md_invocation *invocation, size_t statistic_count)
{
    const struct layer_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_shape rows;
    int32_t axis = 0;
    if (!md_wants_output(invocation, 0)) /* its memory holds the intermediate rows */
        return md_fail(invocation->error, MD_UNIMPLEMENTED, "%s without its output 0", invocation->row->op_type);
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_expect_tensor(invocation, 1));
    MD_TRY(md_expect_axis(invocation, parameters->axis, input->shape.rank, &axis));
    MD_TRY(expect_factor(invocation, 1));
    MD_TRY(expect_factor(invocation, 2));
    rows = input->shape;
    for (int32_t d = axis; d < rows.rank; d++)
        rows.dims[d] = 1;
    for (size_t i = 1; i <= statistic_count; i++)
        MD_TRY(md_output(invocation, i, MD_FP32, &rows));
    return md_prepare_same(invocation);
}

static enum md_code layer_prepare(struct md_invocation *invocation)
{
    return prepare(invocation, 2);
}

static enum md_code simplified_prepare(struct md_invocation *invocation)
{
    return prepare(invocation, 1);
}

/* True when the factor is exactly one row: its dimensions are those from `axis` on. */
static bool is_row(const struct md_tensor *factor, const struct md_shape *shape, int32_t axis)
{
    int32_t skipped = shape->rank - factor->shape.rank;
    for (int32_t d = 0; d < shape->rank; d++) {
        int64_t dim = d >= skipped ? factor->shape.dims[d - skipped] : 1;
        if (dim != (d < axis ? 1 : shape->dims[d]))
            return false;
    }
    return true;
}

MD_BINARY_KERNEL(multiply, float, float, x *y)
MD_BINARY_KERNEL(multiply, double, double, x *y)
MD_BINARY_KERNEL(plus, float, float, x + y)
MD_BINARY_KERNEL(plus, double, double, x + y)

/* Scale and bias of any shape that broadcasts: a second pass over the output. */
static void apply_broadcast(const struct md_tensor *factor, md_binary_fn kernel, struct md_tensor *output)
{
    size_t size = md_datatype_size(output->datatype);
    const struct md_shape *shapes[] = { &output->shape, &factor->shape };
    struct md_broadcast_loop loop;
    for (md_broadcast_loop_start(&loop, &output->shape, 2, shapes); loop.runs > 0; md_broadcast_loop_next(&loop)) {
        char *at = (char *)output->bytes + loop.position * size;
        kernel(loop.inner, at, 1, (const char *)factor->bytes + loop.offsets[1] * size, loop.steps[1], at);
    }
}

/* Beyond this many elements float sums would lose digits; the general way adds in double. */
enum { MAX_FLOAT_ROW = 4096 };

/* Rows of floats, no statistics wanted. */
static void run_float_rows(const struct md_invocation *invocation, const struct md_row_normalization *normalization,
                           const struct md_tensor *input, struct md_tensor *output)
{
    struct md_row_layer_norm row = { .length = normalization->length,
                                     .scale = normalization->scale,
                                     .bias = normalization->bias,
                                     .epsilon = (float)normalization->epsilon,
                                     .a = input->bytes,
                                     .out = output->bytes,
                                     .sum = output->bytes };
    md_parallel_layer_norm(invocation, input->count / row.length, &row);
}

static enum md_code run(struct md_invocation *invocation, bool centered)
{
    const struct layer_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0), *scale = md_input(invocation, 1),
                           *bias = md_input(invocation, 2);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    struct md_tensor *means = centered ? md_output_tensor(invocation, 1) : NULL;
    struct md_tensor *inverses = md_output_tensor(invocation, centered ? 2 : 1);
    const bool wide = input->datatype == MD_FP64;
    int32_t axis = 0;
    if (input->count == 0 || output == NULL)
        return MD_OK;
    MD_TRY(md_expect_axis(invocation, parameters->axis, input->shape.rank, &axis));
    const bool rows_only = is_row(scale, &input->shape, axis) && (bias == NULL || is_row(bias, &input->shape, axis));
    struct md_row_normalization normalization = {
        .datatype = input->datatype,
        .length = md_shape_product(&input->shape, axis, input->shape.rank),
        .epsilon = (double)parameters->epsilon,
        .centered = centered,
        .scale = rows_only ? scale->bytes : NULL,
        .bias = rows_only && bias != NULL ? bias->bytes : NULL,
    };
    if (input->datatype == MD_FP32 && centered && normalization.scale != NULL && means == NULL && inverses == NULL &&
        normalization.length <= MAX_FLOAT_ROW) {
        run_float_rows(invocation, &normalization, input, output);
        return MD_OK;
    }
    size_t row_bytes = normalization.length * md_datatype_size(input->datatype);
    for (size_t r = 0; r < input->count / normalization.length; r++) {
        struct md_row_statistics statistics = md_row_normalize(
            &normalization, (const char *)input->bytes + r * row_bytes, (char *)output->bytes + r * row_bytes);
        if (means != NULL)
            md_elements(float, means)[r] = (float)statistics.mean;
        if (inverses != NULL)
            md_elements(float, inverses)[r] = (float)statistics.inverse;
    }
    if (!rows_only)
        apply_broadcast(scale, wide ? multiply_double : multiply_float, output);
    if (!rows_only && bias != NULL)
        apply_broadcast(bias, wide ? plus_double : plus_float, output);
    return MD_OK;
}

static enum md_code layer_run(struct md_invocation *invocation)
{
    return run(invocation, true);
}

static enum md_code simplified_run(struct md_invocation *invocation)
{
    return run(invocation, false);
}

enum { FLAGS = MD_IN_PLACE | MD_WIDEN_OUTPUT_0_ONLY };

const struct md_operator md_operators_layer_normalization[] = {
    { MD_ONNX, "LayerNormalization", 1, MD_OPSET_NEWEST, 2, 3, 1, 3, MD_TYPES_FLOAT, MD_TYPES_WIDE_FLOAT, FLAGS,
      layer_configure, layer_prepare, layer_run },
    { MD_ONNX, "SimplifiedLayerNormalization", 1, MD_OPSET_NEWEST, 2, 3, 1, 2, MD_TYPES_FLOAT, MD_TYPES_WIDE_FLOAT,
      FLAGS, layer_configure, simplified_prepare, simplified_run },
    { MD_MICROSOFT, "SimplifiedLayerNormalization", 1, MD_OPSET_MICROSOFT, 2, 3, 1, 2, MD_TYPES_FLOAT,
      MD_TYPES_WIDE_FLOAT, FLAGS, layer_configure, simplified_prepare, simplified_run },
    { MD_ONNX, "RMSNormalization", 23, MD_OPSET_NEWEST, 2, 2, 1, 1, MD_TYPES_FLOAT, MD_TYPES_WIDE_FLOAT, MD_IN_PLACE,
      layer_configure, simplified_prepare, simplified_run },
    { 0 },
};
