/* quantization_layout.h - which scale belongs to which element: per tensor, per axis, or per block along an axis.
 *
 * Elements fall into runs, in memory order, that have one scale (step 0) or a scale each (step 1):
 *
 *     per axis, inner > 1     one run per [outer, axis]          step 0
 *     per axis, the last one  one run per [outer]                step 1
 *     blocks, inner > 1       one run per [outer, axis]          step 1
 *     blocks, the last axis   one run per [outer, block]         step 0
 *
 * Threads: plain values. */
#ifndef MD_QUANTIZATION_LAYOUT_H
#define MD_QUANTIZATION_LAYOUT_H

#include "operator.h"

enum md_quantization_granularity { MD_PER_TENSOR, MD_PER_AXIS, MD_PER_BLOCK };

struct md_quantization_layout {
    enum md_quantization_granularity granularity;
    size_t outer, length, inner; /* the input around the axis */
    size_t block, blocks;        /* elements of a block along the axis, and how many */
    size_t run_count;
};

struct md_scale_run {
    size_t start, count; /* elements */
    size_t scale, step;
};

struct md_scale {
    float scale;
    int32_t zero;     /* when the quantized type is an integer */
    float real_zero;  /* when it is a coded float */
};

/* For input 0, scales in input 1, zero points in input 2 (may be absent).
 * INVALID_ARGUMENT: the shapes do not fit, with both shapes. */
MD_NODISCARD enum md_code md_quantization_layout_init(struct md_invocation *invocation, int64_t axis,
                                                      int64_t block_size, struct md_quantization_layout *out_layout);
struct md_scale_run md_quantization_run(const struct md_quantization_layout *layout, size_t index);
/* Reads inputs 1 and 2 into out_scales, which has one entry per scale. */
void md_scales_read(const struct md_invocation *invocation, struct md_scale *out_scales);

#endif
