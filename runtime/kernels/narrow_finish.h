/* narrow_finish.h - a tile's sums on their way to C; included by the variants before narrow_tile.h. */
#ifndef MD_NARROW_FINISH_H
#define MD_NARROW_FINISH_H

#include "narrow_variant.h"
#include "vector_math.h"

typedef uint32_t narrow_groups __attribute__((vector_size(4 * VF_LANES), aligned(4), may_alias));
typedef int32_t narrow_integers __attribute__((vector_size(4 * VF_LANES), aligned(4), may_alias));
typedef float narrow_floats __attribute__((vector_size(4 * VF_LANES), aligned(4), may_alias));

static inline narrow_groups narrow_load(const void *from)
{
    return *(const narrow_groups *)from;
}

static inline narrow_floats narrow_activate(enum md_gemm_activation activation, narrow_floats value)
{
    vf x;
    if (activation == MD_GEMM_RELU)
        return (narrow_floats)((narrow_integers)value & ~(value <= 0.0f)); /* NaN stays */
    memcpy(&x, &value, sizeof x);
    x = activation == MD_GEMM_GELU ? vf_gelu(x) : activation == MD_GEMM_GELU_TANH ? vf_gelu_tanh(x) : vf_tanh(x);
    memcpy(&value, &x, sizeof value);
    return value;
}

/* One vector of INT8 sums without their zero points. */
static inline narrow_groups narrow_center(const struct md_narrow_tile *tile, const struct md_narrow_row *row, size_t j,
                                          narrow_groups sum)
{
    sum -= (uint32_t)row->zero_point * narrow_load(tile->column_sums + j);
    if (tile->column_zeros != NULL)
        sum -= (uint32_t)row->rest * narrow_load(tile->column_zeros + j);
    return sum;
}

/* Inlined with a constant `bytes`: the sums are INT32, else FP32. bias is whole vectors, or NULL. */
static inline __attribute__((always_inline)) void narrow_finish_row(const struct md_narrow_tile *tile, size_t r,
                                                                    const uint32_t *sums, const float *bias,
                                                                    bool bytes, float *to)
{
    for (size_t j = 0; j < tile->b_stride; j += VF_LANES) {
        narrow_groups sum = narrow_load(sums + j);
        if (bytes)
            sum = narrow_center(tile, &tile->row[r], j, sum);
        if (!bytes || !tile->integer) {
            narrow_floats value = (narrow_floats)sum;
            if (bytes)
                value = __builtin_convertvector((narrow_integers)sum, narrow_floats) *
                        (tile->row[r].scale * (narrow_floats)narrow_load(tile->column_scales + j));
            if (bias != NULL)
                value += (narrow_floats)narrow_load(bias + j);
            if (tile->activation != MD_GEMM_LINEAR)
                value = narrow_activate(tile->activation, value);
            sum = (narrow_groups)value;
        }
        *(narrow_groups *)(void *)(to + j) = sum;
    }
}

/* sums: a row of `width` for each row of the tile. */
static inline __attribute__((always_inline)) void narrow_finish(const struct md_narrow_tile *tile, const uint32_t *sums,
                                                                size_t width, bool bytes)
{
    float rest[MD_GEMM_MAX_PANEL], padded_bias[MD_GEMM_MAX_PANEL] = { 0 };
    const float *bias = tile->bias;
    const bool whole = tile->columns == tile->b_stride;
    if (!whole && bias != NULL)
        bias = memcpy(padded_bias, bias, tile->columns * sizeof *bias);
    for (size_t r = 0; r < tile->rows; r++) {
        float *c = (float *)tile->c + r * tile->c_stride;
        narrow_finish_row(tile, r, sums + r * width, bias, bytes, whole ? c : rest);
        if (!whole)
            memcpy(c, rest, tile->columns * sizeof *c);
    }
}

#endif
