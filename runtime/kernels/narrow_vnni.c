/* narrow_vnni.c - the INT8 product for AVX-512 VNNI: vpdpbusd adds four products of bytes, wrapping. The sums are plain
 * vectors of integers: with __m512i GCC 12 spills them to the stack in every step, at half the speed. */
#include "narrow_finish.h"
#include "narrow_rows.h"

#define NARROW_NAME        int8
#define NARROW_BYTES       1
#define NARROW_ROWS        8
#define NARROW_VECTORS     3
#define NARROW_SUM         narrow_integers
#define NARROW_DOT(s, a, b) (narrow_integers)_mm512_dpbusd_epi32((__m512i)(s), _mm512_set1_epi32((int)(a)), (__m512i)(b))
#include "narrow_tile.h"

const struct md_narrow_loops md_narrow_int8_vnni = {
    MD_ISA_AVX512_VNNI, VF_LANES, 3 * VF_LANES, 8, int8_run, narrow_round_row, narrow_copy_codes,
};
