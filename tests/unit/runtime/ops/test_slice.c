/* test_slice.c - bounds of every kind, both dialects, and what is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "operator_run.h"

static const int64_t numbers[6] = { 0, 1, 2, 3, 4, 5 };

/* Slices numbers[2,3] along `axis` in the dialect of opset 10 and later. */
static enum md_code slice(struct md_operator_run *run, int64_t axis, int64_t start, int64_t end, int64_t step)
{
    md_operator_run_init(run);
    md_operator_run_input(run, MD_INT64, MD_DIMS(2, 3), numbers);
    md_operator_run_input(run, MD_INT64, MD_DIMS(1), &start);
    md_operator_run_input(run, MD_INT64, MD_DIMS(1), &end);
    md_operator_run_input(run, MD_INT64, MD_DIMS(1), &axis);
    md_operator_run_input(run, MD_INT64, MD_DIMS(1), &step);
    return md_operator_run_go(run, MD_ONNX, "Slice", 13);
}

static void test_bounds_beyond_the_axis_are_clamped(void **state)
{
    (void)state;
    struct md_operator_run run;
    assert_int_equal(slice(&run, 1, 1, INT64_MAX, 1), MD_OK);
    md_operator_run_expect(&run, MD_INT64, MD_DIMS(2, 2), (int64_t[]){ 1, 2, 4, 5 });
    md_operator_run_cleanup(&run);
    assert_int_equal(slice(&run, 0, INT64_MIN, INT64_MAX, 1), MD_OK);
    md_operator_run_expect(&run, MD_INT64, MD_DIMS(2, 3), numbers);
    md_operator_run_cleanup(&run);
}

static void test_a_negative_step_walks_backwards_past_the_first_element(void **state)
{
    (void)state;
    struct md_operator_run run;
    assert_int_equal(slice(&run, -1, -1, INT64_MIN, -2), MD_OK);
    md_operator_run_expect(&run, MD_INT64, MD_DIMS(2, 2), (int64_t[]){ 2, 0, 5, 3 });
    md_operator_run_cleanup(&run);
}

static void test_the_longest_steps_do_not_overflow(void **state)
{
    (void)state;
    struct md_operator_run run;
    assert_int_equal(slice(&run, 1, 0, 3, INT64_MAX), MD_OK);
    md_operator_run_expect(&run, MD_INT64, MD_DIMS(2, 1), (int64_t[]){ 0, 3 });
    md_operator_run_cleanup(&run);
    assert_int_equal(slice(&run, 1, 2, -4, INT64_MIN), MD_OK);
    md_operator_run_expect(&run, MD_INT64, MD_DIMS(2, 1), (int64_t[]){ 2, 5 });
    md_operator_run_cleanup(&run);
}

static void test_nothing_is_left_when_the_bounds_cross(void **state)
{
    (void)state;
    struct md_operator_run run;
    assert_int_equal(slice(&run, 0, 2, 1, 1), MD_OK);
    md_operator_run_expect(&run, MD_INT64, MD_DIMS(0, 3), "");
    md_operator_run_cleanup(&run);
}

static void test_step_zero_and_unknown_axes_are_refused(void **state)
{
    (void)state;
    struct md_operator_run run;
    assert_int_equal(slice(&run, 0, 0, 1, 0), MD_INVALID_ARGUMENT);
    md_operator_run_cleanup(&run);
    assert_int_equal(slice(&run, 2, 0, 1, 1), MD_INVALID_ARGUMENT);
    assert_string_equal(run.error.message, "axis 2 of an input with rank 2: range is [-2,1]");
    md_operator_run_cleanup(&run);
}

static void test_opset_1_takes_attributes(void **state)
{
    (void)state;
    struct md_operator_run run;
    md_operator_run_init(&run);
    md_operator_run_input(&run, MD_INT64, MD_DIMS(2, 3), numbers);
    md_operator_run_ints(&run, "starts", (int64_t[]){ 0, 1 }, 2);
    md_operator_run_ints(&run, "ends", (int64_t[]){ 1, 1000 }, 2);
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "Slice", 9), MD_OK);
    md_operator_run_expect(&run, MD_INT64, MD_DIMS(1, 2), (int64_t[]){ 1, 2 });
    md_operator_run_cleanup(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds_beyond_the_axis_are_clamped),
        cmocka_unit_test(test_a_negative_step_walks_backwards_past_the_first_element),
        cmocka_unit_test(test_the_longest_steps_do_not_overflow),
        cmocka_unit_test(test_nothing_is_left_when_the_bounds_cross),
        cmocka_unit_test(test_step_zero_and_unknown_axes_are_refused),
        cmocka_unit_test(test_opset_1_takes_attributes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
