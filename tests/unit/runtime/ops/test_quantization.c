/* test_quantization.c - scales per tensor, axis and block, and values that do not fit. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "operator_run.h"

#include <math.h>

static void test_values_saturate_and_nan_is_defined(void **state)
{
    (void)state;
    struct md_operator_run run;
    md_operator_run_init(&run);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(6), (float[]){ 1e30f, -1e30f, NAN, INFINITY, 0.5f, 1.5f });
    md_operator_run_input(&run, MD_FP32, MD_SCALAR, (float[]){ 1 });
    md_operator_run_input(&run, MD_INT8, MD_SCALAR, (int8_t[]){ 1 });
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "QuantizeLinear", 13), MD_OK);
    md_operator_run_expect(&run, MD_INT8, MD_DIMS(6), (int8_t[]){ 127, -128, -128, 127, 1, 3 });
    md_operator_run_cleanup(&run);
}

static void test_blocks_along_the_last_axis_may_end_short(void **state)
{
    (void)state;
    struct md_operator_run run;
    md_operator_run_init(&run);
    md_operator_run_input(&run, MD_INT4, MD_DIMS(2, 3), (int8_t[]){ 1, 2, 3, -1, -2, -8 });
    md_operator_run_input(&run, MD_FP32, MD_DIMS(2, 2), (float[]){ 1, 10, 100, 1000 });
    md_operator_run_int(&run, "axis", 1);
    md_operator_run_int(&run, "block_size", 2);
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "DequantizeLinear", 21), MD_OK);
    md_operator_run_expect(&run, MD_FP32, MD_DIMS(2, 3), (float[]){ 1, 2, 30, -100, -200, -8000 });
    md_operator_run_cleanup(&run);
}

static void test_blocks_along_an_inner_axis(void **state)
{
    (void)state;
    struct md_operator_run run;
    md_operator_run_init(&run);
    md_operator_run_input(&run, MD_UINT8, MD_DIMS(3, 2), (uint8_t[]){ 1, 2, 3, 4, 5, 6 });
    md_operator_run_input(&run, MD_FP32, MD_DIMS(2, 2), (float[]){ 1, 10, 100, 1000 });
    md_operator_run_int(&run, "axis", 0);
    md_operator_run_int(&run, "block_size", 2);
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "DequantizeLinear", 21), MD_OK);
    md_operator_run_expect(&run, MD_FP32, MD_DIMS(3, 2), (float[]){ 1, 20, 3, 40, 500, 6000 });
    md_operator_run_cleanup(&run);
}

static void test_scales_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    const int64_t block_sizes[] = { 0, 2, -1 };
    for (size_t i = 0; i < 3; i++) {
        struct md_operator_run run;
        md_operator_run_init(&run);
        md_operator_run_input(&run, MD_UINT8, MD_DIMS(3, 2), (uint8_t[]){ 1, 2, 3, 4, 5, 6 });
        md_operator_run_input(&run, MD_FP32, MD_DIMS(5), (float[]){ 1, 2, 3, 4, 5 });
        md_operator_run_int(&run, "block_size", block_sizes[i]);
        assert_int_equal(md_operator_run_go(&run, MD_ONNX, "DequantizeLinear", 21), MD_INVALID_ARGUMENT);
        md_operator_run_cleanup(&run);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_saturate_and_nan_is_defined),
        cmocka_unit_test(test_blocks_along_the_last_axis_may_end_short),
        cmocka_unit_test(test_blocks_along_an_inner_axis),
        cmocka_unit_test(test_scales_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
