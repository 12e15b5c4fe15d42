/* float_code.c - see float_code.h. */
#include "float_code.h"

void md_decode_floats(enum md_datatype datatype, size_t count, const void *codes, float *out_floats)
{
    const uint16_t *halves = codes;
    const uint8_t *bytes = codes;
    if (datatype == MD_FP16)
        for (size_t i = 0; i < count; i++)
            out_floats[i] = md_fp16_to_float(halves[i]);
    else if (datatype == MD_BF16)
        for (size_t i = 0; i < count; i++)
            out_floats[i] = md_bf16_to_float(halves[i]);
    else
        for (size_t i = 0; i < count; i++)
            out_floats[i] = md_small_float_to_float(datatype, bytes[i]);
}

void md_encode_floats(enum md_datatype datatype, bool saturate, size_t count, const float *floats, void *out_codes)
{
    uint16_t *halves = out_codes;
    uint8_t *bytes = out_codes;
    if (datatype == MD_FP16)
        for (size_t i = 0; i < count; i++)
            halves[i] = md_float_to_fp16(floats[i]);
    else if (datatype == MD_BF16)
        for (size_t i = 0; i < count; i++)
            halves[i] = md_float_to_bf16(floats[i]);
    else
        for (size_t i = 0; i < count; i++)
            bytes[i] = md_float_to_small_float(datatype, floats[i], saturate);
}

void md_read_reals(enum md_datatype datatype, size_t count, const void *elements, size_t step, double *out_reals)
{
    const size_t size = md_datatype_size(datatype);
    for (size_t i = 0; i < count; i++) {
        const char *at = (const char *)elements + i * step * size;
        float value = 0;
        if (datatype == MD_FP64) {
            out_reals[i] = *(const double *)(const void *)at;
            continue;
        }
        if (datatype == MD_FP32)
            value = *(const float *)(const void *)at;
        else
            md_decode_floats(datatype, 1, at, &value);
        out_reals[i] = (double)value;
    }
}

void md_wrap_4_bits(enum md_datatype datatype, size_t count, uint8_t *bytes)
{
    for (size_t i = 0; i < count; i++) {
        bytes[i] &= 15;
        if (datatype == MD_INT4 && bytes[i] >= 8)
            bytes[i] |= 0xf0;
    }
}
