/* conv_transpose.c - ConvTranspose: the gradient of a convolution with respect to its input, as an operator.
 *
 * For each image, group and a few output channels at a time it is one matrix product, W' [out * kernel, in]
 * times X [in, positions], whose rows are then added where the windows lie in the output (in the order of the
 * kernel). */
#include "gemm_operand.h"
#include "operator_table.h"
#include "parameters.h"
#include "window.h"

/* Rows of the product that are computed together. */
enum { CHUNK_ROWS = 64 };

struct transpose_parameters {
    struct md_window_options options;
    int64_t groups;
    size_t output_shape_count, output_padding_count;
    const int64_t *output_shape, *output_padding;
};

struct transposition {
    struct md_window window; /* input and output as the operator has them; pads may be negative at the end */
    size_t batch, groups, in_channels, out_channels; /* channels per group */
    size_t kernel_count, input_plane, output_plane;
    size_t chunk_channels;
    struct md_shape output;
};

/* total_padding of the specification, split in two. The odd one goes to the end for SAME_UPPER; for an
 * explicit output_shape the definition before opset 11 had it the other way round. */
static void split_padding(const struct md_invocation *invocation, int64_t total, bool explicit_shape,
                          struct md_window *window, int32_t i)
{
    const struct transpose_parameters *parameters = invocation->parameters;
    bool upper = parameters->options.auto_pad == MD_PAD_SAME_UPPER;
    bool small_first = explicit_shape && invocation->opset < 11 ? !upper : upper;
    if (total < 0)
        total = 0; /* the output is larger than what the windows reach: the rest stays at the bias */
    window->pad_begin[i] = small_first ? total / 2 : total - total / 2;
}

static enum md_code resolve_dim(const struct md_invocation *invocation, struct md_window *window, int32_t i)
{
    const struct transpose_parameters *parameters = invocation->parameters;
    const struct md_window_options *options = &parameters->options;
    bool same = options->auto_pad == MD_PAD_SAME_UPPER || options->auto_pad == MD_PAD_SAME_LOWER;
    int64_t padding = parameters->output_padding_count != 0 ? parameters->output_padding[i] : 0;
    int64_t full; /* what the windows reach */
    if (padding < 0 || padding > INT32_MAX)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "attribute output_padding contains %lld: range is [0,%d]", (long long)padding,
                       INT32_MAX);
    if (window->input[i] < 1 || __builtin_mul_overflow(window->stride[i], window->input[i] - 1, &full) ||
        __builtin_add_overflow(full, padding + (window->kernel[i] - 1) * window->dilation[i] + 1, &full))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "spatial dimension %d: input %lld, stride %lld", (int)i, (long long)window->input[i],
                       (long long)window->stride[i]);
    if (parameters->output_shape_count != 0) {
        size_t skip =
            parameters->output_shape_count - (size_t)window->rank; /* batch and channels, in old files */
        window->output[i] = parameters->output_shape[skip + (size_t)i];
        if (window->output[i] < 0)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "attribute output_shape contains %lld",
                           (long long)window->output[i]);
        split_padding(invocation, full - window->output[i], true, window, i);
    } else if (same) {
        if (__builtin_mul_overflow(window->input[i], window->stride[i], &window->output[i]))
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "spatial dimension %d is too large",
                           (int)i);
        split_padding(invocation, full - window->output[i], false, window, i);
    } else {
        int64_t end = 0;
        if (options->auto_pad == MD_PAD_NOTSET && options->pad_count != 0) {
            window->pad_begin[i] = options->pads[i];
            end = options->pads[i + window->rank];
        }
        if (window->pad_begin[i] < 0 || end < 0 || window->pad_begin[i] > INT32_MAX || end > INT32_MAX)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "attribute pads contains %lld and %lld",
                           (long long)window->pad_begin[i], (long long)end);
        window->output[i] = full - window->pad_begin[i] - end;
        if (window->output[i] < 0)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "spatial dimension %d: pads %lld and %lld of %lld", (int)i,
                           (long long)window->pad_begin[i], (long long)end, (long long)full);
    }
    return MD_OK;
}

