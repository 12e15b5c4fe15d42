/* test_recurrent.c - the walk over time: directions, lengths, layouts, states. The cell is RNN with Relu, so
 * that every number can be followed by hand: h = relu(x + h / 2). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "operator_run.h"

static const float one[] = { 1, 1 }, half[] = { 0.5f, 0.5f };
static const struct md_span relu[] = { { "Relu", 4 }, { "Relu", 4 } };

/* X: batch entry 0 is 8, 4, 2; entry 1 is 16, 8, 4. */
static const float x_time_first[] = { 8, 16, 4, 8, 2, 4 };
static const float x_batch_first[] = { 8, 4, 2, 16, 8, 4 };

static void start(struct md_operator_run *run, int64_t directions, bool batch_first, const int32_t *lengths)
{
    md_operator_run_init(run);
    run->output_count = 2;
    if (batch_first)
        md_operator_run_input(run, MD_FP32, MD_DIMS(2, 3, 1), x_batch_first);
    else
        md_operator_run_input(run, MD_FP32, MD_DIMS(3, 2, 1), x_time_first);
    md_operator_run_input(run, MD_FP32, MD_DIMS(directions, 1, 1), one);
    md_operator_run_input(run, MD_FP32, MD_DIMS(directions, 1, 1), half);
    md_operator_run_absent(run);
    if (lengths != NULL)
        md_operator_run_input(run, MD_INT32, MD_DIMS(2), lengths);
    else
        md_operator_run_absent(run);
    run->attributes[run->attribute_count++] = (struct md_attribute){ .name = "activations",
                                                                     .kind = MD_ATTRIBUTE_STRINGS,
                                                                     .count = (size_t)directions,
                                                                     .value.strings = relu };
    md_operator_run_int(run, "layout", batch_first);
}

static void expect_state(const struct md_operator_run *run, const float *expected, size_t count)
{
    assert_int_equal(run->outputs[1].tensor.count, count);
    assert_memory_equal(run->outputs[1].tensor.bytes, expected, count * sizeof *expected);
}

static void test_forward(void **state)
{
    (void)state;
    struct md_operator_run run;
    start(&run, 1, false, NULL);
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "RNN", 14), MD_OK);
    md_operator_run_expect(&run, MD_FP32, MD_DIMS(3, 1, 2, 1), (float[]){ 8, 16, 8, 16, 6, 12 });
    expect_state(&run, (float[]){ 6, 12 }, 2);
    md_operator_run_cleanup(&run);
}

static void test_layouts_say_the_same(void **state)
{
    (void)state;
    struct md_operator_run run;
    start(&run, 1, true, NULL);
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "RNN", 14), MD_OK);
    md_operator_run_expect(&run, MD_FP32, MD_DIMS(2, 3, 1, 1), (float[]){ 8, 8, 6, 16, 16, 12 });
    md_operator_run_cleanup(&run);
}

static void test_lengths_end_a_sequence_in_both_directions(void **state)
{
    (void)state;
    struct md_operator_run run;
    start(&run, 2, false, (int32_t[]){ 2, 0 });
    md_operator_run_text(&run, "direction", "bidirectional");
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "RNN", 14), MD_OK);
    md_operator_run_expect(&run, MD_FP32, MD_DIMS(3, 2, 2, 1),
                           (float[]){ 8, 0, 10, 0, 8, 0, 4, 0, 0, 0, 0, 0 });
    expect_state(&run, (float[]){ 8, 0, 10, 0 }, 4);
    md_operator_run_cleanup(&run);
}

static void test_initial_state_and_clip(void **state)
{
    (void)state;
    struct md_operator_run run;
    start(&run, 1, false, NULL);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(1, 2, 1), (float[]){ 100, -100 });
    run.attributes[run.attribute_count++] =
        (struct md_attribute){ .name = "clip", .kind = MD_ATTRIBUTE_FLOAT, .value.f = 10.0f };
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "RNN", 14), MD_OK);
    md_operator_run_expect(&run, MD_FP32, MD_DIMS(3, 1, 2, 1), (float[]){ 10, 0, 9, 8, 6.5f, 8 });
    md_operator_run_cleanup(&run);
}

static void test_what_does_not_fit_is_refused(void **state)
{
    (void)state;
    static const int32_t too_long[] = { 4, 1 }, negative[] = { -1, 1 };
    struct md_operator_run run;
    start(&run, 1, false, too_long);
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "RNN", 14), MD_INVALID_ARGUMENT);
    assert_string_equal(run.error.message, "sequence_lens[0] is 4: range is [0,3]");
    md_operator_run_cleanup(&run);
    start(&run, 1, false, negative);
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "RNN", 14), MD_INVALID_ARGUMENT);
    md_operator_run_cleanup(&run);
    start(&run, 1, false, NULL);
    md_operator_run_int(&run, "hidden_size", 2);
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "RNN", 14), MD_INVALID_ARGUMENT);
    md_operator_run_cleanup(&run);
    start(&run, 1, false, NULL); /* four gates where there is one */
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "LSTM", 14), MD_INVALID_ARGUMENT);
    md_operator_run_cleanup(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward),
        cmocka_unit_test(test_layouts_say_the_same),
        cmocka_unit_test(test_lengths_end_a_sequence_in_both_directions),
        cmocka_unit_test(test_initial_state_and_clip),
        cmocka_unit_test(test_what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
