/* vector_math.h - activations on vectors of floats; see vector.h. Private to kernels/.
 *
 * vf_gelu is x * Phi(x) with the normal distribution's Phi, which erf spells: for y = |x| the tail is
 *     Phi(-y) = exp(-y^2 / 2) * t * P(t),  t = 1 / (1 + 0.28 y)
 * with P fitted for the least absolute error of the product with y: below 6e-9 before rounding, and below
 * 1.2e-7 * max(1, |x|) as computed. Small negative results keep relative precision, which 1 + erf would lose. */
#ifndef MD_VECTOR_MATH_H
#define MD_VECTOR_MATH_H

#include "vector.h"

static inline vf vf_gelu(vf x)
{
    const vf one = vf_set(1.0f), zero = vf_set(0.0f);
    vf y = vf_absolute(x);
    vf t = vf_divide(one, vf_fma(y, vf_set(0.28f), one));
    vf p = vf_set(-0.10700686275959015f);
    p = vf_fma(p, t, vf_set(0.3948226571083069f));
    p = vf_fma(p, t, vf_set(-0.24511319398880005f));
    p = vf_fma(p, t, vf_set(0.27552688121795654f));
    p = vf_fma(p, t, vf_set(0.0648195743560791f));
    p = vf_fma(p, t, vf_set(0.11695093661546707f));
    vf tail = vf_multiply(vf_multiply(p, t), vf_exp(vf_multiply(vf_multiply(y, y), vf_set(-0.5f))));
    vf bounded = vf_min(vf_set(20.0f), y); /* the tail is 0 long before: 0 * inf must not arise */
    return vf_fma(vf_subtract(zero, bounded), tail, vf_max(zero, x));
}

/* x * (1 + tanh(u)) / 2 = x / (1 + exp(-2u)), u = sqrt(2 / pi) * (x + 0.044715 x^3): absolute error below
 * 4e-7 * max(1, |x|) against that formula. */
static inline vf vf_gelu_tanh(vf x)
{
    vf cubic = vf_fma(vf_multiply(x, x), vf_set(0.044715f), vf_set(1.0f));
    vf exponent = vf_multiply(vf_multiply(x, cubic), vf_set(-1.5957691216057308f));
    return vf_divide(x, vf_add(vf_set(1.0f), vf_exp(exponent)));
}

/* Absolute error below 2e-7. 1 / (1 + exp(-x)), written with exp(-|x|), which cannot overflow. */
static inline vf vf_sigmoid(vf x)
{
    const vf one = vf_set(1.0f), zero = vf_set(0.0f);
    vf power = vf_exp(vf_subtract(zero, vf_absolute(x)));
    return vf_divide(vf_select_below(power, one, x, zero), vf_add(one, power));
}

/* Absolute error below 2e-7, and below 4e-7 of the result. */
static inline vf vf_tanh(vf x)
{
    vf z = vf_multiply(x, x);
    vf q = vf_set(-0.0055144215003f);
    q = vf_fma(q, z, vf_set(0.0204683002084f));
    q = vf_fma(q, z, vf_set(-0.0536874420941f));
    q = vf_fma(q, z, vf_set(0.1333081871271f));
    q = vf_fma(q, z, vf_set(-0.3333325982094f));
    vf near_zero = vf_fma(vf_multiply(x, z), q, x);
    vf y = vf_absolute(x);
    /* 1 - 2 / (exp(2y) + 1), written with exp(-2y), which cannot overflow. */
    vf power = vf_exp(vf_multiply(y, vf_set(-2.0f)));
    vf far = vf_divide(vf_subtract(vf_set(1.0f), power), vf_add(vf_set(1.0f), power));
    return vf_with_sign(vf_select_below(near_zero, far, y, vf_set(0.65f)), x);
}

#endif
