/* test_reduction.c - sets of axes of every kind, empty sets, and independence of rows. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "operator_run.h"

#include <math.h>

static void test_no_axes_and_no_reduction_still_applies_the_function(void **state)
{
    (void)state;
    struct md_operator_run run;
    md_operator_run_init(&run);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(3), (float[]){ 1, -2, 3 });
    md_operator_run_input(&run, MD_INT64, MD_DIMS(0), "");
    md_operator_run_int(&run, "noop_with_empty_axes", 1);
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "ReduceSumSquare", 18), MD_OK);
    md_operator_run_expect(&run, MD_FP32, MD_DIMS(3), (float[]){ 1, 4, 9 });
    md_operator_run_cleanup(&run);
}

static void test_an_empty_maximum_is_the_smallest_value(void **state)
{
    (void)state;
    struct md_operator_run run;
    md_operator_run_init(&run);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(2, 0), "");
    md_operator_run_input(&run, MD_INT64, MD_DIMS(1), (int64_t[]){ 1 });
    md_operator_run_int(&run, "keepdims", 0);
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "ReduceMax", 20), MD_OK);
    md_operator_run_expect(&run, MD_FP32, MD_DIMS(2), (float[]){ -INFINITY, -INFINITY });
    md_operator_run_cleanup(&run);
}

static void test_the_mean_of_no_integers_is_refused(void **state)
{
    (void)state;
    struct md_operator_run run;
    md_operator_run_init(&run);
    md_operator_run_input(&run, MD_INT32, MD_DIMS(0, 2), "");
    md_operator_run_input(&run, MD_INT64, MD_DIMS(1), (int64_t[]){ 0 });
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "ReduceMean", 18), MD_INVALID_ARGUMENT);
    md_operator_run_cleanup(&run);
}

static void test_axes_apart_are_reduced_together(void **state)
{
    (void)state;
    struct md_operator_run run;
    md_operator_run_init(&run);
    md_operator_run_input(&run, MD_INT64, MD_DIMS(2, 2, 2), (int64_t[]){ 1, 2, 3, 4, 5, 6, 7, 8 });
    md_operator_run_ints(&run, "axes", (int64_t[]){ 0, -1 }, 2);
    md_operator_run_int(&run, "keepdims", 0);
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "ReduceSum", 11), MD_OK);
    md_operator_run_expect(&run, MD_INT64, MD_DIMS(2), (int64_t[]){ 14, 22 });
    md_operator_run_cleanup(&run);
}

/* The first row alone, and the same row in a batch of three: the bits must be the same. */
static void test_a_row_does_not_depend_on_its_batch(void **state)
{
    (void)state;
    enum { LENGTH = 1003 };
    static float rows[3 * LENGTH];
    for (size_t i = 0; i < 3 * LENGTH; i++)
        rows[i] = sinf((float)i) * 1e3f;
    float alone = 0;
    for (int64_t batch = 1; batch <= 3; batch += 2) {
        struct md_operator_run run;
        md_operator_run_init(&run);
        md_operator_run_input(&run, MD_FP32, MD_DIMS(batch, LENGTH), rows);
        md_operator_run_input(&run, MD_INT64, MD_DIMS(1), (int64_t[]){ 1 });
        assert_int_equal(md_operator_run_go(&run, MD_ONNX, "ReduceLogSumExp", 18), MD_OK);
        const float *first = run.outputs[0].tensor.bytes;
        if (batch == 1)
            alone = *first;
        assert_memory_equal(first, &alone, sizeof alone);
        md_operator_run_cleanup(&run);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_axes_and_no_reduction_still_applies_the_function),
        cmocka_unit_test(test_an_empty_maximum_is_the_smallest_value),
        cmocka_unit_test(test_the_mean_of_no_integers_is_refused),
        cmocka_unit_test(test_axes_apart_are_reduced_together),
        cmocka_unit_test(test_a_row_does_not_depend_on_its_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
