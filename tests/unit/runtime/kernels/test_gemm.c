/* test_gemm.c - every variant that this machine has against sums in double; and what batch invariance
 * promises: the bits of a row depend on nothing but the row. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gemm_variant.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROWS = 21, MAX_COLUMNS = 101, MAX_DEPTH = 77 };

struct operands {
    float a[MAX_ROWS * MAX_DEPTH], b[MAX_DEPTH * MAX_COLUMNS], c[MAX_ROWS * MAX_COLUMNS];
    float column_bias[MAX_COLUMNS], row_bias[MAX_ROWS];
    float workspace[MAX_DEPTH * MD_GEMM_MAX_PANEL];
    float panels[MAX_DEPTH * (MAX_COLUMNS + MD_GEMM_MAX_PANEL)];
};

/* Small integers and halves: sums are exact, so every order of summation gives the same bits. */
static void fill(float *values, size_t count, unsigned seed)
{
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        values[i] = (float)(int)(seed >> 24 & 15u) * 0.5f - 3.5f;
    }
}

static void fill_rough(float *values, size_t count, unsigned seed)
{
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        values[i] = (float)seed / 4294967296.0f - 0.5f;
    }
}

static struct md_gemm product(struct operands *o, size_t rows, size_t columns, size_t depth)
{
    return (struct md_gemm){
        .type = MD_GEMM_F32,
        .rows = rows,
        .columns = columns,
        .depth = depth,
        .a = { o->a, (ptrdiff_t)depth, 1 },
        .b = { o->b, (ptrdiff_t)columns, 1 },
        .c = o->c,
        .c_stride = columns,
        .finish.alpha = 1.0,
    };
}

static double exact(const struct operands *o, size_t i, size_t j, size_t columns, size_t depth)
{
    double sum = 0;
    for (size_t k = 0; k < depth; k++)
        sum += (double)o->a[i * depth + k] * (double)o->b[k * columns + j];
    return sum;
}

static void test_every_variant_computes_every_size(void **state)
{
    (void)state;
    static const size_t depths[] = { 0, 1, 7, MAX_DEPTH };
    struct operands *o = malloc(sizeof *o);
    assert_non_null(o);
    fill(o->a, MAX_ROWS * MAX_DEPTH, 1);
    fill(o->b, MAX_DEPTH * MAX_COLUMNS, 2);
    for (size_t v = 0; md_gemm_variant_at(v) != NULL; v++) {
        const struct md_gemm_variant *variant = md_gemm_variant_at(v);
        if (variant->isa > md_isa_of_machine())
            continue;
        for (size_t d = 0; d < sizeof depths / sizeof depths[0]; d++)
            for (size_t rows = 1; rows <= MAX_ROWS; rows += 1 + rows / 10)
                for (size_t columns = 1; columns <= MAX_COLUMNS; columns += 1 + columns / 6) {
                    struct md_gemm gemm = product(o, rows, columns, depths[d]);
                    gemm.backwards = columns % 2 != 0;
                    memset(o->c, 0xff, sizeof o->c);
                    md_gemm_with(&variant->loops[MD_GEMM_F32], &gemm, o->workspace);
                    for (size_t i = 0; i < rows; i++)
                        for (size_t j = 0; j < columns; j++)
                            assert_true((double)o->c[i * columns + j] == exact(o, i, j, columns, depths[d]));
                }
    }
    free(o);
}

static void test_finish_scales_adds_and_cuts(void **state)
{
    (void)state;
    struct operands *o = malloc(sizeof *o);
    assert_non_null(o);
    const size_t rows = 5, columns = 50, depth = 9;
    fill(o->a, rows * depth, 3);
    fill(o->b, depth * columns, 4);
    fill(o->column_bias, columns, 5);
    fill(o->row_bias, rows, 6);
    for (size_t v = 0; md_gemm_variant_at(v) != NULL; v++) {
        if (md_gemm_variant_at(v)->isa > md_isa_of_machine())
            continue;
        for (size_t i = 0; i < rows * columns; i++)
            o->c[i] = 2.0f;
        struct md_gemm gemm = product(o, rows, columns, depth);
        gemm.finish = (struct md_gemm_finish){ 0.5, o->column_bias, o->row_bias, true, MD_GEMM_RELU };
        md_gemm_with(&md_gemm_variant_at(v)->loops[MD_GEMM_F32], &gemm, o->workspace);
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < columns; j++) {
                double expected = exact(o, i, j, columns, depth) * 0.5 + (double)o->column_bias[j] +
                                  (double)o->row_bias[i] + 2.0;
                assert_true((double)o->c[i * columns + j] == (expected > 0 ? expected : 0));
            }
    }
    free(o);
}

