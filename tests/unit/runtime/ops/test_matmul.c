/* test_matmul.c - MatMul, Gemm and MatMulInteger: shapes that fit and shapes that do not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "operator_run.h"

static const float two_by_two[] = { 1, 2, 3, 4 };
static const float three[] = { 1, 2, 3 };

static void test_vectors_lose_their_one(void **state)
{
    (void)state;
    struct md_operator_run run;
    md_operator_run_init(&run);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(3), three);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(3), three);
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "MatMul", 13), MD_OK);
    md_operator_run_expect(&run, MD_FP32, MD_SCALAR, (float[]){ 14 });
    md_operator_run_cleanup(&run);
}

static void test_batches_broadcast(void **state)
{
    (void)state;
    static const float stack[] = { 1, 0, 0, 1, 2, 0, 0, 2 };
    struct md_operator_run run;
    md_operator_run_init(&run);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(2, 2), two_by_two);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(2, 2, 2), stack);
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "MatMul", 13), MD_OK);
    md_operator_run_expect(&run, MD_FP32, MD_DIMS(2, 2, 2), (float[]){ 1, 2, 3, 4, 2, 4, 6, 8 });
    md_operator_run_cleanup(&run);
}

static void test_an_empty_depth_gives_zeros(void **state)
{
    (void)state;
    struct md_operator_run run;
    md_operator_run_init(&run);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(2, 0), NULL);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(0, 1), NULL);
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "MatMul", 13), MD_OK);
    md_operator_run_expect(&run, MD_FP32, MD_DIMS(2, 1), (float[]){ 0, 0 });
    md_operator_run_cleanup(&run);
}

static void test_depths_must_agree(void **state)
{
    (void)state;
    struct md_operator_run run;
    md_operator_run_init(&run);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(2, 2), two_by_two);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(3), three);
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "MatMul", 13), MD_INVALID_ARGUMENT);
    assert_string_equal(run.error.message, "shapes [2,2] and [3] cannot be multiplied");
    md_operator_run_cleanup(&run);
}

static void test_gemm_adds_a_column(void **state)
{
    (void)state;
    struct md_operator_run run;
    md_operator_run_init(&run);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(2, 2), two_by_two);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(2, 2), two_by_two);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(2, 1), (float[]){ 10, 20 });
    md_operator_run_int(&run, "transA", 1);
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "Gemm", 13), MD_OK);
    md_operator_run_expect(&run, MD_FP32, MD_DIMS(2, 2), (float[]){ 20, 24, 34, 40 });
    md_operator_run_cleanup(&run);
}

static void test_gemm_refuses_a_c_that_does_not_broadcast(void **state)
{
    (void)state;
    struct md_operator_run run;
    md_operator_run_init(&run);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(2, 2), two_by_two);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(2, 2), two_by_two);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(3), three);
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "Gemm", 13), MD_INVALID_ARGUMENT);
    md_operator_run_cleanup(&run);
}

static void test_integer_product_has_zero_points_per_row_and_column(void **state)
{
    (void)state;
    struct md_operator_run run;
    md_operator_run_init(&run);
    md_operator_run_input(&run, MD_UINT8, MD_DIMS(2, 2), (uint8_t[]){ 255, 0, 7, 8 });
    md_operator_run_input(&run, MD_INT8, MD_DIMS(2, 2), (int8_t[]){ -128, 1, 127, 2 });
    md_operator_run_input(&run, MD_UINT8, MD_DIMS(2), (uint8_t[]){ 0, 7 });
    md_operator_run_input(&run, MD_INT8, MD_DIMS(2), (int8_t[]){ 0, 1 });
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "MatMulInteger", 10), MD_OK);
    md_operator_run_expect(&run, MD_INT32, MD_DIMS(2, 2), (int32_t[]){ -128 * 255, 0, 127, 1 });
    md_operator_run_cleanup(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors_lose_their_one),
        cmocka_unit_test(test_batches_broadcast),
        cmocka_unit_test(test_an_empty_depth_gives_zeros),
        cmocka_unit_test(test_depths_must_agree),
        cmocka_unit_test(test_gemm_adds_a_column),
        cmocka_unit_test(test_gemm_refuses_a_c_that_does_not_broadcast),
        cmocka_unit_test(test_integer_product_has_zero_points_per_row_and_column),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