static enum md_code check_channels(const struct md_invocation *invocation)
{
    const struct transpose_parameters *parameters = invocation->parameters;
    const struct md_shape *x = &md_input(invocation, 0)->shape, *w = &md_input(invocation, 1)->shape;
    const struct md_tensor *bias = md_input(invocation, 2);
    int64_t groups = parameters->groups, channels;
    if (x->rank < 3 || x->rank != w->rank)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "input has rank %d, weights have rank %d: both need the same, at least 3",
                       (int)x->rank, (int)w->rank);
    if (groups < 1 || x->dims[1] != w->dims[0] || x->dims[1] % groups != 0)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "input has %lld channels in %lld groups, weights have %lld", (long long)x->dims[1],
                       (long long)groups, (long long)w->dims[0]);
    if (__builtin_mul_overflow(w->dims[1], groups, &channels))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "%lld channels in %lld groups",
                       (long long)w->dims[1], (long long)groups);
    if (bias != NULL && (bias->shape.rank != 1 || bias->shape.dims[0] != channels)) {
        char text[MD_SHAPE_TEXT_SIZE];
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "bias has shape %s, expected [%lld]",
                       md_shape_text(&bias->shape, text, sizeof text), (long long)channels);
    }
    return MD_OK;
}

static enum md_code check_counts(const struct md_invocation *invocation, size_t rank)
{
    const struct transpose_parameters *parameters = invocation->parameters;
    size_t shape = parameters->output_shape_count, padding = parameters->output_padding_count;
    size_t pads = parameters->options.pad_count;
    if (shape != 0 && shape != rank && shape != rank + 2)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "attribute output_shape has %zu numbers, expected %zu", shape, rank);
    if (padding != 0 && padding != rank)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "attribute output_padding has %zu numbers, expected %zu", padding, rank);
    if (pads != 0 && pads != 2 * rank)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "attribute pads has %zu numbers, expected %zu",
                       pads, 2 * rank);
    return MD_OK;
}

static enum md_code describe(const struct md_invocation *invocation, struct transposition *out_transposition)
{
    const struct transpose_parameters *parameters = invocation->parameters;
    const struct md_shape *x = &md_input(invocation, 0)->shape, *w = &md_input(invocation, 1)->shape;
    struct transposition transposition = { .groups = (size_t)parameters->groups };
    struct md_window *window = &transposition.window;
    MD_TRY(check_channels(invocation));
    MD_TRY(check_counts(invocation, (size_t)x->rank - 2));
    MD_TRY(md_window_open(&parameters->options, x->rank - 2, x->dims + 2, w->dims + 2, window,
                          invocation->error));
    transposition.output = (struct md_shape){ x->rank, { x->dims[0], w->dims[1] * parameters->groups } };
    for (int32_t i = 0; i < window->rank; i++) {
        MD_TRY(resolve_dim(invocation, window, i));
        transposition.output.dims[i + 2] = window->output[i];
    }
    transposition.batch = (size_t)x->dims[0];
    transposition.in_channels = (size_t)(x->dims[1] / parameters->groups);
    transposition.out_channels = (size_t)w->dims[1];
    transposition.kernel_count = md_window_count(window->rank, window->kernel);
    transposition.input_plane = md_window_count(window->rank, window->input);
    transposition.output_plane = md_window_count(window->rank, window->output);
    size_t chunk = transposition.kernel_count < CHUNK_ROWS ? CHUNK_ROWS / transposition.kernel_count : 1;
    transposition.chunk_channels = chunk < transposition.out_channels ? chunk : transposition.out_channels;
    *out_transposition = transposition;
    return MD_OK;
}

/* Bytes of the product's result, which the workspace of the product follows. False: overflow. */
static bool result_size(const struct transposition *transposition, enum md_gemm_type type, size_t *out_size)
{
    size_t rows = transposition->chunk_channels * transposition->kernel_count;
    return !__builtin_mul_overflow(rows, transposition->input_plane, out_size) &&
           !__builtin_mul_overflow(*out_size, md_gemm_element_size(type), out_size) &&
           !__builtin_add_overflow(*out_size, 63, out_size) && ((*out_size &= ~(size_t)63), true);
}

