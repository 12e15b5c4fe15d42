/* rotary.c - see rotary.h. */
#include "rotary.h"

void md_rotate_head(bool interleaved, size_t size, size_t half, const float *cosines, const float *sines,
                    const float *in, float *out)
{
    const size_t step = interleaved ? 2 : 1, apart = interleaved ? 1 : half;
    for (size_t i = 0; i < half; i++) {
        float x = in[i * step], y = in[i * step + apart];
        out[i * step] = cosines[i] * x - sines[i] * y;
        out[i * step + apart] = sines[i] * x + cosines[i] * y;
    }
    for (size_t i = 2 * half; i < size; i++)
        out[i] = in[i];
}
