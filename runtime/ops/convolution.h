/* convolution.h - the convolution that Conv, FusedConv, ConvInteger and QLinearConv share.
 *
 * For each image and group it is one matrix product: weights [out, in * kernel] times the windows of the
 * input [in * kernel, positions], which are laid out panel by panel while the product runs. Threads: pure
 * function. Memory: the caller's workspace. */
#ifndef MD_CONVOLUTION_H
#define MD_CONVOLUTION_H

#include "gemm.h"
#include "window.h"

struct md_convolution {
    enum md_gemm_type type;
    size_t batch, groups;
    size_t in_channels;  /* per group */
    size_t out_channels; /* per group */
    struct md_window window;
    const void *input;   /* [batch, groups * in_channels, spatial...] */
    const void *weights; /* [groups * out_channels, in_channels, kernel...] */
    const void *bias;    /* [groups * out_channels], or NULL */
    void *output;        /* [batch, groups * out_channels, positions...] */
    bool accumulate;     /* add to what output holds */
    enum md_gemm_activation activation;
};

/* Checks the shapes of input, weights (ranks, channels, groups) and bias (may be NULL), and fills all of
 * *out_convolution but type, pointers and finish; *out_shape is the output's.
 * INVALID_ARGUMENT: they do not fit together. */
MD_NODISCARD enum md_code md_convolution_describe(const struct md_window_options *options, int64_t groups,
                                                  const struct md_shape *input,
                                                  const struct md_shape *weights, const struct md_shape *bias,
                                                  struct md_convolution *out_convolution,
                                                  struct md_shape *out_shape, struct md_error *error);
/* Bytes. */
size_t md_convolution_workspace(const struct md_convolution *convolution);
void md_convolution_run(const struct md_convolution *convolution, void *workspace);

/* The same in independent parts, each a panel of positions of one image and group. */
size_t md_convolution_part_count(const struct md_convolution *convolution);
double md_convolution_part_cost(const struct md_convolution *convolution); /* multiply-adds */
/* Parts [first, first + count). */
void md_convolution_run_parts(const struct md_convolution *convolution, size_t first, size_t count, void *workspace);

#endif
