/* row_normalization.c - see row_normalization.h. */
#include "row_normalization.h"

#include "broadcast_loop.h"

#include <math.h>

enum { LANES = 8 };

/* Sum of (in[i] - shift)^power for power 1 or 2. */
#define ROW_KERNELS(type)                                                                                    \
    static double sum_##type(const type *in, size_t count)                                                   \
    {                                                                                                        \
        double lanes[LANES] = { 0 };                                                                         \
        size_t i = 0;                                                                                        \
        for (; i + LANES <= count; i += LANES)                                                               \
            for (size_t l = 0; l < LANES; l++)                                                               \
                lanes[l] += (double)in[i + l];                                                               \
        for (size_t l = 0; i < count; i++, l++)                                                              \
            lanes[l] += (double)in[i];                                                                       \
        return ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7])); \
    }                                                                                                        \
    static double sum_squares_##type(const type *in, size_t count, double shift)                             \
    {                                                                                                        \
        double lanes[LANES] = { 0 };                                                                         \
        size_t i = 0;                                                                                        \
        for (; i + LANES <= count; i += LANES)                                                               \
            for (size_t l = 0; l < LANES; l++)                                                               \
                lanes[l] += ((double)in[i + l] - shift) * ((double)in[i + l] - shift);                       \
        for (size_t l = 0; i < count; i++, l++)                                                              \
            lanes[l] += ((double)in[i] - shift) * ((double)in[i] - shift);                                   \
        return ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7])); \
    }                                                                                                        \
    static void apply_##type(const struct md_row_normalization *normalization,                               \
                             struct md_row_statistics statistics, const type *in, type *out)                 \
    {                                                                                                        \
        const type *scale = normalization->scale, *bias = normalization->bias;                               \
        const type mean = (type)statistics.mean, inverse = (type)statistics.inverse;                         \
        const size_t length = normalization->length;                                                         \
        if (scale != NULL && bias != NULL) {                                                                 \
            MD_INDEPENDENT                                                                                   \
            for (size_t i = 0; i < length; i++)                                                              \
                out[i] = (in[i] - mean) * inverse * scale[i] + bias[i];                                      \
            return;                                                                                          \
        }                                                                                                    \
        for (size_t i = 0; i < length; i++) {                                                                \
            type value = (in[i] - mean) * inverse;                                                           \
            value = scale != NULL ? value * scale[i] : value;                                                \
            out[i] = bias != NULL ? value + bias[i] : value;                                                 \
        }                                                                                                    \
    }

ROW_KERNELS(float)
ROW_KERNELS(double)

void md_row_moments(enum md_datatype datatype, const void *in, size_t length, bool centered, double *out_mean,
                    double *out_variance)
{
    const double count = (double)length;
    *out_mean = 0;
    if (centered)
        *out_mean = (datatype == MD_FP32 ? sum_float(in, length) : sum_double(in, length)) / count;
    *out_variance = (datatype == MD_FP32 ? sum_squares_float(in, length, *out_mean) :
                                           sum_squares_double(in, length, *out_mean)) / count;
}

struct md_row_statistics md_row_normalize(const struct md_row_normalization *normalization, const void *in, void *out)
{
    struct md_row_statistics statistics;
    double variance = 0;
    md_row_moments(normalization->datatype, in, normalization->length, normalization->centered, &statistics.mean,
                   &variance);
    statistics.inverse = 1 / sqrt(variance + normalization->epsilon);
    if (normalization->datatype == MD_FP32)
        apply_float(normalization, statistics, in, out);
    else
        apply_double(normalization, statistics, in, out);
    return statistics;
}
