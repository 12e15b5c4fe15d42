/* test_narrow_gemm.c - every variant of the BF16 and INT8 products that this machine has against plain sums: every size,
 * zero points of any sign, rows that are not finite; and that a row's bits depend on the row alone. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "narrow_variant.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROWS = 19, MAX_COLUMNS = 101, MAX_DEPTH = 77, WHOLE = MD_GEMM_MAX_PANEL };

struct operands {
    float a[MAX_ROWS * MAX_DEPTH], b[MAX_DEPTH * MAX_COLUMNS], bias[MAX_COLUMNS];
    uint8_t a_codes[MAX_ROWS * MAX_DEPTH], b_codes[MAX_DEPTH * MAX_COLUMNS], b_zeros[MAX_COLUMNS];
    union {
        float real[MAX_ROWS * MAX_COLUMNS];
        int32_t integer[MAX_ROWS * MAX_COLUMNS];
    } c;
    _Alignas(64) unsigned char packed[4 * (MAX_DEPTH + 4) * (MAX_COLUMNS + WHOLE)];
    _Alignas(64) unsigned char rows[(MAX_ROWS + 1) * 4 * (MAX_DEPTH + 64)];
};

typedef void (*check_fn)(const struct md_narrow_loops *loops, enum md_narrow_type type, struct operands *o);

static void each_variant(enum md_narrow_type type, check_fn check)
{
    struct operands *o = aligned_alloc(64, (sizeof *o + 63) / 64 * 64);
    assert_non_null(o);
    for (size_t i = 0; md_narrow_loops_at(type, i) != NULL; i++)
        if (md_narrow_loops_at(type, i)->isa <= md_isa_of_machine())
            check(md_narrow_loops_at(type, i), type, o);
    free(o);
}

static uint32_t next(unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Halves of small integers: exact in BF16, and their sums exact in any order. */
static void fill_halves(float *values, size_t count, unsigned seed)
{
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(int)(next(&seed) >> 12 & 15u) * 0.5f - 3.5f;
}

static void fill_rough(float *values, size_t count, unsigned seed)
{
    for (size_t i = 0; i < count; i++)
        values[i] = (float)next(&seed) / 16777216.0f - 0.4f;
}

static void fill_codes(uint8_t *codes, size_t count, unsigned seed)
{
    for (size_t i = 0; i < count; i++)
        codes[i] = (uint8_t)(next(&seed) >> 9);
}

static struct md_narrow_gemm product(struct operands *o, const struct md_narrow_matrix *b, size_t rows)
{
    return (struct md_narrow_gemm){
        .a = { b->type, rows, b->depth, o->rows },
        .b = b,
        .rows = rows,
        .columns = b->columns,
        .c = o->c.real,
        .c_stride = b->columns,
    };
}

/* Rounds `rows` rows of o->a, packs o->b, and multiplies. */
static void multiply(const struct md_narrow_loops *loops, enum md_narrow_type type, struct operands *o, size_t rows,
                     size_t columns, size_t depth, const float *bias)
{
    const struct md_matrix b = { o->b, (ptrdiff_t)columns, 1 };
    struct md_narrow_matrix packed;
    md_narrow_pack_with(loops, type, depth, columns, &b, o->packed, &packed);
    struct md_narrow_gemm gemm = product(o, &packed, rows);
    gemm.column_bias = bias;
    md_narrow_real_rows_with(loops, &gemm.a, 0, rows, o->a, depth);
    memset(&o->c, 0xff, sizeof o->c);
    md_narrow_gemm_with(loops, &gemm);
}

static double exact(const struct operands *o, size_t i, size_t j, size_t columns, size_t depth)
{
    double sum = 0;
    for (size_t k = 0; k < depth; k++)
        sum += (double)o->a[i * depth + k] * (double)o->b[k * columns + j];
    return sum;
}

