/* vector.h - the few operations on vectors of floats that the kernels are written in: AVX-512, AVX2 with FMA, or any
 * machine, by the instructions that the including file is compiled for. Each operation rounds once, so a kernel's
 * result for an element does not depend on how the compiler arranges the code around it. Private to kernels/.
 *
 * vf_load_first loads `count` lanes, fewer than all, and makes the others 0.
 * vf_max(a, b) and vf_min(a, b) give b when either is NaN. vf_power(n) is 2^n for whole n in [-126, 127]. */
#ifndef MD_VECTOR_H
#define MD_VECTOR_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#include <immintrin.h>

enum { VF_LANES = 16 };
typedef __m512 vf;

static inline vf vf_load(const float *from) { return _mm512_loadu_ps(from); }
static inline void vf_store(float *to, vf a) { _mm512_storeu_ps(to, a); }
static inline vf vf_load_first(const float *from, size_t count)
{
    return _mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), from);
}
/* Lanes i and i + half (8, 4, 2 or 1) of each pair of halves change places. */
static inline vf vf_swap(vf a, size_t half)
{
    return half == 8 ? _mm512_shuffle_f32x4(a, a, 0x4E) :
           half == 4 ? _mm512_shuffle_f32x4(a, a, 0xB1) :
           half == 2 ? _mm512_permute_ps(a, 0x4E) :
                       _mm512_permute_ps(a, 0xB1);
}
static inline vf vf_set(float value) { return _mm512_set1_ps(value); }
static inline vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
static inline vf vf_subtract(vf a, vf b) { return _mm512_sub_ps(a, b); }
static inline vf vf_multiply(vf a, vf b) { return _mm512_mul_ps(a, b); }
static inline vf vf_divide(vf a, vf b) { return _mm512_div_ps(a, b); }
static inline vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
static inline vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
static inline vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }
static inline vf vf_round(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline vf vf_power(vf n)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127)), 23));
}
/* The larger one, NaN when either is. */
static inline vf vf_max_or_nan(vf a, vf b)
{
    return _mm512_mask_mov_ps(_mm512_max_ps(a, b), _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), a);
}
/* vf_select_below: a where x < limit, else b. vf_zero_below: a where limit <= x or x is NaN, else 0. */
static inline vf vf_zero_below(vf a, vf x, vf limit)
{
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, limit, _CMP_NLT_UQ), a);
}
static inline vf vf_absolute(vf a) { return _mm512_abs_ps(a); }
static inline vf vf_select_below(vf a, vf b, vf x, vf limit)
{
    return _mm512_mask_mov_ps(b, _mm512_cmp_ps_mask(x, limit, _CMP_LT_OQ), a);
}
/* |a| with the sign of x. */
static inline vf vf_with_sign(vf a, vf x)
{
    const __m512i sign = _mm512_set1_epi32(INT32_MIN);
    __m512i magnitude = _mm512_andnot_si512(sign, _mm512_castps_si512(a));
    return _mm512_castsi512_ps(_mm512_or_si512(magnitude, _mm512_and_si512(sign, _mm512_castps_si512(x))));
}

#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>

enum { VF_LANES = 8 };
typedef __m256 vf;

static inline vf vf_load(const float *from) { return _mm256_loadu_ps(from); }
static inline void vf_store(float *to, vf a) { _mm256_storeu_ps(to, a); }
static inline vf vf_load_first(const float *from, size_t count)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_maskload_ps(from, _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), lane));
}
static inline vf vf_swap(vf a, size_t half)
{
    return half == 4 ? _mm256_permute2f128_ps(a, a, 1) :
           half == 2 ? _mm256_permute_ps(a, 0x4E) :
                       _mm256_permute_ps(a, 0xB1);
}
static inline vf vf_set(float value) { return _mm256_set1_ps(value); }
static inline vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
static inline vf vf_subtract(vf a, vf b) { return _mm256_sub_ps(a, b); }
static inline vf vf_multiply(vf a, vf b) { return _mm256_mul_ps(a, b); }
static inline vf vf_divide(vf a, vf b) { return _mm256_div_ps(a, b); }
static inline vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
static inline vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }
static inline vf vf_min(vf a, vf b) { return _mm256_min_ps(a, b); }
static inline vf vf_round(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline vf vf_power(vf n)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23));
}
static inline vf vf_max_or_nan(vf a, vf b)
{
    return _mm256_blendv_ps(_mm256_max_ps(a, b), a, _mm256_cmp_ps(a, a, _CMP_UNORD_Q));
}
static inline vf vf_zero_below(vf a, vf x, vf limit) { return _mm256_and_ps(_mm256_cmp_ps(x, limit, _CMP_NLT_UQ), a); }
static inline vf vf_absolute(vf a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
static inline vf vf_select_below(vf a, vf b, vf x, vf limit)
{
    return _mm256_blendv_ps(b, a, _mm256_cmp_ps(x, limit, _CMP_LT_OQ));
}
static inline vf vf_with_sign(vf a, vf x)
{
    const vf sign = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_andnot_ps(sign, a), _mm256_and_ps(sign, x));
}

#else
#include <math.h>

enum { VF_LANES = 4 };
typedef struct {
    float of[VF_LANES];
} vf;

