/* test_vector_loops.c - every variant that the machine has, against plain arithmetic in double: activations,
 * LayerNormalization, attention; and that a row keeps its bits alone, in company, and beside masked padding. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "vector_loops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_KEYS = 120, MAX_QUERIES = 20, STRIDE = 3 * 80, MAX_WORK = 1 << 20 };

static float next_number(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return (float)(*seed >> 16 & 0x7FFF) / 16384.0f - 1.0f;
}

static void fill(float *values, size_t count, unsigned seed)
{
    for (size_t i = 0; i < count; i++)
        values[i] = next_number(&seed);
}

/* Calls back for every variant that this machine can run. */
static void each_variant(void (*check_fn)(const struct md_vector_loops *loops))
{
    for (size_t i = 0; md_vector_loops_at(i) != NULL; i++)
        if (md_vector_loops_at(i)->isa <= md_isa_of_machine())
            check_fn(md_vector_loops_at(i));
}

/* The same for attention alone, which has a variant that rounds to BF16. */
static void each_attention(void (*check_fn)(const struct md_vector_loops *loops))
{
    const struct md_attention_loops *rounded = md_attention_bf16();
    each_variant(check_fn);
    if (rounded == NULL)
        return;
    const struct md_vector_loops loops = { .isa = rounded->isa, .attention_workspace = rounded->workspace,
                                           .attention = rounded->run };
    check_fn(&loops);
}

/* ---- activations ---- */
static double exact(enum md_float_map map, double x)
{
    const double root = 0.79788456080286535588;
    switch (map) {
    case MD_MAP_GELU:
        return 0.5 * x * erfc(-x * 0.70710678118654752440);
    case MD_MAP_GELU_TANH:
        return x / (1 + exp(-2 * root * (x + 0.044715 * x * x * x)));
    case MD_MAP_SIGMOID:
        return 1 / (1 + exp(-x));
    default:
        return tanh(x);
    }
}

static void check_maps(const struct md_vector_loops *loops)
{
    static const struct {
        enum md_float_map map;
        double bound; /* times max(1, |x|): as the headers state */
    } cases[] = { { MD_MAP_GELU, 1.2e-7 }, { MD_MAP_GELU_TANH, 4e-7 }, { MD_MAP_TANH, 2e-7 }, { MD_MAP_SIGMOID, 2e-7 } };
    static float in[4099], out[4099];
    const size_t count = sizeof in / sizeof in[0];
    for (size_t i = 0; i < count; i++)
        in[i] = ((float)i - 2049.0f) / 150.0f;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        loops->map(cases[c].map, count, in, out);
        for (size_t i = 0; i < count; i++) {
            double x = (double)in[i], error = fabs((double)out[i] - exact(cases[c].map, x));
            if (!(error <= cases[c].bound * fmax(1.0, fabs(x))))
                fail_msg("%s: map %d of %g is off by %g", md_isa_name(loops->isa), (int)cases[c].map, x, error);
        }
    }
    const float special[] = { NAN, INFINITY, 0.0f };
    loops->map(MD_MAP_GELU, 3, special, out);
    assert_true(isnan(out[0]));
    assert_true(isinf(out[1]) && out[1] > 0);
    assert_true(out[2] == 0.0f);
    loops->map(MD_MAP_TANH, 3, special, out);
    assert_true(isnan(out[0]));
    assert_true(out[1] == 1.0f);
}

static void test_activations_keep_their_bounds(void **state)
{
    (void)state;
    each_variant(check_maps);
}

