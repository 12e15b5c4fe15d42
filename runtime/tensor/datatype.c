/* datatype.c - names, sizes and the conversions between float formats; see datatype.h. */
#include "datatype.h"

#include "span.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    size_t size;
} datatypes[MD_DATATYPE_COUNT] = {
    [MD_DATATYPE_NONE] = { "?", 0 },
    [MD_FP32] = { "FP32", 4 },
    [MD_UINT8] = { "UINT8", 1 },
    [MD_INT8] = { "INT8", 1 },
    [MD_UINT16] = { "UINT16", 2 },
    [MD_INT16] = { "INT16", 2 },
    [MD_INT32] = { "INT32", 4 },
    [MD_INT64] = { "INT64", 8 },
    [MD_BYTES] = { "BYTES", sizeof(struct md_span) },
    [MD_BOOL] = { "BOOL", 1 },
    [MD_FP16] = { "FP16", 2 },
    [MD_FP64] = { "FP64", 8 },
    [MD_UINT32] = { "UINT32", 4 },
    [MD_UINT64] = { "UINT64", 8 },
    [MD_COMPLEX64] = { "COMPLEX64", 8 },
    [MD_COMPLEX128] = { "COMPLEX128", 16 },
    [MD_BF16] = { "BF16", 2 },
    [MD_FP8E4M3FN] = { "FP8E4M3FN", 1 },
    [MD_FP8E4M3FNUZ] = { "FP8E4M3FNUZ", 1 },
    [MD_FP8E5M2] = { "FP8E5M2", 1 },
    [MD_FP8E5M2FNUZ] = { "FP8E5M2FNUZ", 1 },
    [MD_UINT4] = { "UINT4", 1 },
    [MD_INT4] = { "INT4", 1 },
    [MD_FP4E2M1] = { "FP4E2M1", 1 },
};

size_t md_datatype_size(enum md_datatype datatype)
{
    return (unsigned)datatype < MD_DATATYPE_COUNT ? datatypes[datatype].size : 0;
}

const char *md_datatype_name(enum md_datatype datatype)
{
    return (unsigned)datatype < MD_DATATYPE_COUNT ? datatypes[datatype].name : "?";
}

enum md_datatype md_datatype_from_name(const char *name, size_t size)
{
    for (int i = MD_FP32; i < MD_DATATYPE_COUNT; i++)
        if (strlen(datatypes[i].name) == size && memcmp(datatypes[i].name, name, size) == 0)
            return (enum md_datatype)i;
    return MD_DATATYPE_NONE;
}

static uint32_t float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float bits_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float md_fp16_to_float(uint16_t bits)
{
    uint32_t sign = (uint32_t)(bits & 0x8000u) << 16;
    uint32_t exponent = bits >> 10 & 0x1Fu;
    uint32_t mantissa = bits & 0x3FFu;
    if (exponent == 0x1F)
        return bits_float(sign | 0x7F800000u | mantissa << 13);
    if (exponent != 0)
        return bits_float(sign | (exponent + 112) << 23 | mantissa << 13);
    float subnormal = (float)mantissa * 0x1p-24f;
    return sign != 0 ? -subnormal : subnormal;
}

uint16_t md_float_to_fp16(float value)
{
    uint32_t bits = float_bits(value);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000u);
    uint32_t magnitude = bits & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u)
        return (uint16_t)(sign | 0x7E00u | (magnitude >> 13 & 0x1FFu));
    if (magnitude >= 0x477FF000u) /* rounds to 65536 or more */
        return (uint16_t)(sign | 0x7C00u);
    if (magnitude < 0x38800000u) { /* below 2^-14: subnormal; the addition rounds to nearest even */
        float rounded = bits_float(magnitude) + 0.5f;
        return (uint16_t)(sign | (float_bits(rounded) - 0x3F000000u));
    }
    uint32_t odd = magnitude >> 13 & 1u;
    return (uint16_t)(sign | (magnitude - 0x38000000u + 0xFFFu + odd) >> 13);
}

float md_bf16_to_float(uint16_t bits)
{
    return bits_float((uint32_t)bits << 16);
}

