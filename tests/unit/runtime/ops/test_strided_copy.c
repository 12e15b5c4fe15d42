/* test_strided_copy.c - against a plain loop, over many layouts. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "strided_copy.h"

#include <string.h>

enum { ROWS = 37, COLUMNS = 41, SIZE = 16 };

static unsigned char source[ROWS * COLUMNS * SIZE], copy[ROWS * COLUMNS * SIZE];

static void test_a_transposition_moves_every_element_of_every_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof source; i++)
        source[i] = (unsigned char)(i * 7 + i / 251);
    const size_t sizes[] = { 1, 2, 4, 8, 16 };
    for (size_t s = 0; s < 5; s++) {
        const int64_t size = (int64_t)sizes[s], dims[2] = { COLUMNS, ROWS };
        struct md_strided from = { source, { size, COLUMNS * size } }, to = { copy, { ROWS * size, size } };
        md_strided_copy(2, dims, &to, &from, sizes[s]);
        for (int64_t r = 0; r < ROWS; r++)
            for (int64_t c = 0; c < COLUMNS; c++)
                assert_memory_equal(copy + (c * ROWS + r) * size, source + (r * COLUMNS + c) * size,
                                    sizes[s]);
    }
}

static void test_strides_may_repeat_and_walk_backwards(void **state)
{
    (void)state;
    char text[] = "abc", result[7] = "";
    const int64_t dims[2] = { 2, 3 };
    struct md_strided from = { text + 2, { 0, -1 } }, to = { result, { 3, 1 } };
    md_strided_copy(2, dims, &to, &from, 1);
    assert_string_equal(result, "cbacba");
}

static void test_an_empty_dim_copies_nothing(void **state)
{
    (void)state;
    const int64_t dims[2] = { 3, 0 };
    struct md_strided nothing = { NULL, { 0, 0 } };
    md_strided_copy(2, dims, &nothing, &nothing, 4);
}

static void test_a_fill_repeats_elements_of_odd_counts(void **state)
{
    (void)state;
    char result[15] = "";
    md_fill_elements(result, "xy", 7, 2);
    assert_string_equal(result, "xyxyxyxyxyxyxy");
    md_fill_elements(NULL, "xy", 0, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_transposition_moves_every_element_of_every_size),
        cmocka_unit_test(test_strides_may_repeat_and_walk_backwards),
        cmocka_unit_test(test_an_empty_dim_copies_nothing),
        cmocka_unit_test(test_a_fill_repeats_elements_of_odd_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