/* ---- rows ---- */
static void check_lstm_cell(const struct md_vector_loops *loops)
{
    enum { MAX_HIDDEN = 70 };
    float gates[4 * MAX_HIDDEN], memory[MAX_HIDDEN], before[MAX_HIDDEN], state[MAX_HIDDEN];
    for (size_t hidden = 1; hidden <= MAX_HIDDEN; hidden++) {
        fill(gates, 4 * hidden, 1);
        fill(memory, hidden, 2);
        memcpy(before, memory, sizeof before);
        loops->lstm_cell(hidden, gates, memory, state);
        for (size_t i = 0; i < hidden; i++) {
            double input = exact(MD_MAP_SIGMOID, (double)gates[i]);
            double output = exact(MD_MAP_SIGMOID, (double)gates[hidden + i]);
            double forget = exact(MD_MAP_SIGMOID, (double)gates[2 * hidden + i]);
            double c = forget * (double)before[i] + input * tanh((double)gates[3 * hidden + i]);
            assert_true(fabs((double)memory[i] - c) <= 5e-7);
            assert_true(fabs((double)state[i] - output * tanh(c)) <= 8e-7);
        }
    }
}

static void test_lstm_cell_of_any_size(void **state)
{
    (void)state;
    each_variant(check_lstm_cell);
}

static void check_largest(const struct md_vector_loops *loops)
{
    float x[2 * 70], found[2];
    for (size_t length = 0; length <= 70; length++)
        for (size_t at = 0; at < length; at++) {
            fill(x, 2 * length, (unsigned)at);
            x[at] = 5.0f;
            x[length + at] = NAN;
            loops->largest(2, length, x, found);
            assert_true(found[0] == 5.0f && isnan(found[1]));
        }
    loops->largest(1, 0, x, found);
    assert_true(isinf(found[0]) && found[0] < 0);
}

static void check_largest_of_columns(const struct md_vector_loops *loops)
{
    enum { ROWS = 3 };
    float x[ROWS * STRIDE], found[STRIDE];
    for (size_t columns = 1; columns <= 70; columns++)
        for (size_t at = 0; at < ROWS; at++) {
            fill(x, ROWS * STRIDE, (unsigned)at);
            for (size_t j = 0; j < columns; j++)
                x[at * STRIDE + j] = j == columns / 2 ? NAN : 5.0f;
            found[columns] = 7.0f;
            loops->largest_of_columns(ROWS, columns, x, STRIDE, found);
            for (size_t j = 0; j < columns; j++)
                assert_true(j == columns / 2 ? isnan(found[j]) : found[j] == 5.0f);
            assert_true(found[columns] == 7.0f);
        }
}

static void test_largest_keeps_nan(void **state)
{
    (void)state;
    each_variant(check_largest);
    each_variant(check_largest_of_columns);
}

static void check_copy_rows(const struct md_vector_loops *loops)
{
    enum { ROWS = 3, TO_STRIDE = 100 };
    float from[ROWS * 80], to[ROWS * TO_STRIDE];
    fill(from, ROWS * 80, 1);
    for (size_t width = 1; width <= 48; width++) {
        const size_t lanes = loops->isa == MD_ISA_AVX512 ? 16 : loops->isa == MD_ISA_AVX2 ? 8 : 4;
        const size_t to_width = (width + lanes - 1) / lanes * lanes;
        memset(to, 0xff, sizeof to);
        loops->copy_rows(ROWS, width, from, 80, to, TO_STRIDE, to_width);
        for (size_t r = 0; r < ROWS; r++) {
            assert_memory_equal(to + r * TO_STRIDE, from + r * 80, width * sizeof *to);
            for (size_t i = width; i < to_width; i++)
                assert_true(to[r * TO_STRIDE + i] == 0.0f);
            assert_true(isnan(to[r * TO_STRIDE + to_width]));
        }
    }
}

static void test_copied_rows_end_in_zeros(void **state)
{
    (void)state;
    each_variant(check_copy_rows);
}

