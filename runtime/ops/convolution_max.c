/* convolution_max.c - "ConvolutionMax" of the internal domain, made by a graph pass: filters that slide along rows of
 * words, and the largest value of each filter. Inputs: X [batch, steps, channels], W [filters, channels, kernel]
 * constant, bias [filters] (optional). Output: [batch, filters], or [batch, filters, 1] with keepdims.
 *
 * The words of a window lie one after the other, so the windows are the rows of a matrix that overlap: row stride
 * `channels`, depth kernel * channels, nothing is copied. Bias and activation do not change which window is the largest,
 * nor a bit of it (rounding keeps order): they are applied to what remains. */
#include "arena.h"
#include "checked.h"
#include "gemm_operand.h"
#include "operator_table.h"
#include "parallel.h"
#include "parameters.h"

struct filter_parameters {
    bool relu, keep_dims;
    size_t filters, channels, kernel;
    struct md_packed_matrix packed;
};

/* ---- load ---- */
/* Depth runs over the words of a window, then their channels. */
static void fill_filters(const void *source, size_t first, size_t columns, size_t stride, void *panel)
{
    const struct md_tensor *weights = source;
    const size_t channels = (size_t)weights->shape.dims[1], kernel = (size_t)weights->shape.dims[2];
    float *to = panel;
    for (size_t k = 0; k < kernel; k++)
        for (size_t c = 0; c < channels; c++, to += stride)
            for (size_t j = 0; j < stride; j++)
                to[j] = j < columns ? md_elements(const float, weights)[((first + j) * channels + c) * kernel + k] : 0.0f;
}

static enum md_code filter_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct filter_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    const struct md_tensor *weights = md_constant_input(configuration, 1);
    int64_t relu, keep_dims;
    size_t size;
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_attribute_int(configuration->attributes, "relu", 0, &relu, configuration->error));
    MD_TRY(md_attribute_int(configuration->attributes, "keepdims", 0, &keep_dims, configuration->error));
    if (weights == NULL || weights->datatype != MD_FP32 || weights->shape.rank != 3 || weights->count == 0)
        return md_fail(configuration->error, MD_INTERNAL, "a pass made a convolution that has no kernel");
    *parameters = (struct filter_parameters){ .relu = relu != 0,
                                              .keep_dims = keep_dims != 0,
                                              .filters = (size_t)weights->shape.dims[0],
                                              .channels = (size_t)weights->shape.dims[1],
                                              .kernel = (size_t)weights->shape.dims[2] };
    const size_t depth = parameters->kernel * parameters->channels;
    void *panels = md_matrix_pack_size(MD_GEMM_F32, depth, parameters->filters, &size) ?
                       md_arena_allocate(configuration->arena, size) :
                       NULL;
    if (panels == NULL)
        return md_fail_memory(configuration->error, "packed weights");
    md_matrix_pack_fill(MD_GEMM_F32, depth, parameters->filters, fill_filters, weights, panels, &parameters->packed);
    *out_parameters = parameters;
    return MD_OK;
}

/* ---- run ---- */
/* A part is a panel of filters over one entry of the batch. */
struct parts {
    const struct filter_parameters *parameters;
    const float *x, *bias;
    float *output;
    float *sums; /* [slots][windows][filters] */
    size_t steps, windows, panels;
};

static double part_cost(const struct filter_parameters *parameters, size_t windows)
{
    return (double)windows * (double)parameters->packed.depth * (double)md_gemm_panel_width(MD_GEMM_F32);
}

static size_t panel_count(const struct filter_parameters *parameters)
{
    const size_t width = md_gemm_panel_width(MD_GEMM_F32);
    return parameters->filters / width + (parameters->filters % width != 0);
}

static size_t window_count(const struct filter_parameters *parameters, const struct md_tensor *x)
{
    return (size_t)x->shape.dims[1] - parameters->kernel + 1;
}