#define VF_EACH(expression)                                                                                  \
    vf result;                                                                                               \
    for (int i = 0; i < VF_LANES; i++)                                                                       \
        result.of[i] = (expression);                                                                         \
    return result

static inline vf vf_load(const float *from) { VF_EACH(from[i]); }
static inline void vf_store(float *to, vf a) { memcpy(to, a.of, sizeof a.of); }
static inline vf vf_load_first(const float *from, size_t count) { VF_EACH((size_t)i < count ? from[i] : 0.0f); }
static inline vf vf_swap(vf a, size_t half) { VF_EACH(a.of[(size_t)i ^ half]); }
static inline vf vf_set(float value) { VF_EACH(value); }
static inline vf vf_add(vf a, vf b) { VF_EACH(a.of[i] + b.of[i]); }
static inline vf vf_subtract(vf a, vf b) { VF_EACH(a.of[i] - b.of[i]); }
static inline vf vf_multiply(vf a, vf b) { VF_EACH(a.of[i] * b.of[i]); }
static inline vf vf_divide(vf a, vf b) { VF_EACH(a.of[i] / b.of[i]); }
static inline vf vf_fma(vf a, vf b, vf c) { VF_EACH(a.of[i] * b.of[i] + c.of[i]); }
static inline vf vf_max(vf a, vf b) { VF_EACH(a.of[i] > b.of[i] ? a.of[i] : b.of[i]); }
static inline vf vf_min(vf a, vf b) { VF_EACH(a.of[i] < b.of[i] ? a.of[i] : b.of[i]); }
/* Right for |a| < 2^22, which is all that the kernels round. */
static inline vf vf_round(vf a) { VF_EACH((a.of[i] + 12582912.0f) - 12582912.0f); }
static inline vf vf_power(vf n)
{
    vf result;
    for (int i = 0; i < VF_LANES; i++) {
        int32_t whole = n.of[i] >= -127.0f && n.of[i] <= 128.0f ? (int32_t)n.of[i] : 0; /* NaN: 0 */
        uint32_t bits = (uint32_t)(whole + 127) << 23;
        memcpy(&result.of[i], &bits, sizeof bits);
    }
    return result;
}
static inline vf vf_max_or_nan(vf a, vf b)
{
    VF_EACH(a.of[i] > b.of[i] || a.of[i] != a.of[i] ? a.of[i] : b.of[i]);
}
static inline vf vf_zero_below(vf a, vf x, vf limit) { VF_EACH(x.of[i] < limit.of[i] ? 0.0f : a.of[i]); }
static inline vf vf_absolute(vf a) { VF_EACH(fabsf(a.of[i])); }
static inline vf vf_select_below(vf a, vf b, vf x, vf limit) { VF_EACH(x.of[i] < limit.of[i] ? a.of[i] : b.of[i]); }
static inline vf vf_with_sign(vf a, vf x) { VF_EACH(copysignf(a.of[i], x.of[i])); }
#undef VF_EACH
#endif

/* The lanes added, or their largest, always in the same order. */
static inline float vf_sum(vf a)
{
    float lane[VF_LANES];
    vf_store(lane, a);
    for (size_t half = VF_LANES / 2; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++)
            lane[i] += lane[i + half];
    return lane[0];
}

/* Whole numbers in [0, 255] as bytes. */
static inline void vf_store_bytes(uint8_t *to, vf values)
{
#if defined(__AVX512F__)
    _mm_storeu_si128((__m128i *)(void *)to, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(values)));
#else
    float each[VF_LANES];
    vf_store(each, values);
    for (size_t i = 0; i < VF_LANES; i++)
        to[i] = (uint8_t)each[i];
#endif
}

static inline float vf_largest_or_nan(vf a)
{
    float lane[VF_LANES];
    for (size_t half = VF_LANES / 2; half > 0; half /= 2)
        a = vf_max_or_nan(a, vf_swap(a, half));
    vf_store(lane, a);
    return lane[0];
}

static inline float vf_largest(vf a)
{
    float lane[VF_LANES];
    vf_store(lane, a);
    for (size_t half = VF_LANES / 2; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++)
            lane[i] = lane[i] > lane[i + half] ? lane[i] : lane[i + half];
    return lane[0];
}

/* exp(x) for x <= 88: relative error below 3e-7; exactly 0 below -87.3; NaN stays. */
static inline vf vf_exp(vf x)
{
    const vf low = vf_set(-87.3f);
    vf bounded = vf_min(vf_set(88.0f), vf_max(low, x));
    vf n = vf_round(vf_multiply(bounded, vf_set(1.44269504088896341f)));
    vf r = vf_fma(n, vf_set(-0.693359375f), bounded); /* few bits: n * it is exact */
    r = vf_fma(n, vf_set(2.12194440e-4f), r);
    vf q = vf_set(0.0013946450781f);
    q = vf_fma(q, r, vf_set(0.0083691542968f));
    q = vf_fma(q, r, vf_set(0.0416662618518f));
    q = vf_fma(q, r, vf_set(0.1666651666164f));
    q = vf_fma(q, r, vf_set(0.5f));
    q = vf_fma(q, vf_multiply(r, r), r);
    vf power = vf_power(n);
    return vf_zero_below(vf_fma(q, power, power), x, low);
}

#endif
