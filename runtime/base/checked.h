/* checked.h - arithmetic on sizes that come from a request or a file. False means overflow. */
#ifndef MD_CHECKED_H
#define MD_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool md_checked_multiply(size_t a, size_t b, size_t *out_product)
{
    return !__builtin_mul_overflow(a, b, out_product);
}

static inline bool md_checked_add(size_t a, size_t b, size_t *out_sum)
{
    return !__builtin_add_overflow(a, b, out_sum);
}

static inline bool md_checked_multiply_i64(int64_t a, int64_t b, int64_t *out_product)
{
    return !__builtin_mul_overflow(a, b, out_product);
}

#endif
