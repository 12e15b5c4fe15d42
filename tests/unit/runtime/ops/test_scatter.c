/* test_scatter.c - indices out of range, duplicates, and every reduction. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "operator_run.h"

static enum md_code scatter(struct md_operator_run *run, const char *reduction, int64_t first_index)
{
    md_operator_run_init(run);
    md_operator_run_input(run, MD_INT32, MD_DIMS(3), (int32_t[]){ 10, 20, 30 });
    md_operator_run_input(run, MD_INT64, MD_DIMS(3), (int64_t[]){ first_index, 1, 1 });
    md_operator_run_input(run, MD_INT32, MD_DIMS(3), (int32_t[]){ 1, 2, 25 });
    md_operator_run_text(run, "reduction", reduction);
    return md_operator_run_go(run, MD_ONNX, "ScatterElements", 18);
}

static void test_duplicates_are_combined_in_the_order_of_the_indices(void **state)
{
    (void)state;
    static const struct {
        const char *reduction;
        int32_t expected[3];
    } cases[] = { { "none", { 10, 25, 1 } },
                  { "add", { 10, 47, 31 } },
                  { "mul", { 10, 1000, 30 } },
                  { "max", { 10, 25, 30 } },
                  { "min", { 10, 2, 1 } } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct md_operator_run run;
        assert_int_equal(scatter(&run, cases[i].reduction, -1), MD_OK);
        md_operator_run_expect(&run, MD_INT32, MD_DIMS(3), cases[i].expected);
        md_operator_run_cleanup(&run);
    }
}

static void test_integers_wrap(void **state)
{
    (void)state;
    struct md_operator_run run;
    md_operator_run_init(&run);
    md_operator_run_input(&run, MD_INT8, MD_DIMS(1, 1), (int8_t[]){ 127 });
    md_operator_run_input(&run, MD_INT64, MD_DIMS(1, 2), (int64_t[]){ 0, 0 });
    md_operator_run_input(&run, MD_INT8, MD_DIMS(1), (int8_t[]){ 127 });
    md_operator_run_text(&run, "reduction", "add");
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "ScatterND", 18), MD_OK);
    md_operator_run_expect(&run, MD_INT8, MD_DIMS(1, 1), (int8_t[]){ -2 });
    md_operator_run_cleanup(&run);
}

static void test_an_index_out_of_range_is_named(void **state)
{
    (void)state;
    struct md_operator_run run;
    assert_int_equal(scatter(&run, "none", 3), MD_INVALID_ARGUMENT);
    assert_string_equal(run.error.message, "index 3 at position 0: range is [-3,2]");
    md_operator_run_cleanup(&run);
    assert_int_equal(scatter(&run, "none", INT64_MIN), MD_INVALID_ARGUMENT);
    md_operator_run_cleanup(&run);
    assert_int_equal(scatter(&run, "average", 0), MD_INVALID_ARGUMENT);
    md_operator_run_cleanup(&run);
}

static void test_a_circular_cache_goes_on_at_its_start(void **state)
{
    (void)state;
    struct md_operator_run run;
    md_operator_run_init(&run);
    md_operator_run_input(&run, MD_UINT8, MD_DIMS(1, 3, 1), "abc");
    md_operator_run_input(&run, MD_UINT8, MD_DIMS(1, 2, 1), "xy");
    md_operator_run_input(&run, MD_INT64, MD_DIMS(1), (int64_t[]){ 5 });
    md_operator_run_text(&run, "mode", "circular");
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "TensorScatter", 24), MD_OK);
    md_operator_run_expect(&run, MD_UINT8, MD_DIMS(1, 3, 1), "ybx");
    md_operator_run_cleanup(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_duplicates_are_combined_in_the_order_of_the_indices),
        cmocka_unit_test(test_integers_wrap),
        cmocka_unit_test(test_an_index_out_of_range_is_named),
        cmocka_unit_test(test_a_circular_cache_goes_on_at_its_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
