/* bf16.h - rounding to bfloat16 on any machine. Private to kernels/. */
#ifndef MD_BF16_H
#define MD_BF16_H

#include <stdint.h>
#include <string.h>

/* To nearest even; a NaN stays one. */
static inline uint16_t md_bf16_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != value)
        return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

#endif