/* ---- LayerNormalization ---- */
static void check_layer_norm(const struct md_vector_loops *loops)
{
    float a[200], b[200], scale[200], bias[200], out[200], sum[200];
    for (size_t length = 1; length <= 200; length += length < 40 ? 1 : 53) {
        fill(a, length, 1);
        fill(b, length, 2);
        fill(scale, length, 3);
        fill(bias, length, 4);
        const struct md_row_layer_norm row = { .length = length, .a = a, .b = b, .scale = scale, .bias = bias,
                                               .epsilon = 1e-3f, .sum = sum, .out = out };
        loops->layer_norm(&row);
        double mean = 0, variance = 0;
        for (size_t i = 0; i < length; i++)
            mean += ((double)a[i] + (double)b[i]) / (double)length;
        for (size_t i = 0; i < length; i++)
            variance += pow((double)a[i] + (double)b[i] - mean, 2) / (double)length;
        for (size_t i = 0; i < length; i++) {
            double want = ((double)a[i] + (double)b[i] - mean) / sqrt(variance + 1e-3) * (double)scale[i] + (double)bias[i];
            if (!(fabs((double)out[i] - want) <= 3e-6))
                fail_msg("%s: element %zu of %zu is %g, not %g", md_isa_name(loops->isa), i, length, (double)out[i], want);
        }
    }
}

static void test_layer_norm_of_any_length(void **state)
{
    (void)state;
    each_variant(check_layer_norm);
}

/* ---- attention ---- */
static float q[MAX_QUERIES * STRIDE], k[MAX_KEYS * STRIDE], v[MAX_KEYS * STRIDE], out[MAX_QUERIES * STRIDE];
static float other[MAX_QUERIES * STRIDE], mask[MAX_QUERIES * MAX_KEYS];
static _Alignas(64) char work[MAX_WORK];

static struct md_attention_head make_head(size_t queries, size_t keys, size_t size, size_t value_size)
{
    return (struct md_attention_head){ .queries = queries, .keys = keys, .size = size, .value_size = value_size,
                                       .q = q, .k = k, .v = v, .q_stride = STRIDE, .k_stride = STRIDE,
                                       .v_stride = STRIDE, .out_stride = STRIDE, .scale = 0.7f, .out = out };
}

static void run_head(const struct md_vector_loops *loops, const struct md_attention_head *head)
{
    size_t bytes;
    assert_true(loops->attention_workspace(head->keys, head->size, head->value_size, &bytes));
    assert_true(bytes <= MAX_WORK);
    loops->attention(head, work);
}

static double mask_of(const struct md_attention_head *head, size_t query, size_t key)
{
    if (head->mask == NULL)
        return 0;
    return (double)head->mask[(ptrdiff_t)query * head->mask_row_stride + (ptrdiff_t)(head->mask_per_key ? key : 0)];
}

static void compare(const struct md_vector_loops *loops, const struct md_attention_head *head)
{
    const double bound = loops->isa == MD_ISA_AVX512_BF16 ? 0.05 : 3e-6;
    double weights[MAX_KEYS];
    run_head(loops, head);
    for (size_t i = 0; i < head->queries; i++) {
        double largest = -INFINITY, total = 0;
        for (size_t j = 0; j < head->keys; j++) {
            weights[j] = 0;
            for (size_t d = 0; d < head->size; d++)
                weights[j] += (double)q[i * STRIDE + d] * (double)k[j * STRIDE + d];
            weights[j] = weights[j] * (double)head->scale + mask_of(head, i, j);
            largest = fmax(largest, weights[j]);
        }
        for (size_t j = 0; j < head->keys; j++)
            total += weights[j] = exp(weights[j] - largest);
        for (size_t d = 0; d < head->value_size; d++) {
            double want = 0;
            for (size_t j = 0; j < head->keys; j++)
                want += weights[j] / total * (double)v[j * STRIDE + d];
            if (!(fabs((double)out[i * STRIDE + d] - want) <= bound))
                fail_msg("%s: %zu queries, %zu keys, sizes %zu and %zu: out[%zu][%zu] is %g, not %g", md_isa_name(loops->isa),
                         head->queries, head->keys, head->size, head->value_size, i, d,
                         (double)out[i * STRIDE + d], want);
        }
    }
}

