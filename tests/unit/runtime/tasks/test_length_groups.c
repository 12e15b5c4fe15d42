/* The cut of rows into batches: against every possible cut, and within its limits. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "length_groups.h"

enum { MOST = 12 };

static size_t cost_of(const size_t *lengths, size_t first, size_t rows)
{
    return rows * lengths[first] + MD_RUN_TOKENS;
}

/* The least cost by trying all 2^(count-1) cuts. */
static size_t least_cost(const size_t *lengths, size_t count, const struct md_length_limits *limits)
{
    size_t least = SIZE_MAX;
    for (unsigned cuts = 0; cuts < 1u << (count - 1); cuts++) {
        size_t cost = 0, first = 0;
        bool legal = true;
        for (size_t i = 1; i <= count; i++) {
            if (i < count && (cuts >> (i - 1) & 1) == 0)
                continue;
            size_t rows = i - first;
            legal = legal && (rows == 1 || (rows <= limits->max_rows && rows * lengths[first] <= limits->max_tokens &&
                                            (limits->pad || lengths[i - 1] == lengths[first])));
            cost += cost_of(lengths, first, rows);
            first = i;
        }
        least = legal && cost < least ? cost : least;
    }
    return least;
}

static size_t walk(const size_t *lengths, size_t count, const struct md_length_limits *limits)
{
    struct md_length_cut cuts[MOST + 1];
    size_t cost = 0;
    md_length_groups(lengths, count, limits, cuts);
    for (size_t i = 0; i < count; i += cuts[i].rows) {
        assert_in_range(cuts[i].rows, 1, count - i);
        assert_true(cuts[i].rows == 1 || cuts[i].rows <= limits->max_rows);
        assert_true(cuts[i].rows == 1 || cuts[i].rows * lengths[i] <= limits->max_tokens);
        assert_true(limits->pad || lengths[i + cuts[i].rows - 1] == lengths[i]);
        cost += cost_of(lengths, i, cuts[i].rows);
    }
    assert_int_equal(cost, cuts[0].cost);
    return cost;
}

static void test_the_cut_is_the_cheapest(void **state)
{
    (void)state;
    static const struct md_length_limits limits[] = { { 32, 16384, true }, { 3, 16384, true }, { 32, 100, true },
                                                      { 32, 16384, false } };
    uint32_t random = 1;
    for (size_t round = 0; round < 200; round++) {
        size_t lengths[MOST], count = 1 + round % MOST, length = 130;
        for (size_t i = 0; i < count; i++) {
            random = random * 1664525u + 1013904223u;
            size_t step = random >> 16 & 15;
            length = length > step + 1 ? length - step : 1;
            lengths[i] = length;
        }
        for (size_t l = 0; l < sizeof limits / sizeof limits[0]; l++)
            assert_int_equal(walk(lengths, count, &limits[l]), least_cost(lengths, count, &limits[l]));
    }
}

static void test_equal_lengths_stay_together(void **state)
{
    (void)state;
    static const size_t lengths[] = { 20, 20, 20, 20, 7, 7, 7 };
    struct md_length_cut cuts[8];
    static const struct md_length_limits limits = { 32, 16384, false };
    md_length_groups(lengths, 7, &limits, cuts);
    assert_int_equal(cuts[0].rows, 4);
    assert_int_equal(cuts[4].rows, 3);
}

static void test_a_row_over_the_limit_goes_alone(void **state)
{
    (void)state;
    static const size_t lengths[] = { 500, 500, 5 };
    struct md_length_cut cuts[4];
    static const struct md_length_limits limits = { 32, 100, true };
    md_length_groups(lengths, 3, &limits, cuts);
    assert_int_equal(cuts[0].rows, 1);
    assert_int_equal(cuts[1].rows, 1);
}

static void test_no_rows(void **state)
{
    (void)state;
    struct md_length_cut cut = { 1, 1 };
    static const struct md_length_limits limits = { 32, 100, true };
    md_length_groups(NULL, 0, &limits, &cut);
    assert_int_equal(cut.rows, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_cut_is_the_cheapest),
        cmocka_unit_test(test_equal_lengths_stay_together),
        cmocka_unit_test(test_a_row_over_the_limit_goes_alone),
        cmocka_unit_test(test_no_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