static enum md_code transpose_prepare(struct md_invocation *invocation)
{
    struct transposition transposition;
    enum md_gemm_type type;
    size_t size, scratch;
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_expect_tensor(invocation, 1));
    MD_TRY(md_expect_same_datatype(invocation, 0, 1));
    MD_TRY(md_expect_same_datatype(invocation, 0, 2));
    MD_TRY(describe(invocation, &transposition));
    enum md_datatype datatype = md_input(invocation, 0)->datatype;
    MD_TRY(md_output(invocation, 0, datatype, &transposition.output));
    (void)md_gemm_type_of(datatype, &type); /* the row has products of its native types only */
    if (!result_size(&transposition, type, &size) ||
        __builtin_add_overflow(size, md_gemm_workspace(type, transposition.in_channels), &scratch))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "%zu kernel positions over %zu inputs are too many", transposition.kernel_count,
                       transposition.input_plane);
    return md_scratch(invocation, scratch);
}

/* Input positions [low, high) along dimension d whose window reaches the output with kernel position k. */
static void reach(const struct md_window *window, int32_t d, int64_t k, int64_t *out_low, int64_t *out_high,
                  int64_t *out_shift)
{
    int64_t shift = k * window->dilation[d] - window->pad_begin[d], stride = window->stride[d];
    int64_t room = window->output[d] - shift;
    int64_t low = shift < 0 ? -shift / stride + (-shift % stride != 0) : 0;
    int64_t high = room <= 0 ? 0 : room / stride + (room % stride != 0);
    *out_low = low;
    *out_high = high < window->input[d] ? high : window->input[d];
    *out_shift = shift;
}

/* Adds one row of the product (one output channel and kernel position) to the channel's plane. */
#define DEFINE_SCATTER(type)                                                                                 \
    static void scatter_##type(const struct md_window *window, const int64_t *kernel_position,               \
                               const type *row, type *plane)                                                 \
    {                                                                                                        \
        int64_t low[MD_WINDOW_RANK], high[MD_WINDOW_RANK], shift[MD_WINDOW_RANK], at[MD_WINDOW_RANK];        \
        const int32_t last = window->rank - 1;                                                               \
        for (int32_t d = 0; d <= last; d++) {                                                                \
            reach(window, d, kernel_position[d], &low[d], &high[d], &shift[d]);                              \
            if (low[d] >= high[d])                                                                           \
                return;                                                                                      \
            at[d] = low[d];                                                                                  \
        }                                                                                                    \
        for (int32_t d = last; d >= 0;) {                                                                    \
            int64_t from = 0, to = 0;                                                                        \
            for (int32_t i = 0; i < last; i++) {                                                             \
                from = (from + at[i]) * window->input[i + 1];                                                \
                to = (to + at[i] * window->stride[i] + shift[i]) * window->output[i + 1];                    \
            }                                                                                                \
            for (int64_t i = low[last]; i < high[last]; i++)                                                 \
                plane[to + i * window->stride[last] + shift[last]] += row[from + i];                         \
            for (d = last - 1; d >= 0; d--) {                                                                \
                if (++at[d] < high[d])                                                                       \
                    break;                                                                                   \
                at[d] = low[d];                                                                              \
            }                                                                                                \
        }                                                                                                    \
    }                                                                                                        \
    static void spread_##type(const struct transposition *transposition, const type *bias, type *output)     \
    {                                                                                                        \
        size_t channels = transposition->groups * transposition->out_channels;                               \
        for (size_t i = 0; i < transposition->batch * channels; i++)                                         \
            for (size_t o = 0; o < transposition->output_plane; o++)                                         \
                *output++ = bias != NULL ? bias[i % channels] : 0;                                           \
    }                                                                                                        \
    static void add_rows_##type(const struct transposition *transposition, size_t channels,                  \
                                const type *rows, type *planes)                                              \
    {                                                                                                        \
        const struct md_window *window = &transposition->window;                                             \
        for (size_t channel = 0; channel < channels; channel++) {                                            \
            int64_t kernel_position[MD_WINDOW_RANK] = { 0 };                                                 \
            for (size_t k = 0; k < transposition->kernel_count; k++) {                                       \
                scatter_##type(window, kernel_position, rows, planes);                                       \
                rows += transposition->input_plane;                                                          \
                (void)md_grid_next(window->rank, window->kernel, kernel_position); /* exactly once around */ \
            }                                                                                                \
            planes += transposition->output_plane;                                                           \
        }                                                                                                    \
    }

