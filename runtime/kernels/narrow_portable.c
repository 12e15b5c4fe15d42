/* narrow_portable.c - the narrow products for any machine. */
#include "bf16.h"
#include "narrow_finish.h"
#include "narrow_rows.h"

static inline narrow_floats portable_dot_bf16(narrow_floats sum, uint32_t a, narrow_groups b)
{
    const uint32_t bits[2] = { a & 0xffff0000u, a << 16 };
    float factor[2];
    memcpy(factor, bits, sizeof factor);
    sum += factor[0] * (narrow_floats)(b & 0xffff0000u);
    sum += factor[1] * (narrow_floats)(b << 16);
    return sum;
}

static inline narrow_integers portable_dot_int8(narrow_integers sum, uint32_t a, narrow_groups b)
{
    for (uint32_t i = 0; i < 32; i += 8) {
        narrow_integers code = (narrow_integers)(b << (24 - i)) >> 24;
        sum = (narrow_integers)((narrow_groups)sum + (a >> i & 255u) * (narrow_groups)code);
    }
    return sum;
}

static void portable_round_bf16(const float *a, size_t depth, uint32_t *groups, struct md_narrow_row *out_row)
{
    (void)out_row; /* INT8 only */
    for (size_t k = 0; k < depth; k += 2)
        groups[k / 2] = md_bf16_of(a[k]) | (k + 1 < depth ? (uint32_t)md_bf16_of(a[k + 1]) << 16 : 0);
}

#define NARROW_NAME        bf16
#define NARROW_BYTES       0
#define NARROW_ROWS        4
#define NARROW_VECTORS     2
#define NARROW_SUM         narrow_floats
#define NARROW_DOT(s, a, b) portable_dot_bf16(s, a, b)
#include "narrow_tile.h"

#define NARROW_NAME        int8
#define NARROW_BYTES       1
#define NARROW_ROWS        4
#define NARROW_VECTORS     2
#define NARROW_SUM         narrow_integers
#define NARROW_DOT(s, a, b) portable_dot_int8(s, a, b)
#include "narrow_tile.h"

const struct md_narrow_loops md_narrow_bf16_portable = {
    MD_ISA_PORTABLE, VF_LANES, 2 * VF_LANES, 4, bf16_run, portable_round_bf16, NULL,
};
const struct md_narrow_loops md_narrow_int8_portable = {
    MD_ISA_PORTABLE, VF_LANES, 2 * VF_LANES, 4, int8_run, narrow_round_row, narrow_copy_codes,
};
