/* bench_gemm.c - speed of the packed matrix product in GFLOP/s, for the shapes of text encoders.
 *
 * Usage: bench_gemm. For each shape the best of several rounds, on one thread, in the fastest variant that the machine
 * has; "cold" products walk through many copies of the weights, so that these come from memory as they do in a model. */
#include "gemm.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { COLD_BYTES = 100 << 20, MAX_COPIES = 256 };

struct shape {
    size_t rows, depth, columns;
};

static const struct shape shapes[] = {
    { 1, 384, 384 },     { 8, 384, 384 },     { 8, 384, 1536 },   { 8, 1536, 384 },   { 32, 384, 1536 },
    { 128, 384, 384 },   { 128, 384, 1152 },  { 128, 384, 1536 }, { 128, 1536, 384 }, { 512, 384, 1536 },
    { 1, 768, 3072 },    { 8, 768, 3072 },    { 8, 3072, 768 },   { 32, 768, 3072 },  { 128, 768, 768 },
    { 128, 768, 3072 },  { 128, 3072, 768 },  { 512, 768, 3072 }, { 512, 3072, 768 },
};

static double now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time); /* the clock exists */
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static float *random_floats(size_t count)
{
    float *values = aligned_alloc(64, (count * sizeof *values + 63) / 64 * 64);
    for (size_t i = 0; values != NULL && i < count; i++)
        values[i] = (float)rand() / (float)RAND_MAX - 0.5f;
    return values;
}

/* Seconds of one product: the least of `rounds`, each over all copies of B. */
static double best_time(struct md_gemm *gemm, const struct md_packed_matrix *packed, size_t copies, int rounds)
{
    double best = 1e9;
    size_t repeat = 1 + (size_t)(4e7 / (double)(gemm->rows * gemm->columns * gemm->depth)) / copies;
    for (int round = 0; round < rounds; round++) {
        double begin = now();
        for (size_t i = 0; i < repeat * copies; i++) {
            gemm->packed = &packed[i % copies];
            md_gemm(gemm, NULL);
        }
        double seconds = (now() - begin) / (double)(repeat * copies);
        best = seconds < best ? seconds : best;
    }
    return best;
}

static int measure(const struct shape *shape)
{
    struct md_packed_matrix packed[MAX_COPIES];
    float *a = random_floats(shape->rows * shape->depth), *b = random_floats(shape->depth * shape->columns);
    float *c = random_floats(shape->rows * shape->columns), *bias = random_floats(shape->columns);
    size_t size = 0;
    if (a == NULL || b == NULL || c == NULL || bias == NULL ||
        !md_matrix_pack_size(MD_GEMM_F32, shape->depth, shape->columns, &size))
        return 1;
    size_t stride = (size + 63) / 64 * 64, copies = COLD_BYTES / stride;
    copies = copies > MAX_COPIES ? MAX_COPIES : copies;
    char *panels = aligned_alloc(64, copies * stride);
    if (panels == NULL)
        return 1;
    struct md_matrix matrix = { b, (ptrdiff_t)shape->columns, 1 };
    for (size_t i = 0; i < copies; i++)
        md_matrix_pack(MD_GEMM_F32, shape->depth, shape->columns, &matrix, panels + i * stride, &packed[i]);
    struct md_gemm gemm = {
        .type = MD_GEMM_F32, .rows = shape->rows, .columns = shape->columns, .depth = shape->depth,
        .a = { a, (ptrdiff_t)shape->depth, 1 }, .c = c, .c_stride = shape->columns,
        .finish = { .alpha = 1.0, .column_bias = bias },
    };
    double flops = 2e-9 * (double)shape->rows * (double)shape->depth * (double)shape->columns;
    double warm = best_time(&gemm, packed, 1, 9), cold = best_time(&gemm, packed, copies, 3);
    printf("%4zu x %4zu x %4zu  %8.1f  %8.1f\n", shape->rows, shape->depth, shape->columns, flops / warm,
           flops / cold);
    free(a);
    free(b);
    free(c);
    free(bias);
    free(panels);
    return 0;
}

int main(void)
{
    printf("   M      K      N   GFLOP/s      cold\n");
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        if (measure(&shapes[i]) != 0)
            return 1;
    return 0;
}
