/* skip_layer_normalization.c - SkipLayerNormalization and SkipSimplifiedLayerNormalization of com.microsoft: the sum
 * of input, skip and bias is normalised. Outputs: result, mean, inverse deviation, the sum.
 *
 * The skip connection may be shared by the batch: it is then the trailing dimensions of the input. */
#include "elementwise.h"
#include "operator_table.h"

#include "parameters.h"
#include "row_normalization.h"

struct skip_parameters {
    float epsilon;
    bool centered; /* has beta as input 3; the simplified form has the bias there */
};

static enum md_code configure(const struct md_configuration *configuration, bool centered,
                              const void **out_parameters)
{
    struct skip_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    parameters->centered = centered;
    *out_parameters = parameters;
    return md_attribute_float(configuration->attributes, "epsilon", 1e-12f, &parameters->epsilon,
                              configuration->error);
}

static enum md_code skip_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    return configure(configuration, true, out_parameters);
}

static enum md_code simplified_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    return configure(configuration, false, out_parameters);
}

/* Skip has the input's shape, or that shape with a first dimension of 1 or without it. */
static bool is_skip_shape(const struct md_shape *input, const struct md_shape *skip)
{
    int32_t skipped = input->rank - skip->rank;
    if (skipped < 0 || skipped > 1)
        return false;
    for (int32_t d = 0; d < skip->rank; d++)
        if (skip->dims[d] != input->dims[d + skipped] && !(d == 0 && skipped == 0 && skip->dims[0] == 1))
            return false;
    return true;
}

static enum md_code skip_prepare(struct md_invocation *invocation)
{
    char texts[2][MD_SHAPE_TEXT_SIZE];
    if (!md_wants_output(invocation, 0)) /* its memory holds the intermediate rows */
        return md_fail(invocation->error, MD_UNIMPLEMENTED, "%s without its output 0", invocation->row->op_type);
    for (size_t i = 0; i < 3; i++)
        MD_TRY(md_expect_tensor(invocation, i));
    const struct md_shape *shape = &md_input(invocation, 0)->shape;
    MD_TRY(md_expect_rank(invocation, 0, 2, 3));
    for (size_t i = 1; i < invocation->input_count; i++)
        MD_TRY(md_expect_same_datatype(invocation, 0, i));
    if (!is_skip_shape(shape, &md_input(invocation, 1)->shape))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "skip has shape %s, input has %s",
                       md_shape_text(&md_input(invocation, 1)->shape, texts[0], sizeof texts[0]),
                       md_shape_text(shape, texts[1], sizeof texts[1]));
    for (size_t i = 2; i < invocation->input_count; i++) {
        const struct md_tensor *row = md_input(invocation, i);
        if (row != NULL && row->count != (size_t)shape->dims[shape->rank - 1])
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input %zu has %zu elements: a row has %lld", i,
                           row->count, (long long)shape->dims[shape->rank - 1]);
    }
    struct md_shape rows = *shape;
    rows.dims[rows.rank - 1] = 1;
    MD_TRY(md_output(invocation, 1, MD_FP32, &rows));
    MD_TRY(md_output(invocation, 2, MD_FP32, &rows));
    MD_TRY(md_output(invocation, 3, md_input(invocation, 0)->datatype, shape));
    return md_prepare_same(invocation);
}

#define ADD_ROW(type)                                                                                        \
    static void add_row_##type(size_t count, const type *a, const type *b, const type *bias, type *out)      \
    {                                                                                                        \
        MD_INDEPENDENT                                                                                       \
        for (size_t i = 0; i < count; i++)                                                                   \
            out[i] = a[i] + b[i] + (bias != NULL ? bias[i] : 0);                                             \
    }

ADD_ROW(float)
ADD_ROW(double)

static const void *row_bytes_of(const struct md_invocation *invocation, size_t input)
{
    const struct md_tensor *row = md_input(invocation, input);
    return row != NULL ? row->bytes : NULL;
}

static enum md_code skip_run(struct md_invocation *invocation)
{
    const struct skip_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0), *skip = md_input(invocation, 1);
    struct md_tensor *output = md_output_tensor(invocation, 0), *means = md_output_tensor(invocation, 1),
                     *inverses = md_output_tensor(invocation, 2), *sums = md_output_tensor(invocation, 3);
    if (input->count == 0 || output == NULL)
        return MD_OK;
    const struct md_row_normalization normalization = {
        .datatype = input->datatype,
        .length = (size_t)input->shape.dims[input->shape.rank - 1],
        .epsilon = (double)parameters->epsilon,
        .centered = parameters->centered,
        .scale = row_bytes_of(invocation, 2),
        .bias = parameters->centered ? row_bytes_of(invocation, 3) : NULL,
    };
    const void *bias = row_bytes_of(invocation, parameters->centered ? 4 : 3);
    const size_t row_size = normalization.length * md_datatype_size(input->datatype);
    const size_t skip_rows = skip->count / normalization.length;
    for (size_t r = 0; r < input->count / normalization.length; r++) {
        const char *a = (const char *)input->bytes + r * row_size;
        const char *b = (const char *)skip->bytes + r % skip_rows * row_size;
        char *out = (char *)output->bytes + r * row_size;
        char *sum = sums != NULL ? (char *)sums->bytes + r * row_size : out;
        if (input->datatype == MD_FP32)
            add_row_float(normalization.length, (const float *)(const void *)a, (const float *)(const void *)b, bias,
                          (float *)(void *)sum);
        else
            add_row_double(normalization.length, (const double *)(const void *)a, (const double *)(const void *)b,
                           bias, (double *)(void *)sum);
        const struct md_row_statistics statistics = md_row_normalize(&normalization, sum, out);
        if (means != NULL)
            md_elements(float, means)[r] = (float)statistics.mean;
        if (inverses != NULL)
            md_elements(float, inverses)[r] = (float)statistics.inverse;
    }
    return MD_OK;
}

/* Not MD_IN_PLACE: a skip row that the batch shares is read again after its place in the output was written. */
const struct md_operator md_operators_skip_layer_normalization[] = {
    { MD_MICROSOFT, "SkipLayerNormalization", 1, MD_OPSET_MICROSOFT, 3, 5, 1, 4, MD_TYPES_FLOAT, MD_TYPES_WIDE_FLOAT,
      0, skip_configure, skip_prepare, skip_run },
    { MD_MICROSOFT, "SkipSimplifiedLayerNormalization", 1, MD_OPSET_MICROSOFT, 3, 4, 1, 4, MD_TYPES_FLOAT,
      MD_TYPES_WIDE_FLOAT, 0, simplified_configure, skip_prepare, skip_run },
    { 0 },
};