static void check_bf16_sizes(const struct md_narrow_loops *loops, enum md_narrow_type type, struct operands *o)
{
    static const size_t depths[] = { 1, 2, 31, MAX_DEPTH };
    fill_halves(o->a, MAX_ROWS * MAX_DEPTH, 1);
    fill_halves(o->b, MAX_DEPTH * MAX_COLUMNS, 2);
    for (size_t d = 0; d < sizeof depths / sizeof depths[0]; d++)
        for (size_t rows = 1; rows <= MAX_ROWS; rows++)
            for (size_t columns = 1; columns <= MAX_COLUMNS; columns += 1 + columns / 6) {
                multiply(loops, type, o, rows, columns, depths[d], NULL);
                for (size_t i = 0; i < rows * columns; i++)
                    assert_true((double)o->c.real[i] == exact(o, i / columns, i % columns, columns, depths[d]));
            }
}

static void test_bf16_of_every_size(void **state)
{
    (void)state;
    each_variant(MD_NARROW_BF16, check_bf16_sizes);
}

/* The bound that rounding of both operands gives, from their steps. */
static void compare_int8(const struct operands *o, size_t rows, size_t columns, size_t depth)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) {
            double low = 0, high = 0, largest = 0, row = 0, column = 0;
            for (size_t k = 0; k < depth; k++) {
                double a = (double)o->a[i * depth + k], b = (double)o->b[k * columns + j];
                low = fmin(low, a);
                high = fmax(high, a);
                largest = fmax(largest, fabs(b));
                row += fabs(a);
                column += fabs(b);
            }
            double a_step = (high - low) / 255, b_step = largest / 127;
            double bound = a_step * column + b_step / 2 * row + a_step * b_step * (double)depth + 1e-5;
            double sum = exact(o, i, j, columns, depth) + (double)o->bias[j];
            assert_true(fabs((double)o->c.real[i * columns + j] - sum) <= bound);
        }
}

static void check_int8_sizes(const struct md_narrow_loops *loops, enum md_narrow_type type, struct operands *o)
{
    static const size_t depths[] = { 1, 2, 3, 30, MAX_DEPTH };
    float *portable = malloc(sizeof o->c);
    const struct md_narrow_loops *last = &md_narrow_int8_portable;
    assert_non_null(portable);
    fill_rough(o->a, MAX_ROWS * MAX_DEPTH, 3);
    fill_rough(o->b, MAX_DEPTH * MAX_COLUMNS, 4);
    fill_rough(o->bias, MAX_COLUMNS, 5);
    for (size_t d = 0; d < sizeof depths / sizeof depths[0]; d++)
        for (size_t rows = 1; rows <= MAX_ROWS; rows += 1 + rows / 10)
            for (size_t columns = 1; columns <= MAX_COLUMNS; columns += 1 + columns / 6) {
                multiply(last, type, o, rows, columns, depths[d], o->bias);
                memcpy(portable, &o->c, sizeof o->c);
                multiply(loops, type, o, rows, columns, depths[d], o->bias);
                assert_memory_equal(portable, &o->c, sizeof o->c);
                compare_int8(o, rows, columns, depths[d]);
            }
    free(portable);
}

static void test_int8_of_every_size_is_near_and_equal_in_all_variants(void **state)
{
    (void)state;
    each_variant(MD_NARROW_INT8, check_int8_sizes);
}

static int32_t code_at(const uint8_t *codes, size_t index, bool is_unsigned)
{
    return is_unsigned ? codes[index] : (int8_t)codes[index];
}

static void check_codes(const struct md_narrow_loops *loops, struct operands *o, bool a_unsigned, bool b_unsigned,
                        size_t rows, size_t columns, size_t depth)
{
    const struct md_narrow_codes b = { { o->b_codes, (ptrdiff_t)columns, 1 }, b_unsigned, o->b_zeros, 1 };
    const int32_t zero_point = a_unsigned ? 200 : -77;
    struct md_narrow_matrix packed;
    md_narrow_pack_codes_with(loops, depth, columns, &b, o->packed, &packed);
    struct md_narrow_gemm gemm = product(o, &packed, rows);
    gemm.integer = true;
    md_narrow_code_rows(&gemm.a, 0, rows, o->a_codes, depth, a_unsigned, zero_point, 1.0f);
    md_narrow_gemm_with(loops, &gemm);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) {
            int32_t sum = 0;
            for (size_t k = 0; k < depth; k++)
                sum += (code_at(o->a_codes, i * depth + k, a_unsigned) - zero_point) *
                       (code_at(o->b_codes, k * columns + j, b_unsigned) - code_at(o->b_zeros, j, b_unsigned));
            assert_int_equal(o->c.integer[i * columns + j], sum);
        }
}

