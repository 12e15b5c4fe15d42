/* integer_from_real.h - conversions of floating point numbers to integers that are defined for every value.
 *
 * C leaves a conversion undefined when the truncated value does not fit. Here NaN becomes 0 and what does not fit in
 * 64 bits saturates; narrower types take the low bits of that, as the integer casts of ONNX do. */
#ifndef MD_INTEGER_FROM_REAL_H
#define MD_INTEGER_FROM_REAL_H

#include <stdint.h>

static inline int64_t md_int64_from_double(double x)
{
    if (x >= -9223372036854775808.0 && x < 9223372036854775808.0)
        return (int64_t)x;
    return x > 0 ? INT64_MAX : x < 0 ? INT64_MIN : 0;
}

/* Negative values that fit in int64 wrap: -1 is UINT64_MAX. */
static inline uint64_t md_uint64_from_double(double x)
{
    if (x >= 9223372036854775808.0)
        return x < 18446744073709551616.0 ? (uint64_t)x : UINT64_MAX;
    return (uint64_t)md_int64_from_double(x);
}

/* One name per C type, for code that macros generate. */
static inline int32_t md_int32_t_from_double(double x)
{
    return x > -2147483649.0 && x < 2147483648.0 ? (int32_t)x : (int32_t)md_int64_from_double(x);
}
static inline int8_t md_int8_t_from_double(double x)
{
    return (int8_t)md_int32_t_from_double(x);
}
static inline int16_t md_int16_t_from_double(double x)
{
    return (int16_t)md_int32_t_from_double(x);
}
static inline int64_t md_int64_t_from_double(double x)
{
    return md_int64_from_double(x);
}
static inline uint8_t md_uint8_t_from_double(double x)
{
    return (uint8_t)md_int32_t_from_double(x);
}
static inline uint16_t md_uint16_t_from_double(double x)
{
    return (uint16_t)md_int32_t_from_double(x);
}
static inline uint32_t md_uint32_t_from_double(double x)
{
    return (uint32_t)md_int64_from_double(x);
}
static inline uint64_t md_uint64_t_from_double(double x)
{
    return md_uint64_from_double(x);
}
/* So that the same macros also serve the real types. */
static inline float md_float_from_double(double x)
{
    return (float)x;
}
static inline double md_double_from_double(double x)
{
    return x;
}

#endif
