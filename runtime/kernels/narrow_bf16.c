/* narrow_bf16.c - the BF16 product for AVX-512 BF16: vdpbf16ps adds two products, denormals counting as 0. */
#include "narrow_finish.h"

static void round_bf16(const float *a, size_t depth, uint32_t *groups, struct md_narrow_row *out_row)
{
    (void)out_row; /* INT8 only */
    for (size_t k = 0; k < depth; k += VF_LANES) {
        const size_t left = depth - k;
        const __mmask16 mask = (__mmask16)(left >= VF_LANES ? 0xffffu : (1u << left) - 1u);
        const __mmask8 pairs = (__mmask8)(left >= VF_LANES ? 0xffu : (1u << (left + 1) / 2) - 1u);
        const __m256bh rounded = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, a + k));
        _mm256_mask_storeu_epi32(groups + k / 2, pairs, (__m256i)rounded);
    }
}

#define NARROW_NAME        bf16
#define NARROW_BYTES       0
#define NARROW_ROWS        8
#define NARROW_VECTORS     3
#define NARROW_SUM         __m512
#define NARROW_DOT(s, a, b) _mm512_dpbf16_ps(s, (__m512bh)_mm512_set1_epi32((int)(a)), (__m512bh)(b))
#include "narrow_tile.h"

const struct md_narrow_loops md_narrow_bf16_avx512 = {
    MD_ISA_AVX512_BF16, VF_LANES, 3 * VF_LANES, 8, bf16_run, round_bf16,
};
