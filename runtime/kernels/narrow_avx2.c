/* narrow_avx2.c - the INT8 product for AVX2: bytes widened to words, whose products vpmaddwd adds in pairs without
 * saturation (vpmaddubsw would saturate). */
#include "narrow_finish.h"
#include "narrow_rows.h"

static inline __m256i dot_int8(__m256i sum, uint32_t a, narrow_groups b)
{
    const __m256i groups = (__m256i)b;
    const __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(groups, 8), 8), odd = _mm256_srai_epi16(groups, 8);
    const __m256i a_even = _mm256_set1_epi32((int)(a & 0x00ff00ffu)), a_odd = _mm256_set1_epi32((int)(a >> 8 & 0x00ff00ffu));
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(a_even, even));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a_odd, odd));
}

#define NARROW_NAME        int8
#define NARROW_BYTES       1
#define NARROW_ROWS        4
#define NARROW_VECTORS     2
#define NARROW_SUM         __m256i
#define NARROW_DOT(s, a, b) dot_int8(s, a, b)
#include "narrow_tile.h"

const struct md_narrow_loops md_narrow_int8_avx2 = {
    MD_ISA_AVX2, VF_LANES, 2 * VF_LANES, 4, int8_run, narrow_round_row, narrow_copy_codes,
};
