/* activation.c - see activation.h. Polynomials are least-squares fits on the Chebyshev points of the interval. */
#include "activation.h"
#include "vector_loops.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Element i of `out` may be element i of `in`, no other: the loops may be vectorised without a check. */
#if defined(__GNUC__) && !defined(__clang__)
#define MD_INDEPENDENT _Pragma("GCC ivdep")
#else
#define MD_INDEPENDENT
#endif

/* exp(x) = 2^n * exp(r), |r| <= ln(2)/2. 2^n is made in two factors, so that subnormal results come out, too. */
static inline float exponential(float x)
{
    const float log2_e = 1.44269504088896341f;
    const float ln2_high = 0.693359375f; /* few bits: n * ln2_high is exact */
    const float ln2_low = -2.12194440e-4f;
    const float to_integer = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    float bounded = x > 89.0f ? 89.0f : x;
    bounded = bounded < -104.0f ? -104.0f : bounded; /* NaN passes both */
    float n = (bounded * log2_e + to_integer) - to_integer;
    float r = (bounded - n * ln2_high) - n * ln2_low;
    float q = 0.0013946450781f;
    q = q * r + 0.0083691542968f;
    q = q * r + 0.0416662618518f;
    q = q * r + 0.1666651666164f;
    q = q * r + 0.5f;
    float power = 1.0f + (r + r * r * q);
    float safe = n == n ? n : 0.0f;
    int32_t whole = (int32_t)safe;
    int32_t half = whole >> 1;
    uint32_t low_bits = (uint32_t)(half + 127) << 23;
    uint32_t high_bits = (uint32_t)(whole - half + 127) << 23;
    float low, high;
    memcpy(&low, &low_bits, sizeof low);
    memcpy(&high, &high_bits, sizeof high);
    return power * low * high;
}

void md_exp_f32(size_t count, const float *in, float *out)
{
    MD_INDEPENDENT
    for (size_t i = 0; i < count; i++)
        out[i] = exponential(in[i]);
}

void md_sigmoid_f32(size_t count, const float *in, float *out)
{
    md_vector_loops()->map(MD_MAP_SIGMOID, count, in, out);
}

void md_tanh_f32(size_t count, const float *in, float *out)
{
    md_vector_loops()->map(MD_MAP_TANH, count, in, out);
}

void md_exp_f64(size_t count, const double *in, double *out)
{
    MD_INDEPENDENT
    for (size_t i = 0; i < count; i++)
        out[i] = exp(in[i]);
}

void md_sigmoid_f64(size_t count, const double *in, double *out)
{
    MD_INDEPENDENT
    for (size_t i = 0; i < count; i++)
        out[i] = 1.0 / (1.0 + exp(-in[i]));
}

void md_tanh_f64(size_t count, const double *in, double *out)
{
    MD_INDEPENDENT
    for (size_t i = 0; i < count; i++)
        out[i] = tanh(in[i]);
}
