/* test_arithmetic.c - what the conformance cases do not say about arithmetic: broadcasting of opsets 1 to 6, and
 * integers at their limits. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "operator_run.h"

static void test_add_before_opset_7_broadcasts_from_an_axis(void **state)
{
    (void)state;
    struct md_operator_run run;
    md_operator_run_init(&run);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(2, 2, 2), (float[]){ 1, 2, 3, 4, 5, 6, 7, 8 });
    md_operator_run_input(&run, MD_FP32, MD_DIMS(2), (float[]){ 10, 20 });
    md_operator_run_int(&run, "broadcast", 1);
    md_operator_run_int(&run, "axis", 1);
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "Add", 6), MD_OK);
    md_operator_run_expect(&run, MD_FP32, MD_DIMS(2, 2, 2), (float[]){ 11, 12, 23, 24, 15, 16, 27, 28 });
    md_operator_run_cleanup(&run);
}

static void test_add_before_opset_7_refuses_an_axis_outside(void **state)
{
    (void)state;
    const int64_t axes[] = { 1, -3, INT64_MAX, INT64_MIN };
    for (size_t i = 0; i < sizeof axes / sizeof axes[0]; i++) {
        struct md_operator_run run;
        md_operator_run_init(&run);
        md_operator_run_input(&run, MD_FP32, MD_DIMS(2, 2), (float[]){ 1, 2, 3, 4 });
        md_operator_run_input(&run, MD_FP32, MD_DIMS(2, 2), (float[]){ 1, 2, 3, 4 });
        md_operator_run_int(&run, "broadcast", 1);
        md_operator_run_int(&run, "axis", axes[i]);
        assert_int_equal(md_operator_run_go(&run, MD_ONNX, "Add", 6), MD_INVALID_ARGUMENT);
        md_operator_run_cleanup(&run);
    }
}

static void test_integer_division_by_zero_is_refused(void **state)
{
    (void)state;
    const char *const names[] = { "Div", "Mod" };
    for (size_t i = 0; i < 2; i++) {
        struct md_operator_run run;
        md_operator_run_init(&run);
        md_operator_run_input(&run, MD_INT32, MD_DIMS(2), (int32_t[]){ 1, 2 });
        md_operator_run_input(&run, MD_INT32, MD_DIMS(2), (int32_t[]){ 1, 0 });
        assert_int_equal(md_operator_run_go(&run, MD_ONNX, names[i], 14), MD_INVALID_ARGUMENT);
        assert_string_equal(run.error.message, "integer division by zero: element 1 of input 1");
        md_operator_run_cleanup(&run);
    }
}

static void test_smallest_integer_divided_by_minus_one_wraps(void **state)
{
    (void)state;
    struct md_operator_run run;
    md_operator_run_init(&run);
    md_operator_run_input(&run, MD_INT64, MD_DIMS(3), (int64_t[]){ INT64_MIN, 7, -7 });
    md_operator_run_input(&run, MD_INT64, MD_DIMS(3), (int64_t[]){ -1, -2, 2 });
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "Div", 14), MD_OK);
    md_operator_run_expect(&run, MD_INT64, MD_DIMS(3), (int64_t[]){ INT64_MIN, -3, -3 });
    md_operator_run_cleanup(&run);
}

static void test_an_empty_operand_gives_an_empty_result(void **state)
{
    (void)state;
    struct md_operator_run run;
    md_operator_run_init(&run);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(0, 3), "");
    md_operator_run_input(&run, MD_FP32, MD_DIMS(1, 3), (float[]){ 1, 2, 3 });
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "Mul", 14), MD_OK);
    md_operator_run_expect(&run, MD_FP32, MD_DIMS(0, 3), "");
    md_operator_run_cleanup(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_before_opset_7_broadcasts_from_an_axis),
        cmocka_unit_test(test_add_before_opset_7_refuses_an_axis_outside),
        cmocka_unit_test(test_integer_division_by_zero_is_refused),
        cmocka_unit_test(test_smallest_integer_divided_by_minus_one_wraps),
        cmocka_unit_test(test_an_empty_operand_gives_an_empty_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
