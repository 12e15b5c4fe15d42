/* requantize.c - see requantize.h. */
#include "requantize.h"

#include "float_code.h"

#include <math.h>

#define STORE(datatype, type, low, high)                                                                     \
    case datatype:                                                                                           \
        for (size_t i = 0; i < count; i++) {                                                                 \
            float code = rintf(values[i]) + zero;                                                            \
            md_elements(type, output)[first + i] = (type)(code > high ? high : code > low ? code : low);     \
        }                                                                                                    \
        break;

void md_requantize(const float *values, size_t count, const struct md_tensor *zero_point,
                   struct md_tensor *output, size_t first)
{
    const float zero = zero_point == NULL ? 0.0f : (float)md_tensor_double(zero_point, 0);
    switch (output->datatype) {
        STORE(MD_INT8, int8_t, -128.0f, 127.0f)
        STORE(MD_UINT8, uint8_t, 0.0f, 255.0f)
        STORE(MD_INT16, int16_t, -32768.0f, 32767.0f)
        STORE(MD_UINT16, uint16_t, 0.0f, 65535.0f)
    default:
        for (size_t i = 0; i < count; i++)
            md_elements(uint8_t, output)[first + i] =
                md_float_to_small_float(output->datatype, values[i] + zero, true);
        break;
    }
}
