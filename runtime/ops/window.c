/* window.c - see window.h. */
#include "window.h"

/* Kernel, stride, dilation and pad; a product of two of them and a dim (at most 2^61) still fits in int64. */
static const int64_t largest_number = INT32_MAX;
static const int64_t largest_dim = (int64_t)1 << 61;

static enum md_code read_auto_pad(const struct md_configuration *configuration,
                                  enum md_auto_pad *out_auto_pad)
{
    static const char *const names[] = { "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID" };
    struct md_span name;
    MD_TRY(md_attribute_string(configuration->attributes, "auto_pad", "NOTSET", &name, configuration->error));
    if (name.size == 0) {
        *out_auto_pad = MD_PAD_NOTSET;
        return MD_OK;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (md_span_equal(name, md_span_of(names[i]))) {
            *out_auto_pad = (enum md_auto_pad)i;
            return MD_OK;
        }
    return md_fail(configuration->error, MD_INVALID_ARGUMENT, "attribute auto_pad is \"%.*s\"",
                   name.size > 40 ? 40 : (int)name.size, name.bytes);
}

enum md_code md_window_options_read(const struct md_configuration *configuration,
                                    struct md_window_options *out_options)
{
    const struct md_attributes *attributes = configuration->attributes;
    struct md_error *error = configuration->error;
    struct md_window_options options = { .ceil_mode = false };
    int64_t ceil_mode = 0;
    MD_TRY(read_auto_pad(configuration, &options.auto_pad));
    MD_TRY(md_attribute_int(attributes, "ceil_mode", 0, &ceil_mode, error));
    MD_TRY(md_attribute_ints(attributes, "kernel_shape", &options.kernel, &options.kernel_rank, error));
    MD_TRY(md_attribute_ints(attributes, "strides", &options.strides, &options.stride_rank, error));
    MD_TRY(md_attribute_ints(attributes, "dilations", &options.dilations, &options.dilation_rank, error));
    MD_TRY(md_attribute_ints(attributes, "pads", &options.pads, &options.pad_count, error));
    options.ceil_mode = ceil_mode != 0;
    *out_options = options;
    return MD_OK;
}

/* Attribute `name` has `count` numbers or is absent (then all are `absent`). */
static enum md_code take_numbers(const char *name, const int64_t *values, size_t count, size_t expected,
                                 int64_t low, int64_t absent, int64_t *out_values, struct md_error *error)
{
    if (count != 0 && count != expected)
        return md_fail(error, MD_INVALID_ARGUMENT, "attribute %s has %zu numbers, the input needs %zu", name,
                       count, expected);
    for (size_t i = 0; i < expected; i++) {
        out_values[i] = count == 0 ? absent : values[i];
        if (out_values[i] < low || out_values[i] > largest_number)
            return md_fail(error, MD_INVALID_ARGUMENT, "attribute %s contains %lld: range is [%lld,%lld]",
                           name, (long long)out_values[i], (long long)low, (long long)largest_number);
    }
    return MD_OK;
}

enum md_code md_window_open(const struct md_window_options *options, int32_t rank, const int64_t *input,
                            const int64_t *kernel, struct md_window *out_window, struct md_error *error)
{
    struct md_window window = { .rank = rank };
    if (rank < 0 || rank > MD_WINDOW_RANK)
        return md_fail(error, MD_INVALID_ARGUMENT, "%d spatial dimensions: range is [0,%d]", (int)rank,
                       (int)MD_WINDOW_RANK);
    size_t count = (size_t)rank;
    if (kernel == NULL && options->kernel_rank == 0 && rank > 0)
        return md_fail(error, MD_INVALID_ARGUMENT, "attribute kernel_shape is missing");
    MD_TRY(take_numbers("kernel_shape", options->kernel, options->kernel_rank, count, 1, 1, window.kernel,
                        error));
    MD_TRY(
        take_numbers("strides", options->strides, options->stride_rank, count, 1, 1, window.stride, error));
    MD_TRY(take_numbers("dilations", options->dilations, options->dilation_rank, count, 1, 1, window.dilation,
                        error));
    for (int32_t i = 0; i < rank; i++) {
        if (kernel != NULL && options->kernel_rank != 0 && kernel[i] != window.kernel[i])
            return md_fail(error, MD_INVALID_ARGUMENT,
                           "attribute kernel_shape says %lld where the weights have %lld",
                           (long long)window.kernel[i], (long long)kernel[i]);
        window.input[i] = input[i];
        if (kernel != NULL)
            window.kernel[i] = kernel[i];
        if (window.kernel[i] < 1 || window.kernel[i] > largest_number || input[i] > largest_dim)
            return md_fail(error, MD_INVALID_ARGUMENT, "spatial dimension %d: kernel %lld over input %lld",
                           (int)i, (long long)window.kernel[i], (long long)input[i]);
    }
    *out_window = window;
    return MD_OK;
}

/* auto_pad SAME: as many outputs as strides fit; the odd pad goes to the end (UPPER) or to the begin (LOWER).
 */
static void resolve_same(bool lower, int64_t extent, struct md_window *window, int32_t i)
{
    int64_t output = window->input[i] / window->stride[i] + (window->input[i] % window->stride[i] != 0);
    int64_t pad = output == 0 ? 0 : (output - 1) * window->stride[i] + extent - window->input[i];
    if (pad < 0)
        pad = 0;
    window->output[i] = output;
    window->pad_begin[i] = lower ? pad - pad / 2 : pad / 2;
    window->pad_end[i] = pad - window->pad_begin[i];
}

static enum md_code resolve_dim(const struct md_window_options *options, struct md_window *window, int32_t i,
                                struct md_error *error)
{
    int64_t extent = (window->kernel[i] - 1) * window->dilation[i] + 1;
    if (options->auto_pad == MD_PAD_SAME_UPPER || options->auto_pad == MD_PAD_SAME_LOWER) {
        resolve_same(options->auto_pad == MD_PAD_SAME_LOWER, extent, window, i);
        return MD_OK;
    }
    int64_t room = window->input[i] + window->pad_begin[i] + window->pad_end[i] - extent;
    bool ceil_mode =
        options->ceil_mode && options->auto_pad == MD_PAD_NOTSET; /* VALID rounds down in both modes */
    int64_t beyond =
        ceil_mode && room < 0 && -room < window->stride[i] ? 0 : room; /* ceil(room / stride) is 0 */
    if (beyond < 0)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "spatial dimension %d: a window of %lld over a padded input of %lld", (int)i,
                       (long long)extent, (long long)(room + extent));
    window->output[i] = beyond / window->stride[i] + 1;
    /* A window that ceil_mode adds must not begin in the end padding. */
    if (ceil_mode && beyond % window->stride[i] != 0 &&
        window->output[i] * window->stride[i] < window->input[i] + window->pad_begin[i])
        window->output[i]++;
    return MD_OK;
}

enum md_code md_window_resolve(const struct md_window_options *options, int32_t rank, const int64_t *input,
                               const int64_t *kernel, struct md_window *out_window, struct md_error *error)
{
    int64_t pads[2 * MD_WINDOW_RANK];
    struct md_window window;
    MD_TRY(md_window_open(options, rank, input, kernel, &window, error));
    size_t pad_count =
        options->auto_pad == MD_PAD_NOTSET ? options->pad_count : 0; /* ignored with auto_pad */
    MD_TRY(take_numbers("pads", options->pads, pad_count, 2 * (size_t)rank, 0, 0, pads, error));
    for (int32_t i = 0; i < rank; i++) {
        window.pad_begin[i] = pads[i];
        window.pad_end[i] = pads[i + rank];
        MD_TRY(resolve_dim(options, &window, i, error));
    }
    *out_window = window;
    return MD_OK;
}

size_t md_window_count(int32_t rank, const int64_t *dims)
{
    size_t count = 1;
    for (int32_t i = 0; i < rank; i++)
        count *= (size_t)dims[i];
    return count;
}
