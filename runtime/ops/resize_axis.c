#include "resize_axis.h"

#include <math.h>

enum { MAX_TAPS = 1 << 20 };

/* Position in the input of output position `at` (Resize, attribute coordinate_transformation_mode). */
static double original(enum md_resize_coordinates mode, const struct md_resize_axis *axis, double at)
{
    double length = axis->scale * (double)axis->in; /* of the output; need not be whole */
    double last = (double)axis->in - 1;
    switch (mode) {
    case MD_RESIZE_ALIGN_CORNERS:
        return length == 1 ? 0 : at * last / (length - 1);
    case MD_RESIZE_ASYMMETRIC:
        return at / axis->scale;
    case MD_RESIZE_TF_CROP_AND_RESIZE: {
        double extent = (axis->roi_end - axis->roi_start) * last;
        return axis->roi_start * last + (length == 1 ? extent / 2 : at * extent / (length - 1));
    }
    case MD_RESIZE_PYTORCH_HALF_PIXEL:
        return length == 1 ? -0.5 : (at + 0.5) / axis->scale - 0.5;
    case MD_RESIZE_TF_HALF_PIXEL_FOR_NN:
        return (at + 0.5) / axis->scale;
    case MD_RESIZE_HALF_PIXEL_SYMMETRIC:
        return (double)axis->in / 2 * (1 - (double)axis->out / length) + (at + 0.5) / axis->scale - 0.5;
    default:
        return (at + 0.5) / axis->scale - 0.5;
    }
}

/* align_corners and the crop divide by length - 1, which a fractional length may bring close to 0: whatever
 * comes out, it must be a number that converts to an integer. */
static double bounded(double x, const struct md_resize_axis *axis)
{
    double limit = 4 * (double)axis->in + 16;
    return !(x > -limit) ? -limit : x > limit ? limit : x;
}

static double round_position(enum md_resize_nearest mode, double x, double scale)
{
    switch (mode) {
    case MD_RESIZE_ROUND_PREFER_FLOOR:
        return ceil(x - 0.5);
    case MD_RESIZE_ROUND_PREFER_CEIL:
        return floor(x + 0.5);
    case MD_RESIZE_CEIL:
        return ceil(x);
    case MD_RESIZE_SIMPLE:
        return scale < 1 ? ceil(x) : floor(x);
    default:
        return floor(x);
    }
}

/* Antialiasing stretches the kernel when the axis shrinks. */
static double kernel_scale(const struct md_resize_options *options, const struct md_resize_axis *axis)
{
    return options->antialias && axis->scale < 1 ? axis->scale : 1;
}

static double kernel(const struct md_resize_options *options, double x)
{
    x = fabs(x);
    if (options->mode == MD_RESIZE_LINEAR)
        return x < 1 ? 1 - x : 0;
    double a = options->cubic_a;
    if (x <= 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

size_t md_resize_taps(const struct md_resize_options *options, const struct md_resize_axis *axis)
{
    if (options->mode == MD_RESIZE_NEAREST)
        return 1;
    double radius = options->mode == MD_RESIZE_LINEAR ? 1 : 2;
    double half = -floor(-radius / kernel_scale(options, axis));
    return half > MAX_TAPS ? 0 : 2 * (size_t)half;
}

/* Weights of the `taps` positions around x, first of them at index `first`; they add up to 1. */
static void fill_weights(const struct md_resize_options *options, const struct md_resize_axis *axis, double x,
                         int64_t first, size_t taps, double *weights)
{
    double scale = kernel_scale(options, axis), sum = 0;
    for (size_t t = 0; t < taps; t++) {
        weights[t] = kernel(options, ((double)(first + (int64_t)t) - x) * scale);
        sum += weights[t];
    }
    if (options->exclude_outside) {
        sum = 0;
        for (size_t t = 0; t < taps; t++) {
            if (first + (int64_t)t < 0 || first + (int64_t)t >= axis->in)
                weights[t] = 0;
            sum += weights[t];
        }
    }
    for (size_t t = 0; t < taps && sum != 0; t++)
        weights[t] /= sum;
}

static int64_t clamp(int64_t index, int64_t count)
{
    return index < 0 ? 0 : index >= count ? count - 1 : index;
}

void md_resize_axis_fill(const struct md_resize_options *options, const struct md_resize_axis *axis,
                         size_t taps, int64_t *out_indices, double *out_weights, uint8_t *out_outside)
{
    for (int64_t p = 0; p < axis->out; p++, out_indices += taps, out_weights += taps) {
        double x = bounded(original(options->coordinates, axis, (double)p), axis);
        *out_outside++ =
            options->coordinates == MD_RESIZE_TF_CROP_AND_RESIZE && (x < 0 || x > (double)(axis->in - 1));
        if (options->mode == MD_RESIZE_NEAREST) {
            out_indices[0] = clamp((int64_t)round_position(options->nearest, x, axis->scale), axis->in);
            out_weights[0] = 1;
            continue;
        }
        int64_t first = (int64_t)ceil(x) - (int64_t)(taps / 2);
        fill_weights(options, axis, x, first, taps, out_weights);
        for (size_t t = 0; t < taps; t++)
            out_indices[t] = clamp(first + (int64_t)t, axis->in);
    }
}
