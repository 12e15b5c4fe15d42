/* max_unpool.c - MaxUnpool: puts maxima back to where MaxPool found them; everything else is 0. */
#include "operator_table.h"
#include "parameters.h"
#include "window.h"

struct unpool_parameters {
    struct md_window_options options;
};

/* The shape that kernel, strides and pads imply; indices count its elements. */
static enum md_code implied_shape(const struct md_invocation *invocation, struct md_shape *out_shape)
{
    const struct unpool_parameters *parameters = invocation->parameters;
    const struct md_window_options *options = &parameters->options;
    const struct md_shape *x = &md_input(invocation, 0)->shape;
    struct md_window window;
    MD_TRY(md_window_open(options, x->rank - 2, x->dims + 2, NULL, &window, invocation->error));
    if (options->pad_count != 0 && options->pad_count != 2 * (size_t)window.rank)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "attribute pads has %zu numbers, expected %d",
                       options->pad_count, 2 * (int)window.rank);
    *out_shape = *x;
    for (int32_t i = 0; i < window.rank; i++) {
        int64_t dim;
        bool fits = !__builtin_mul_overflow(x->dims[i + 2] - 1, window.stride[i], &dim) &&
                    !__builtin_add_overflow(dim, window.kernel[i], &dim);
        for (int32_t end = 0; fits && options->pad_count != 0 && end < 2; end++)
            fits = !__builtin_sub_overflow(dim, options->pads[i + end * window.rank], &dim);
        if (!fits || dim < 0)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "spatial dimension %d of %lld cannot be unpooled", (int)i,
                           (long long)x->dims[i + 2]);
        out_shape->dims[i + 2] = dim;
    }
    return MD_OK;
}

static enum md_code unpool_prepare(struct md_invocation *invocation)
{
    struct md_shape implied;
    int64_t dims[MD_MAX_RANK];
    size_t count = 0;
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_expect_tensor(invocation, 1));
    MD_TRY(md_expect_rank(invocation, 0, 3, MD_MAX_RANK));
    MD_TRY(md_expect_datatype(invocation, 1, MD_TYPE(MD_INT64)));
    const struct md_tensor *x = md_input(invocation, 0), *indices = md_input(invocation, 1);
    char text_x[MD_SHAPE_TEXT_SIZE], text[MD_SHAPE_TEXT_SIZE];
    if (!md_shape_equal(&x->shape, &indices->shape))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input 0 has shape %s, the indices have %s",
                       md_shape_text(&x->shape, text_x, sizeof text_x),
                       md_shape_text(&indices->shape, text, sizeof text));
    MD_TRY(implied_shape(invocation, &implied));
    MD_TRY(md_input_ints(invocation, 2, MD_MAX_RANK, dims, &count));
    struct md_shape output = implied;
    if (md_input(invocation, 2) != NULL) {
        if (count != (size_t)x->shape.rank)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "output_shape has %zu numbers, expected %d", count, (int)x->shape.rank);
        output = md_shape_of(x->shape.rank, dims);
        for (int32_t i = 0; i < output.rank; i++)
            if (i < 2 ? dims[i] != implied.dims[i] : dims[i] < 0)
                return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                               "output_shape is %s, input 0 has shape %s",
                               md_shape_text(&output, text, sizeof text),
                               md_shape_text(&x->shape, text_x, sizeof text_x));
    }
    return md_output(invocation, 0, x->datatype, &output);
}

/* An index counts the elements of the implied shape; the same coordinates are looked up in the output. */
static bool locate(const struct md_shape *implied, const struct md_shape *output, int64_t index,
                   size_t *out_at)
{
    size_t at = 0, stride = 1;
    if (index < 0)
        return false;
    for (int32_t i = implied->rank - 1; i >= 0; i--) {
        if (implied->dims[i] == 0)
            return false;
        int64_t coordinate = index % implied->dims[i];
        index /= implied->dims[i];
        if (coordinate >= output->dims[i])
            return false;
        at += (size_t)coordinate * stride;
        stride *= (size_t)output->dims[i];
    }
    *out_at = at;
    return index == 0;
}

static enum md_code unpool_run(struct md_invocation *invocation)
{
    const struct md_tensor *x = md_input(invocation, 0);
    const int64_t *indices = md_elements(const int64_t, md_input(invocation, 1));
    struct md_tensor *output = md_output_tensor(invocation, 0);
    struct md_shape implied;
    if (output == NULL)
        return MD_OK;
    MD_TRY(implied_shape(invocation, &implied));
    size_t size = md_datatype_size(x->datatype);
    if (output->count != 0)
        memset(output->bytes, 0, md_tensor_size(output));
    for (size_t i = 0; i < x->count; i++) {
        size_t at;
        char text[MD_SHAPE_TEXT_SIZE];
        if (!locate(&implied, &output->shape, indices[i], &at))
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "index %lld lies outside of shape %s",
                           (long long)indices[i], md_shape_text(&output->shape, text, sizeof text));
        memcpy((unsigned char *)output->bytes + at * size, (const unsigned char *)x->bytes + i * size, size);
    }
    return MD_OK;
}

static enum md_code unpool_configure(const struct md_configuration *configuration,
                                     const void **out_parameters)
{
    struct unpool_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    return md_window_options_read(configuration, &parameters->options);
}

const struct md_operator md_operators_max_unpool[] = {
    { MD_ONNX, "MaxUnpool", 9, MD_OPSET_NEWEST, 2, 3, 1, 1, MD_TYPES_FLOAT, 0, 0, unpool_configure,
      unpool_prepare, unpool_run },
    { 0 },
};