static void check_all_codes(const struct md_narrow_loops *loops, enum md_narrow_type type, struct operands *o)
{
    (void)type;
    fill_codes(o->a_codes, MAX_ROWS * MAX_DEPTH, 6);
    fill_codes(o->b_codes, MAX_DEPTH * MAX_COLUMNS, 7);
    fill_codes(o->b_zeros, MAX_COLUMNS, 8);
    memset(o->a_codes, 0xff, MAX_DEPTH); /* 255 * -128 in pairs: where 16 bits would saturate */
    memset(o->b_codes, 0x80, MAX_DEPTH);
    for (unsigned signs = 0; signs < 4; signs++)
        for (size_t depth = 1; depth <= MAX_DEPTH; depth += 19)
            for (size_t columns = 1; columns <= MAX_COLUMNS; columns += 1 + columns / 2)
                check_codes(loops, o, signs & 1, signs & 2, 1 + depth % MAX_ROWS, columns, depth);
}

static void test_integer_sums_are_exact(void **state)
{
    (void)state;
    each_variant(MD_NARROW_INT8, check_all_codes);
}

static void check_broken_rows(const struct md_narrow_loops *loops, enum md_narrow_type type, struct operands *o)
{
    enum { ROWS = 5, COLUMNS = 50, DEPTH = 21 };
    const float values[ROWS] = { 0.0f, NAN, INFINITY, -INFINITY, 0.0f };
    fill_rough(o->a, ROWS * DEPTH, 9);
    fill_rough(o->b, DEPTH * COLUMNS, 10);
    fill_rough(o->bias, COLUMNS, 11);
    for (size_t i = 1; i < 4; i++)
        o->a[i * DEPTH + 20] = values[i];
    memset(o->a + 4 * DEPTH, 0, DEPTH * sizeof *o->a);
    multiply(loops, type, o, ROWS, COLUMNS, DEPTH, o->bias);
    for (size_t j = 0; j < COLUMNS; j++) {
        assert_true(isfinite(o->c.real[j]));
        for (size_t i = 1; i < 4; i++)
            assert_true(!isfinite(o->c.real[i * COLUMNS + j]));
        assert_true(type == MD_NARROW_BF16 || isnan(o->c.real[2 * COLUMNS + j]));
        assert_true(o->c.real[4 * COLUMNS + j] == o->bias[j]);
    }
}

static void test_rows_that_are_not_finite_or_zero(void **state)
{
    (void)state;
    each_variant(MD_NARROW_INT8, check_broken_rows);
    each_variant(MD_NARROW_BF16, check_broken_rows);
}

static void check_ranges(const struct md_narrow_loops *loops, enum md_narrow_type type, struct operands *o)
{
    struct md_narrow_matrix packed;
    float *all = malloc(sizeof o->c);
    assert_non_null(all);
    fill_rough(o->a, MAX_ROWS * MAX_DEPTH, 12);
    fill_rough(o->b, MAX_DEPTH * MAX_COLUMNS, 13);
    fill_rough(o->bias, MAX_COLUMNS, 14);
    multiply(loops, type, o, MAX_ROWS, MAX_COLUMNS, MAX_DEPTH, o->bias);
    memcpy(all, &o->c, sizeof o->c);
    packed = (struct md_narrow_matrix){ type, MAX_DEPTH, MAX_COLUMNS, true, o->packed };
    for (size_t i = 0; i < MAX_ROWS; i++)
        for (size_t first = 0; first < MAX_COLUMNS; first += loops->panel) {
            struct md_narrow_gemm one = product(o, &packed, 1 + i % 3);
            const size_t columns = first + loops->panel < MAX_COLUMNS ? loops->panel : MAX_COLUMNS - first;
            one.first_row = i % 3;
            one.rows = 1;
            one.first_column = first;
            one.columns = columns;
            one.column_bias = o->bias;
            one.activation = MD_GEMM_LINEAR;
            md_narrow_real_rows_with(loops, &one.a, i % 3, 1, o->a + i * MAX_DEPTH, MAX_DEPTH);
            md_narrow_gemm_with(loops, &one);
            assert_memory_equal(o->c.real, all + i * MAX_COLUMNS + first, columns * sizeof *all);
        }
    free(all);
}