uint16_t md_float_to_bf16(float value)
{
    uint32_t bits = float_bits(value);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u)
        return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

/* The small formats: exponent and mantissa widths, bias, and which codes are not finite numbers. */
struct small_float {
    int mantissa_bits;
    int bias;
    uint8_t largest; /* code of the largest finite magnitude */
    bool infinity;   /* largest + 1 is infinity, above it NaN */
    bool unsigned_zero; /* FNUZ: 0x80 is the only NaN, there is no -0 */
};

static struct small_float small_float_of(enum md_datatype datatype)
{
    switch (datatype) {
    case MD_FP8E4M3FN:
        return (struct small_float){ 3, 7, 0x7E, false, false };
    case MD_FP8E4M3FNUZ:
        return (struct small_float){ 3, 8, 0x7F, false, true };
    case MD_FP8E5M2:
        return (struct small_float){ 2, 15, 0x7B, true, false };
    case MD_FP8E5M2FNUZ:
        return (struct small_float){ 2, 16, 0x7F, false, true };
    default:
        return (struct small_float){ 1, 1, 0x07, false, false }; /* FP4E2M1: no NaN, no infinity */
    }
}

static float small_magnitude(const struct small_float *format, int code)
{
    int exponent = code >> format->mantissa_bits;
    int mantissa = code & ((1 << format->mantissa_bits) - 1);
    if (exponent == 0)
        return ldexpf((float)mantissa, 1 - format->bias - format->mantissa_bits);
    return ldexpf((float)(mantissa | 1 << format->mantissa_bits), exponent - format->bias - format->mantissa_bits);
}

float md_small_float_to_float(enum md_datatype datatype, uint8_t bits)
{
    struct small_float format = small_float_of(datatype);
    int sign_bit = datatype == MD_FP4E2M1 ? 0x8 : 0x80;
    int code = bits & (sign_bit - 1);
    bool negative = (bits & sign_bit) != 0;
    if (format.unsigned_zero && bits == 0x80)
        return NAN;
    float magnitude;
    if (code <= format.largest)
        magnitude = small_magnitude(&format, code);
    else
        magnitude = format.infinity && code == format.largest + 1 ? INFINITY : NAN;
    return negative ? -magnitude : magnitude;
}

/* What stands for "too large", and for NaN, in each format (ONNX, Cast: table of float 8 casts). */
static uint8_t small_overflow(enum md_datatype datatype, const struct small_float *format, bool saturate, uint8_t sign)
{
    if (saturate || datatype == MD_FP4E2M1)
        return (uint8_t)(sign | format->largest);
    if (format->unsigned_zero)
        return 0x80;
    return (uint8_t)(sign | (format->infinity ? format->largest + 1 : 0x7F));
}

uint8_t md_float_to_small_float(enum md_datatype datatype, float value, bool saturate)
{
    struct small_float format = small_float_of(datatype);
    uint8_t sign = !signbit(value) ? 0 : datatype == MD_FP4E2M1 ? 0x8 : 0x80;
    if (isnan(value)) {
        if (datatype == MD_FP4E2M1)
            return format.largest;
        return format.unsigned_zero ? 0x80 : (uint8_t)(sign | 0x7F);
    }
    float magnitude = fabsf(value);
    if (isinf(value))
        return small_overflow(datatype, &format, saturate, sign);
    int low = 0;
    int high = format.largest + 1; /* the code after the largest continues the grid: it decides the rounding */
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (small_magnitude(&format, middle) <= magnitude)
            low = middle;
        else
            high = middle;
    }
    float below = small_magnitude(&format, low);
    float above = small_magnitude(&format, low + 1);
    float from_below = magnitude - below;
    float to_above = above - magnitude;
    int code = from_below < to_above || (from_below <= to_above && (low & 1) == 0) ? low : low + 1;
    if (code > format.largest)
        return small_overflow(datatype, &format, saturate, sign);
    if (code == 0 && format.unsigned_zero)
        return 0;
    return (uint8_t)(sign | code);
}