static void check_attention(const struct md_vector_loops *loops)
{
    static const size_t sizes[][2] = { { 32, 32 }, { 64, 64 }, { 1, 1 }, { 6, 7 }, { 33, 80 }, { 80, 17 } };
    static const size_t counts[][2] = { { 8, 8 }, { 1, 1 }, { 1, 120 }, { 13, 49 }, { 20, 48 }, { 5, 16 }, { 17, 97 } };
    fill(mask, MAX_QUERIES * MAX_KEYS, 9);
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
            struct md_attention_head head = make_head(counts[c][0], counts[c][1], sizes[s][0], sizes[s][1]);
            compare(loops, &head);
            head.mask = mask;
            head.mask_per_key = true;
            compare(loops, &head);
            head.mask_row_stride = MAX_KEYS;
            compare(loops, &head);
            head.mask_per_key = false;
            compare(loops, &head);
        }
}

static void fill_operands(void)
{
    fill(q, sizeof q / sizeof q[0], 5);
    fill(k, sizeof k / sizeof k[0], 6);
    fill(v, sizeof v / sizeof v[0], 7);
}

static void test_attention_of_any_shape(void **state)
{
    (void)state;
    fill_operands();
    each_attention(check_attention);
}

static void expect_same_rows(const struct md_vector_loops *loops, size_t rows, size_t value_size)
{
    for (size_t i = 0; i < rows; i++)
        if (memcmp(out + i * STRIDE, other + i * STRIDE, value_size * sizeof(float)) != 0)
            fail_msg("%s: the bits of row %zu differ", md_isa_name(loops->isa), i);
}

static void check_bits(const struct md_vector_loops *loops)
{
    enum { QUERIES = 19, KEYS = 37, SIZE = 32 };
    const float low[] = { -3.402823466e38f, -INFINITY, -10000.0f };
    struct md_attention_head head = make_head(QUERIES, KEYS, SIZE, SIZE);
    run_head(loops, &head);
    memcpy(other, out, sizeof out);
    for (size_t i = 0; i < QUERIES; i++) { /* each query alone */
        struct md_attention_head one = make_head(1, KEYS, SIZE, SIZE);
        one.q = q + i * STRIDE;
        one.out = out + i * STRIDE;
        run_head(loops, &one);
    }
    expect_same_rows(loops, QUERIES, SIZE);
    for (size_t m = 0; m < sizeof low / sizeof low[0]; m++) { /* masked keys behind the others */
        head = make_head(QUERIES, MAX_KEYS, SIZE, SIZE);
        for (size_t j = 0; j < MAX_KEYS; j++)
            mask[j] = j < KEYS ? 0.0f : low[m];
        head.mask = mask;
        head.mask_per_key = true;
        run_head(loops, &head);
        expect_same_rows(loops, QUERIES, SIZE);
    }
}

static void test_a_row_keeps_its_bits_in_any_company(void **state)
{
    (void)state;
    fill_operands();
    each_attention(check_bits);
}

static void check_all_masked(const struct md_vector_loops *loops)
{
    struct md_attention_head head = make_head(9, 40, 6, 7);
    for (size_t j = 0; j < MAX_KEYS; j++)
        mask[j] = -3.402823466e38f;
    head.mask = mask;
    head.mask_per_key = true;
    compare(loops, &head); /* as Softmax has it: all keys weigh the same */
}

static void test_a_row_without_keys_weighs_all_alike(void **state)
{
    (void)state;
    fill_operands();
    each_attention(check_all_masked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_activations_keep_their_bounds),
        cmocka_unit_test(test_lstm_cell_of_any_size),
        cmocka_unit_test(test_largest_keeps_nan),
        cmocka_unit_test(test_copied_rows_end_in_zeros),
        cmocka_unit_test(test_layer_norm_of_any_length),
        cmocka_unit_test(test_attention_of_any_shape),
        cmocka_unit_test(test_a_row_keeps_its_bits_in_any_company),
        cmocka_unit_test(test_a_row_without_keys_weighs_all_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