static void test_bits_of_a_row_depend_on_the_row_alone(void **state)
{
    (void)state;
    each_variant(MD_NARROW_BF16, check_ranges);
    each_variant(MD_NARROW_INT8, check_ranges);
}

static void check_activations(const struct md_narrow_loops *loops, enum md_narrow_type type, struct operands *o)
{
    enum { COLUMNS = 53, DEPTH = 9 };
    const struct md_matrix b = { o->b, COLUMNS, 1 };
    struct md_narrow_matrix packed;
    float plain[COLUMNS];
    fill_halves(o->a, DEPTH, 15);
    fill_halves(o->b, DEPTH * COLUMNS, 16);
    multiply(loops, type, o, 1, COLUMNS, DEPTH, NULL);
    memcpy(plain, o->c.real, sizeof plain);
    md_narrow_pack_with(loops, type, DEPTH, COLUMNS, &b, o->packed, &packed);
    for (int activation = MD_GEMM_RELU; activation <= MD_GEMM_TANH; activation++) {
        struct md_narrow_gemm gemm = product(o, &packed, 1);
        gemm.activation = (enum md_gemm_activation)activation;
        md_narrow_gemm_with(loops, &gemm);
        for (size_t j = 0; j < COLUMNS; j++) {
            const double x = (double)plain[j], cubic = 0.7978845608028654 * (x + 0.044715 * x * x * x);
            const double expected = activation == MD_GEMM_RELU ? fmax(x, 0) :
                                    activation == MD_GEMM_GELU ? x * 0.5 * erfc(-x / sqrt(2)) :
                                    activation == MD_GEMM_TANH ? tanh(x) :
                                                                 x * 0.5 * (1 + tanh(cubic));
            assert_true(fabs((double)o->c.real[j] - expected) <= 1e-6 * fmax(1, fabs(x)));
        }
    }
    struct md_narrow_gemm none = product(o, &packed, 0);
    memset(&o->c, 0xff, sizeof o->c);
    md_narrow_gemm_with(loops, &none);
    assert_int_equal(o->c.integer[0], -1);
}

static void test_activations_and_no_rows(void **state)
{
    (void)state;
    each_variant(MD_NARROW_BF16, check_activations);
    each_variant(MD_NARROW_INT8, check_activations);
}

static void test_sizes_that_overflow(void **state)
{
    (void)state;
    size_t size;
    for (int type = MD_NARROW_BF16; type <= MD_NARROW_INT8; type++) {
        assert_false(md_narrow_pack_size((enum md_narrow_type)type, SIZE_MAX / 2, 64, &size));
        assert_false(md_narrow_pack_size((enum md_narrow_type)type, 64, SIZE_MAX, &size));
        assert_false(md_narrow_rows_size((enum md_narrow_type)type, SIZE_MAX / 64, 1000, &size));
        assert_false(md_narrow_rows_size((enum md_narrow_type)type, 1, SIZE_MAX, &size));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bf16_of_every_size),
        cmocka_unit_test(test_int8_of_every_size_is_near_and_equal_in_all_variants),
        cmocka_unit_test(test_integer_sums_are_exact),
        cmocka_unit_test(test_rows_that_are_not_finite_or_zero),
        cmocka_unit_test(test_bits_of_a_row_depend_on_the_row_alone),
        cmocka_unit_test(test_activations_and_no_rows),
        cmocka_unit_test(test_sizes_that_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