static enum md_code filter_prepare(struct md_invocation *invocation)
{
    const struct filter_parameters *parameters = invocation->parameters;
    const struct md_tensor *x = md_input(invocation, 0), *bias = md_input(invocation, 2);
    MD_TRY(md_expect_tensor_rank(invocation, 0, 3, 3));
    MD_TRY(md_expect_same_datatype(invocation, 0, 1));
    MD_TRY(md_expect_same_datatype(invocation, 0, 2));
    const int64_t batch = x->shape.dims[0], steps = x->shape.dims[1], channels = x->shape.dims[2];
    if ((size_t)channels != parameters->channels)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input has %lld channels, weights have %zu",
                       (long long)channels, parameters->channels);
    if ((size_t)steps < parameters->kernel)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "a window of %zu over an input of %lld",
                       parameters->kernel, (long long)steps);
    if (bias != NULL && bias->count != parameters->filters)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "bias has %zu elements for %zu filters", bias->count,
                       parameters->filters);
    struct md_shape output = { parameters->keep_dims ? 3 : 2, { batch, (int64_t)parameters->filters, 1 } };
    MD_TRY(md_output(invocation, 0, MD_FP32, &output));
    const size_t windows = window_count(parameters, x);
    size_t items, size;
    if (!md_checked_multiply((size_t)batch, panel_count(parameters), &items) ||
        !md_checked_multiply(windows, parameters->filters * sizeof(float), &size) ||
        !md_checked_multiply(md_parallel_slots(invocation, items, part_cost(parameters, windows)), size, &size))
        return md_fail_memory(invocation->error, "sums of a convolution");
    return md_scratch(invocation, size);
}

static void finish(const struct filter_parameters *parameters, const float *bias, size_t count, float *values)
{
    for (size_t i = 0; bias != NULL && i < count; i++)
        values[i] += bias[i];
    for (size_t i = 0; parameters->relu && i < count; i++)
        values[i] = values[i] <= 0 ? 0 : values[i]; /* NaN stays */
}

static void run_part(const struct parts *parts, size_t entry, size_t panel, float *sums)
{
    const struct filter_parameters *parameters = parts->parameters;
    const size_t filters = parameters->filters, width = md_gemm_panel_width(MD_GEMM_F32), first = panel * width;
    const size_t count = filters - first < width ? filters - first : width;
    const struct md_gemm gemm = {
        .type = MD_GEMM_F32,
        .rows = parts->windows,
        .columns = filters,
        .depth = parameters->packed.depth,
        .a = { parts->x + entry * parts->steps * parameters->channels, (ptrdiff_t)parameters->channels, 1 },
        .packed = &parameters->packed,
        .c = sums,
        .c_stride = filters,
        .finish = { .alpha = 1.0 },
    };
    float *output = parts->output + entry * filters + first;
    md_gemm_part(&gemm, panel, 1, 0, parts->windows, NULL);
    md_vector_loops()->largest_of_columns(parts->windows, count, sums + first, filters, output);
    finish(parameters, parts->bias != NULL ? parts->bias + first : NULL, count, output);
}

static void run_parts(void *context, size_t first, size_t count, size_t slot)
{
    const struct parts *parts = context;
    float *sums = parts->sums + slot * parts->windows * parts->parameters->filters;
    for (size_t i = first; i < first + count; i++)
        run_part(parts, i / parts->panels, i % parts->panels, sums);
}

static enum md_code filter_run(struct md_invocation *invocation)
{
    const struct filter_parameters *parameters = invocation->parameters;
    const struct md_tensor *x = md_input(invocation, 0), *bias = md_input(invocation, 2);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    struct parts parts = { parameters, x->bytes, bias != NULL ? bias->bytes : NULL, output->bytes,
                           invocation->scratch, (size_t)x->shape.dims[1], window_count(parameters, x),
                           panel_count(parameters) };
    md_parallel(invocation, (size_t)x->shape.dims[0] * parts.panels, part_cost(parameters, parts.windows), run_parts,
                &parts);
    return MD_OK;
}

const struct md_operator md_operators_convolution_max[] = {
    { MD_INTERNAL_DOMAIN, "ConvolutionMax", 1, 1, 2, 3, 1, 1, MD_TYPE(MD_FP32), MD_TYPE(MD_FP32), 0, filter_configure,
      filter_prepare, filter_run },
    { 0 },
};
