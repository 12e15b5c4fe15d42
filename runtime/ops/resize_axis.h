/* resize_axis.h - one axis of a Resize: which input positions, with which weights, make an output position.
 *
 * ONNX Resize is separable: an N-D resize is one pass per axis. Threads: pure functions. */
#ifndef MD_RESIZE_AXIS_H
#define MD_RESIZE_AXIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum md_resize_mode { MD_RESIZE_NEAREST, MD_RESIZE_LINEAR, MD_RESIZE_CUBIC, MD_RESIZE_MODE_COUNT };

enum md_resize_coordinates {
    MD_RESIZE_HALF_PIXEL,
    MD_RESIZE_HALF_PIXEL_SYMMETRIC,
    MD_RESIZE_PYTORCH_HALF_PIXEL,
    MD_RESIZE_ALIGN_CORNERS,
    MD_RESIZE_ASYMMETRIC,
    MD_RESIZE_TF_CROP_AND_RESIZE,
    MD_RESIZE_TF_HALF_PIXEL_FOR_NN,
    MD_RESIZE_COORDINATES_COUNT
};

enum md_resize_nearest {
    MD_RESIZE_ROUND_PREFER_FLOOR,
    MD_RESIZE_ROUND_PREFER_CEIL,
    MD_RESIZE_FLOOR,
    MD_RESIZE_CEIL,
    MD_RESIZE_NEAREST_COUNT,
    MD_RESIZE_SIMPLE = MD_RESIZE_NEAREST_COUNT /* before opset 11: up rounds down, down rounds up */
};

struct md_resize_options {
    enum md_resize_mode mode;
    enum md_resize_coordinates coordinates;
    enum md_resize_nearest nearest;
    double cubic_a;
    bool exclude_outside;
    bool antialias;
};

struct md_resize_axis {
    int64_t in, out; /* in > 0 when out > 0 */
    double scale;    /* > 0 when out > 0 */
    double roi_start, roi_end;
};

/* Taps per output position; 0: the scale is too small for antialiasing. */
size_t md_resize_taps(const struct md_resize_options *options, const struct md_resize_axis *axis);
/* Fills out * taps indices (clamped to the axis) and weights, and out flags: 1 where the position lies
 * outside the axis and extrapolation_value takes its place. */
void md_resize_axis_fill(const struct md_resize_options *options, const struct md_resize_axis *axis,
                         size_t taps, int64_t *out_indices, double *out_weights, uint8_t *out_outside);

#endif
