/* narrow_rows.h - a row of floats in UINT8 codes by its own range; included by the variants of the INT8 product. Every
 * operation rounds once: all variants give the same codes. */
#ifndef MD_NARROW_ROWS_H
#define MD_NARROW_ROWS_H

#include "narrow_finish.h"
#include "narrow_variant.h"
#include "vector_math.h"

#include <float.h>
#include <math.h>

struct narrow_range {
    float low, high;
    bool finite;
};

/* The range of a row, 0 included. */
static struct narrow_range narrow_range_of(const float *a, size_t depth)
{
    const vf zero = vf_set(0.0f);
    vf low = zero, high = zero, broken = zero;
    for (size_t k = 0; k < depth; k += VF_LANES) {
        float rest[VF_LANES] = { 0 };
        vf x = depth - k >= VF_LANES ? vf_load(a + k) : vf_load(memcpy(rest, a + k, (depth - k) * sizeof *rest));
        low = vf_min(x, low);
        high = vf_max(x, high);
        broken = vf_fma(x, zero, broken); /* NaN from NaN and from infinities */
    }
    return (struct narrow_range){ -vf_largest(vf_subtract(zero, low)), vf_largest(high), vf_sum(broken) == 0.0f };
}

static void narrow_round_row(const float *a, size_t depth, uint32_t *groups, struct md_narrow_row *out_row)
{
    const struct narrow_range range = narrow_range_of(a, depth);
    const size_t bytes = (depth + 3) / 4 * 4;
    uint8_t *codes = (uint8_t *)groups;
    float scale = range.high / 255.0f - range.low / 255.0f; /* their difference may overflow */
    if (!range.finite || scale < FLT_MIN) {
        memset(codes, 0, bytes);
        *out_row = (struct md_narrow_row){ range.finite ? 0.0f : NAN, 0, 0 };
        return;
    }
    const float zero_point = fminf(rintf(-range.low / scale), 255.0f);
    const vf inverse = vf_set(1.0f / scale), offset = vf_set(zero_point);
    for (size_t k = 0; k < depth; k += VF_LANES) {
        const size_t left = depth - k;
        float rest[VF_LANES] = { 0 };
        vf x = left >= VF_LANES ? vf_load(a + k) : vf_load(memcpy(rest, a + k, left * sizeof *rest));
        x = vf_add(vf_round(vf_multiply(x, inverse)), offset);
        x = vf_min(vf_max(x, vf_set(0.0f)), vf_set(255.0f));
        uint8_t last[VF_LANES];
        vf_store_bytes(left >= VF_LANES ? codes + k : last, x);
        if (left < VF_LANES)
            memcpy(codes + k, last, bytes - k);
    }
    *out_row = (struct md_narrow_row){ scale, (int32_t)zero_point, 0 };
}

/* Codes into whole groups, each changed by `flip`. Returns their sum after that, wrapping. */
static uint32_t narrow_copy_codes(const uint8_t *codes, size_t depth, uint8_t flip, uint32_t *groups)
{
    enum { MOST_STEPS = 128 }; /* until halves of 16 bits could overflow: 128 * 2 * 255 */
    const uint32_t flips = flip * 0x01010101u, low = 0x00FF00FFu;
    const size_t bytes = (depth + 3) / 4 * 4, lanes = 4 * VF_LANES;
    uint32_t total = 0;
    size_t k = 0;
    while (k + lanes <= depth) {
        narrow_groups halves = { 0 };
        for (size_t step = 0; step < MOST_STEPS && k + lanes <= depth; step++, k += lanes) {
            narrow_groups four;
            memcpy(&four, codes + k, sizeof four); /* codes begin anywhere */
            four ^= flips;
            memcpy((uint8_t *)groups + k, &four, sizeof four);
            halves += (four & low) + (four >> 8 & low);
        }
        for (size_t i = 0; i < VF_LANES; i++)
            total += (halves[i] & 0xFFFFu) + (halves[i] >> 16);
    }
    uint8_t *rest = (uint8_t *)groups;
    for (; k < depth; k++)
        total += rest[k] = codes[k] ^ flip;
    memset(rest + depth, 0, bytes - depth);
    return total;
}

#endif
