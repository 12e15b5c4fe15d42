/* window.h - where the windows of convolutions and poolings lie: auto_pad, pads, strides, dilations,
 * ceil_mode.
 *
 * Attributes are read once (md_window_options); with an input's spatial dims they become a md_window. Every
 * number is checked so far that later arithmetic on positions cannot overflow int64. */
#ifndef MD_WINDOW_H
#define MD_WINDOW_H

#include "operator.h"

enum { MD_WINDOW_RANK = MD_MAX_RANK - 2 };

enum md_auto_pad { MD_PAD_NOTSET = 0, MD_PAD_SAME_UPPER, MD_PAD_SAME_LOWER, MD_PAD_VALID };

struct md_window_options {
    enum md_auto_pad auto_pad;
    bool ceil_mode;
    size_t kernel_rank, stride_rank, dilation_rank, pad_count; /* 0: attribute absent */
    const int64_t *kernel, *strides, *dilations, *pads;        /* of the model's arena */
};

struct md_window {
    int32_t rank;
    int64_t input[MD_WINDOW_RANK];
    int64_t kernel[MD_WINDOW_RANK];
    int64_t stride[MD_WINDOW_RANK];
    int64_t dilation[MD_WINDOW_RANK];
    int64_t pad_begin[MD_WINDOW_RANK];
    int64_t pad_end[MD_WINDOW_RANK];
    int64_t output[MD_WINDOW_RANK];
};

MD_NODISCARD enum md_code md_window_options_read(const struct md_configuration *configuration,
                                                 struct md_window_options *out_options);

/* `input` and `kernel` have `rank` dims; kernel NULL means the attribute kernel_shape, which must then be
 * present. Fills all but pads and output. INVALID_ARGUMENT: ranks differ, a number is not positive or too
 * large. */
MD_NODISCARD enum md_code md_window_open(const struct md_window_options *options, int32_t rank,
                                         const int64_t *input, const int64_t *kernel,
                                         struct md_window *out_window, struct md_error *error);
/* md_window_open, then pads and output dims as Conv and the poolings have them. INVALID_ARGUMENT also: a
 * window is larger than the padded input. */
MD_NODISCARD enum md_code md_window_resolve(const struct md_window_options *options, int32_t rank,
                                            const int64_t *input, const int64_t *kernel,
                                            struct md_window *out_window, struct md_error *error);

/* Product of the first `rank` numbers. */
size_t md_window_count(int32_t rank, const int64_t *dims);

/* Goes through the positions of a grid in row-major order. False: it was the last one. */
static inline bool md_grid_next(int32_t rank, const int64_t *dims, int64_t *position)
{
    for (int32_t i = rank - 1; i >= 0; i--) {
        if (++position[i] < dims[i])
            return true;
        position[i] = 0;
    }
    return false;
}

#endif