DEFINE_SCATTER(float)
DEFINE_SCATTER(double)

/* One image and group. */
static void run_group(const struct transposition *transposition, enum md_gemm_type type, const void *x,
                      const void *w, unsigned char *output, void *scratch, size_t scratch_result)
{
    size_t size = md_gemm_element_size(type), kernel_count = transposition->kernel_count;
    size_t w_width = transposition->out_channels * kernel_count;
    struct md_gemm gemm = {
        .type = type,
        .columns = transposition->input_plane,
        .depth = transposition->in_channels,
        .b = { x, (ptrdiff_t)transposition->input_plane, 1 },
        .c = scratch,
        .c_stride = transposition->input_plane,
        .finish.alpha = 1.0,
    };
    for (size_t first = 0; first < transposition->out_channels; first += transposition->chunk_channels) {
        size_t channels = transposition->out_channels - first;
        if (channels > transposition->chunk_channels)
            channels = transposition->chunk_channels;
        gemm.rows = channels * kernel_count;
        gemm.a = (struct md_matrix){ (const unsigned char *)w + first * kernel_count * size, 1,
                                     (ptrdiff_t)w_width };
        md_gemm(&gemm, (unsigned char *)scratch + scratch_result);
        void *planes = output + first * transposition->output_plane * size;
        if (type == MD_GEMM_F32)
            add_rows_float(transposition, channels, scratch, planes);
        else
            add_rows_double(transposition, channels, scratch, planes);
    }
}

static enum md_code transpose_run(struct md_invocation *invocation)
{
    const struct md_tensor *x = md_input(invocation, 0), *w = md_input(invocation, 1),
                           *bias = md_input(invocation, 2);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    struct transposition transposition;
    enum md_gemm_type type;
    size_t result;
    if (output == NULL || output->count == 0)
        return MD_OK;
    MD_TRY(describe(invocation, &transposition));
    (void)md_gemm_type_of(x->datatype, &type);        /* as in prepare */
    (void)result_size(&transposition, type, &result); /* likewise */
    if (type == MD_GEMM_F32)
        spread_float(&transposition, bias != NULL ? bias->bytes : NULL, output->bytes);
    else
        spread_double(&transposition, bias != NULL ? bias->bytes : NULL, output->bytes);
    if (transposition.in_channels == 0)
        return MD_OK;
    size_t size = md_gemm_element_size(type);
    size_t x_group = transposition.in_channels * transposition.input_plane;
    size_t w_group = transposition.in_channels * transposition.out_channels * transposition.kernel_count;
    size_t y_group = transposition.out_channels * transposition.output_plane;
    for (size_t i = 0; i < transposition.batch * transposition.groups; i++)
        run_group(&transposition, type, md_element_at(x, i * x_group),
                  md_element_at(w, i % transposition.groups * w_group),
                  (unsigned char *)output->bytes + i * y_group * size, invocation->scratch, result);
    return MD_OK;
}

static enum md_code transpose_configure(const struct md_configuration *configuration,
                                        const void **out_parameters)
{
    const struct md_attributes *attributes = configuration->attributes;
    struct transpose_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_window_options_read(configuration, &parameters->options));
    MD_TRY(md_attribute_int(attributes, "group", 1, &parameters->groups, configuration->error));
    MD_TRY(md_attribute_ints(attributes, "output_shape", &parameters->output_shape,
                             &parameters->output_shape_count, configuration->error));
    MD_TRY(md_attribute_ints(attributes, "output_padding", &parameters->output_padding,
                             &parameters->output_padding_count, configuration->error));
    *out_parameters = parameters;
    return MD_OK;
}

const struct md_operator md_operators_conv_transpose[] = {
    { MD_ONNX, "ConvTranspose", 1, MD_OPSET_NEWEST, 2, 3, 1, 1, MD_TYPES_FLOAT,
      MD_TYPE(MD_FP32) | MD_TYPE(MD_FP64), 0, transpose_configure, transpose_prepare, transpose_run },
    { 0 },
};
