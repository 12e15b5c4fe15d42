/* test_attention.c - Attention (opset 23): uniform scores, so that each output is the mean of the values it
 * may see. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "operator_run.h"

static const float zeros[8], values[] = { 2, 4, 6, 8 };

static void start(struct md_operator_run *run, int64_t queries, int64_t keys)
{
    md_operator_run_init(run);
    md_operator_run_input(run, MD_FP32, MD_DIMS(1, 1, queries, 1), zeros);
    md_operator_run_input(run, MD_FP32, MD_DIMS(1, 1, keys, 1), zeros);
    md_operator_run_input(run, MD_FP32, MD_DIMS(1, 1, keys, 1), values);
}

static void test_causal_order(void **state)
{
    (void)state;
    struct md_operator_run run;
    start(&run, 4, 4);
    md_operator_run_int(&run, "is_causal", 1);
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "Attention", 23), MD_OK);
    md_operator_run_expect(&run, MD_FP32, MD_DIMS(1, 1, 4, 1), (float[]){ 2, 3, 4, 5 });
    md_operator_run_cleanup(&run);
}

static void test_a_row_that_may_see_nothing_is_zero(void **state)
{
    (void)state;
    struct md_operator_run run;
    start(&run, 2, 4);
    md_operator_run_input(&run, MD_BOOL, MD_DIMS(2, 4), (uint8_t[]){ 0, 1, 0, 1, 0, 0, 0, 0 });
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "Attention", 23), MD_OK);
    md_operator_run_expect(&run, MD_FP32, MD_DIMS(1, 1, 2, 1), (float[]){ 6, 0 });
    md_operator_run_cleanup(&run);
}

static void test_past_comes_first_and_is_kept(void **state)
{
    (void)state;
    struct md_operator_run run;
    start(&run, 2, 2);
    run.output_count = 3;
    md_operator_run_absent(&run);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(1, 1, 1, 1), zeros);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(1, 1, 1, 1), (float[]){ 10 });
    md_operator_run_int(&run, "is_causal", 1);
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "Attention", 23), MD_OK);
    const float *y = run.outputs[0].tensor.bytes;
    assert_true(y[0] == 6.0f && y[1] > 5.333f && y[1] < 5.334f);
    assert_int_equal(run.outputs[2].tensor.shape.dims[2], 3);
    assert_memory_equal(run.outputs[2].tensor.bytes, ((float[]){ 10, 2, 4 }), 3 * sizeof(float));
    md_operator_run_cleanup(&run);
}

static void test_masks_and_heads_must_fit(void **state)
{
    (void)state;
    struct md_operator_run run;
    start(&run, 2, 4);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(3, 4), (float[12]){ 0 });
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "Attention", 23), MD_INVALID_ARGUMENT);
    assert_string_equal(run.error.message, "attn_mask of shape [3,4] does not broadcast to [1,1,2,4]");
    md_operator_run_cleanup(&run);
    md_operator_run_init(&run);
    for (int i = 0; i < 3; i++)
        md_operator_run_input(&run, MD_FP32, MD_DIMS(1, 2, 4), zeros);
    md_operator_run_int(&run, "q_num_heads", 3);
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "Attention", 23), MD_INVALID_ARGUMENT);
    md_operator_run_cleanup(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_causal_order),
        cmocka_unit_test(test_a_row_that_may_see_nothing_is_zero),
        cmocka_unit_test(test_past_comes_first_and_is_kept),
        cmocka_unit_test(test_masks_and_heads_must_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
