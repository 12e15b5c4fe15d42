/* test_cast.c - conversions that C leaves undefined, and numbers as text. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "operator_run.h"

#include <math.h>

static enum md_code cast(struct md_operator_run *run, enum md_datatype from, const int64_t *dims, const void *elements,
                         enum md_datatype to, int64_t opset)
{
    md_operator_run_init(run);
    md_operator_run_input(run, from, dims, elements);
    md_operator_run_int(run, "to", to);
    return md_operator_run_go(run, MD_ONNX, "Cast", opset);
}

static void test_reals_that_no_integer_holds_are_defined(void **state)
{
    (void)state;
    struct md_operator_run run;
    const float reals[] = { NAN, INFINITY, -INFINITY, 1e30f, -1.9f };
    assert_int_equal(cast(&run, MD_FP32, MD_DIMS(5), reals, MD_INT64, 13), MD_OK);
    md_operator_run_expect(&run, MD_INT64, MD_DIMS(5), (int64_t[]){ 0, INT64_MAX, INT64_MIN, INT64_MAX, -1 });
    md_operator_run_cleanup(&run);
}

static void test_integers_that_do_not_fit_keep_their_low_bits(void **state)
{
    (void)state;
    struct md_operator_run run;
    assert_int_equal(cast(&run, MD_INT32, MD_DIMS(3), (int32_t[]){ 200, -129, 70000 }, MD_INT8, 13), MD_OK);
    md_operator_run_expect(&run, MD_INT8, MD_DIMS(3), (int8_t[]){ -56, 127, 112 });
    md_operator_run_cleanup(&run);
}

static void test_a_double_is_rounded_to_half_once(void **state)
{
    (void)state;
    struct md_operator_run run;
    /* just above a tie: float would round it down to the tie, which then goes to the even neighbour */
    const double reals[] = { 1 + 0x1p-11 + 0x1p-40, 1 + 0x1p-11 };
    assert_int_equal(cast(&run, MD_FP64, MD_DIMS(2), reals, MD_FP16, 13), MD_OK);
    md_operator_run_expect(&run, MD_FP16, MD_DIMS(2), (uint16_t[]){ 0x3C01, 0x3C00 });
    md_operator_run_cleanup(&run);
}

static void test_reals_as_text_are_as_short_as_they_can_be(void **state)
{
    (void)state;
    const float reals[] = { 0.1f, 1, -0.0f, 1e-5f, 1.5e20f, 100, NAN, -INFINITY };
    const char *const texts[] = { "0.1", "1.0", "-0.0", "1e-05", "1.5e+20", "100.0", "nan", "-inf" };
    struct md_operator_run run;
    assert_int_equal(cast(&run, MD_FP32, MD_DIMS(8), reals, MD_BYTES, 13), MD_OK);
    for (size_t i = 0; i < 8; i++) {
        const struct md_span text = md_elements(const struct md_span, &run.outputs[0].tensor)[i];
        assert_true(md_span_equal(text, md_span_of(texts[i])));
    }
    md_operator_run_cleanup(&run);
}

static void test_text_that_is_no_number_is_refused(void **state)
{
    (void)state;
    const char *const texts[] = { "", "hello", "0x10", "1 2", "--1", "nan(1)" };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const struct md_span text = md_span_of(texts[i]);
        struct md_operator_run run;
        assert_int_equal(cast(&run, MD_BYTES, MD_DIMS(1), &text, MD_FP32, 13), MD_INVALID_ARGUMENT);
        md_operator_run_cleanup(&run);
    }
}

static void test_a_type_that_does_not_exist_is_refused(void **state)
{
    (void)state;
    const int64_t types[] = { 0, -1, 14, 15, 24, INT64_MAX };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct md_operator_run run;
        md_operator_run_init(&run);
        md_operator_run_input(&run, MD_FP32, MD_DIMS(1), (float[]){ 1 });
        md_operator_run_int(&run, "to", types[i]);
        assert_int_equal(md_operator_run_go(&run, MD_ONNX, "Cast", 13), MD_INVALID_ARGUMENT);
        md_operator_run_cleanup(&run);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reals_that_no_integer_holds_are_defined),
        cmocka_unit_test(test_integers_that_do_not_fit_keep_their_low_bits),
        cmocka_unit_test(test_a_double_is_rounded_to_half_once),
        cmocka_unit_test(test_reals_as_text_are_as_short_as_they_can_be),
        cmocka_unit_test(test_text_that_is_no_number_is_refused),
        cmocka_unit_test(test_a_type_that_does_not_exist_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