static void test_bits_of_a_row_depend_on_the_row_alone(void **state)
{
    (void)state;
    struct operands *o = malloc(sizeof *o);
    float *alone = malloc(MAX_COLUMNS * sizeof *alone);
    assert_non_null(o);
    assert_non_null(alone);
    fill_rough(o->a, MAX_ROWS * MAX_DEPTH, 7);
    fill_rough(o->b, MAX_DEPTH * MAX_COLUMNS, 8);
    for (size_t v = 0; md_gemm_variant_at(v) != NULL; v++) {
        const struct md_gemm_loops *loops = &md_gemm_variant_at(v)->loops[MD_GEMM_F32];
        struct md_packed_matrix packed;
        if (md_gemm_variant_at(v)->isa > md_isa_of_machine())
            continue;
        struct md_gemm gemm = product(o, MAX_ROWS, MAX_COLUMNS, MAX_DEPTH);
        md_gemm_with(loops, &gemm, o->workspace);
        md_matrix_pack_with(loops, MD_GEMM_F32, MAX_DEPTH, MAX_COLUMNS, &gemm.b, o->panels, &packed);
        for (size_t i = 0; i < MAX_ROWS; i++) {
            struct md_gemm one = gemm;
            one.rows = 1;
            one.backwards = i % 3 == 0;
            one.a.elements = o->a + i * MAX_DEPTH;
            one.c = alone;
            one.b.elements = i % 2 == 0 ? NULL : gemm.b.elements;
            one.packed = i % 2 == 0 ? &packed : NULL;
            md_gemm_with(loops, &one, o->workspace);
            assert_memory_equal(alone, o->c + i * MAX_COLUMNS, MAX_COLUMNS * sizeof *alone);
        }
    }
    free(alone);
    free(o);
}

/* Transposed operands, negative strides, and the other types. */
static void test_strides_and_types(void **state)
{
    (void)state;
    static const int32_t a[] = { 1, 2, 3, 4, 5, 6 };                     /* 2 x 3, rows in reverse order */
    static const int32_t b_transposed[] = { 1, 0, -1, 2, 1, INT32_MAX }; /* 3 x 2 */
    int32_t c[4], workspace[3 * MD_GEMM_MAX_PANEL];
    struct md_gemm gemm = {
        .type = MD_GEMM_I32,
        .rows = 2,
        .columns = 2,
        .depth = 3,
        .a = { a + 3, -3, 1 },
        .b = { b_transposed, 1, 3 },
        .c = c,
        .c_stride = 2,
        .finish.alpha = 1.0,
    };
    md_gemm(&gemm, workspace);
    assert_int_equal(c[0], 4 - 6);
    assert_int_equal(c[1], (int32_t)(8u + 5u + 6u * (uint32_t)INT32_MAX));
    assert_int_equal(c[2], 1 - 3);
    assert_int_equal(c[3], (int32_t)(2u + 2u + 3u * (uint32_t)INT32_MAX));
    static const double x[] = { 1.5, 2.5 }, y[] = { 2.0, 4.0 };
    double z, double_workspace[2 * MD_GEMM_MAX_PANEL];
    struct md_gemm dot = { .type = MD_GEMM_F64,
                           .rows = 1,
                           .columns = 1,
                           .depth = 2,
                           .a = { x, 2, 1 },
                           .b = { y, 1, 1 },
                           .c = &z,
                           .c_stride = 1,
                           .finish.alpha = -1.0 };
    md_gemm(&dot, double_workspace);
    assert_true(z == -13.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_variant_computes_every_size),
        cmocka_unit_test(test_finish_scales_adds_and_cuts),
        cmocka_unit_test(test_bits_of_a_row_depend_on_the_row_alone),
        cmocka_unit_test(test_strides_and_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
