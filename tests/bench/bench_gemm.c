/* bench_gemm.c - speed of the packed matrix products (FP32, BF16, INT8) in GFLOP/s, for the shapes of text encoders. The
 * narrow ones are measured with the rounding of their rows.
 *
 * Usage: bench_gemm. For each shape the best of several rounds, on one thread, in the fastest variant that the machine
 * has; "cold" products walk through many copies of the weights, so that these come from memory as they do in a model. */
#include "narrow_gemm.h"

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

/* One product of a shape, in one of the precisions, against one of many copies of B. */
struct bench {
    const struct shape *shape;
    struct md_gemm gemm;
    struct md_packed_matrix *packed;
    struct md_narrow_gemm narrow;
    struct md_narrow_matrix *matrices;
    float *a, *b, *c, *bias;
    char *panels, *rows;
    size_t copies;
};

static void run_real(struct bench *bench, size_t copy)
{
    bench->gemm.packed = &bench->packed[copy];
    md_gemm(&bench->gemm, NULL);
}

static void run_narrow(struct bench *bench, size_t copy)
{
    bench->narrow.b = &bench->matrices[copy];
    md_narrow_real_rows(&bench->narrow.a, 0, bench->shape->rows, bench->a, bench->shape->depth);
    md_narrow_gemm(&bench->narrow);
}

/* Seconds of one product: the least of `rounds`, each over `copies` copies of B. */
static double best_time(struct bench *bench, void (*run)(struct bench *, size_t), size_t copies, int rounds)
{
    const struct shape *shape = bench->shape;
    double best = 1e9;
    size_t repeat = 1 + (size_t)(4e7 / (double)(shape->rows * shape->columns * shape->depth)) / copies;
    for (int round = 0; round < rounds; round++) {
        double begin = now();
        for (size_t i = 0; i < repeat * copies; i++)
            run(bench, i % copies);
        double seconds = (now() - begin) / (double)(repeat * copies);
        best = seconds < best ? seconds : best;
    }
    return best;
}

static void print_speed(struct bench *bench, void (*run)(struct bench *, size_t))
{
    const struct shape *shape = bench->shape;
    double flops = 2e-9 * (double)shape->rows * (double)shape->depth * (double)shape->columns;
    double warm = best_time(bench, run, 1, 7), cold = best_time(bench, run, bench->copies, 3);
    printf("  %8.1f %8.1f", flops / warm, flops / cold);
}

static bool allocate(struct bench *bench, size_t size, size_t *out_stride)
{
    const struct shape *shape = bench->shape;
    size_t rows_size = 0;
    *out_stride = (size + 63) / 64 * 64;
    bench->copies = COLD_BYTES / *out_stride > MAX_COPIES ? MAX_COPIES : COLD_BYTES / *out_stride;
    if (!md_narrow_rows_size(MD_NARROW_BF16, shape->rows, shape->depth, &rows_size))
        return false;
    bench->panels = aligned_alloc(64, bench->copies * *out_stride);
    bench->rows = aligned_alloc(64, (rows_size + 63) / 64 * 64);
    bench->a = random_floats(shape->rows * shape->depth);
    bench->b = random_floats(shape->depth * shape->columns);
    bench->c = random_floats(shape->rows * shape->columns);
    bench->bias = random_floats(shape->columns);
    return bench->panels != NULL && bench->rows != NULL && bench->a != NULL && bench->b != NULL && bench->c != NULL &&
           bench->bias != NULL;
}

static void measure_real(struct bench *bench, size_t stride)
{
    const struct shape *shape = bench->shape;
    struct md_matrix matrix = { bench->b, (ptrdiff_t)shape->columns, 1 };
    for (size_t i = 0; i < bench->copies; i++)
        md_matrix_pack(MD_GEMM_F32, shape->depth, shape->columns, &matrix, bench->panels + i * stride, &bench->packed[i]);
    bench->gemm = (struct md_gemm){
        .type = MD_GEMM_F32, .rows = shape->rows, .columns = shape->columns, .depth = shape->depth,
        .a = { bench->a, (ptrdiff_t)shape->depth, 1 }, .c = bench->c, .c_stride = shape->columns,
        .finish = { .alpha = 1.0, .column_bias = bench->bias },
    };
    print_speed(bench, run_real);
}

static void measure_narrow(struct bench *bench, enum md_narrow_type type, size_t stride)
{
    const struct shape *shape = bench->shape;
    struct md_matrix matrix = { bench->b, (ptrdiff_t)shape->columns, 1 };
    md_narrow_pack(type, shape->depth, shape->columns, &matrix, bench->panels, &bench->matrices[0]);
    for (size_t i = 1; i < bench->copies; i++) {
        bench->matrices[i] = bench->matrices[0];
        bench->matrices[i].bytes = memcpy(bench->panels + i * stride, bench->panels, stride);
    }
    bench->narrow = (struct md_narrow_gemm){
        .a = { type, shape->rows, shape->depth, bench->rows }, .rows = shape->rows, .columns = shape->columns,
        .c = bench->c, .c_stride = shape->columns, .column_bias = bench->bias,
    };
    print_speed(bench, run_narrow);
}

/* FP32 has the largest packed form: its stride does for all. */
static int measure(const struct shape *shape)
{
    struct md_packed_matrix packed[MAX_COPIES];
    struct md_narrow_matrix matrices[MAX_COPIES];
    struct bench bench = { .shape = shape, .packed = packed, .matrices = matrices };
    size_t size = 0, stride;
    if (!md_matrix_pack_size(MD_GEMM_F32, shape->depth, shape->columns, &size) || !allocate(&bench, size, &stride))
        return 1;
    printf("%4zu x %4zu x %4zu", shape->rows, shape->depth, shape->columns);
    measure_real(&bench, stride);
    measure_narrow(&bench, MD_NARROW_BF16, stride);
    measure_narrow(&bench, MD_NARROW_INT8, stride);
    printf("\n");
    free(bench.a);
    free(bench.b);
    free(bench.c);
    free(bench.bias);
    free(bench.panels);
    free(bench.rows);
    return 0;
}

int main(void)
{
    printf("   M      K      N       fp32     cold      bf16     cold      int8     cold\n");
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        if (measure(&shapes[i]) != 0)
            return 1;
    return 0;
}
