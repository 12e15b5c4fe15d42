#include "fourier.h"

#include <math.h>
#include <string.h>

static bool is_power_of_two(size_t n)
{
    return (n & (n - 1)) == 0;
}

/* Bluestein's convolution needs 2n - 1 places. */
static size_t padded_length(size_t length)
{
    size_t padded = 1;
    while (padded < (is_power_of_two(length) ? length : 2 * length - 1))
        padded *= 2;
    return padded;
}

size_t md_fourier_size(size_t length)
{
    size_t padded = padded_length(length);
    size_t numbers = 2 * length + padded; /* signal, turns */
    if (!is_power_of_two(length))
        numbers += 2 * length + 4 * padded;
    return numbers * sizeof(double);
}

/* exp(-2 pi i k / n). */
static void turn(size_t k, size_t n, double *out)
{
    double angle = 2 * acos(-1.0) * (double)k / (double)n;
    out[0] = cos(angle);
    out[1] = -sin(angle);
}

/* In place, decimation in time; forward. */
static void transform(double *x, size_t n, const double *turns)
{
    for (size_t i = 1, j = 0; i < n; i++) { /* bit reversal */
        size_t mask = n / 2;
        for (; (j & mask) != 0; mask /= 2)
            j ^= mask;
        j ^= mask;
        if (i < j)
            for (int part = 0; part < 2; part++) {
                double keep = x[2 * i + (size_t)part];
                x[2 * i + (size_t)part] = x[2 * j + (size_t)part];
                x[2 * j + (size_t)part] = keep;
            }
    }
    for (size_t half = 1; half < n; half *= 2)
        for (size_t first = 0; first < n; first += 2 * half)
            for (size_t k = 0; k < half; k++) {
                const double *w = turns + 2 * k * (n / (2 * half));
                double *a = x + 2 * (first + k), *b = a + 2 * half;
                double re = b[0] * w[0] - b[1] * w[1], im = b[0] * w[1] + b[1] * w[0];
                b[0] = a[0] - re;
                b[1] = a[1] - im;
                a[0] += re;
                a[1] += im;
            }
}

static void init_bluestein(struct md_fourier *fourier)
{
    size_t n = fourier->length, padded = fourier->padded;
    memset(fourier->filter, 0, 2 * padded * sizeof(double));
    size_t square = 0; /* k * k modulo 2n, without overflow */
    for (size_t k = 0; k < n; k++) {
        double *w = fourier->chirp + 2 * k;
        turn(square, 2 * n, w);
        double *low = fourier->filter + 2 * k, *high = fourier->filter + 2 * (k == 0 ? 0 : padded - k);
        low[0] = high[0] = w[0];
        low[1] = high[1] = -w[1];
        square = (square + 2 * k + 1) % (2 * n);
    }
    transform(fourier->filter, padded, fourier->turns);
}

void md_fourier_init(struct md_fourier *fourier, size_t length, bool inverse, void *memory)
{
    size_t padded = padded_length(length);
    double *numbers = memory;
    *fourier = (struct md_fourier){ .length = length,
                                    .inverse = inverse,
                                    .padded = padded,
                                    .signal = numbers,
                                    .turns = numbers + 2 * length };
    for (size_t k = 0; k < padded / 2; k++)
        turn(k, padded, fourier->turns + 2 * k);
    if (is_power_of_two(length))
        return;
    fourier->chirp = fourier->turns + padded;
    fourier->filter = fourier->chirp + 2 * length;
    fourier->work = fourier->filter + 2 * padded;
    init_bluestein(fourier);
}

static void multiply(double *x, const double *y)
{
    double re = x[0] * y[0] - x[1] * y[1];
    x[1] = x[0] * y[1] + x[1] * y[0];
    x[0] = re;
}

static void run_bluestein(struct md_fourier *fourier)
{
    size_t n = fourier->length, padded = fourier->padded;
    double *work = fourier->work;
    memcpy(work, fourier->signal, 2 * n * sizeof(double));
    memset(work + 2 * n, 0, 2 * (padded - n) * sizeof(double));
    for (size_t k = 0; k < n; k++)
        multiply(work + 2 * k, fourier->chirp + 2 * k);
    transform(work, padded, fourier->turns);
    for (size_t k = 0; k < padded; k++) {
        multiply(work + 2 * k, fourier->filter + 2 * k);
        work[2 * k + 1] = -work[2 * k + 1]; /* the inverse is the conjugate of the forward of the conjugate */
    }
    transform(work, padded, fourier->turns);
    for (size_t k = 0; k < n; k++) {
        double *out = fourier->signal + 2 * k;
        out[0] = work[2 * k] / (double)padded;
        out[1] = -work[2 * k + 1] / (double)padded;
        multiply(out, fourier->chirp + 2 * k);
    }
}

static void conjugate(struct md_fourier *fourier, double divisor)
{
    for (size_t k = 0; k < fourier->length; k++) {
        fourier->signal[2 * k] /= divisor;
        fourier->signal[2 * k + 1] /= -divisor;
    }
}

void md_fourier_run(struct md_fourier *fourier)
{
    if (fourier->inverse)
        conjugate(fourier, 1);
    if (is_power_of_two(fourier->length))
        transform(fourier->signal, fourier->length, fourier->turns);
    else
        run_bluestein(fourier);
    if (fourier->inverse)
        conjugate(fourier, (double)fourier->length);
}
