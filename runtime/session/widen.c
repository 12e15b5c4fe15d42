/* widen.c - see widen.h. */
#include "widen.h"

#include "tensor.h"

void md_widen_to_float(const struct md_tensor *half, struct md_tensor *out_float)
{
    const uint16_t *from = md_elements(const uint16_t, half);
    float *to = md_elements(float, out_float);
    if (half->datatype == MD_FP16)
        for (size_t i = 0; i < half->count; i++)
            to[i] = md_fp16_to_float(from[i]);
    else
        for (size_t i = 0; i < half->count; i++)
            to[i] = md_bf16_to_float(from[i]);
}

void md_round_from_float(const struct md_tensor *from, struct md_tensor *out_half)
{
    const float *numbers = md_elements(const float, from);
    uint16_t *to = md_elements(uint16_t, out_half);
    if (out_half->datatype == MD_FP16)
        for (size_t i = 0; i < from->count; i++)
            to[i] = md_float_to_fp16(numbers[i]);
    else
        for (size_t i = 0; i < from->count; i++)
            to[i] = md_float_to_bf16(numbers[i]);
}
