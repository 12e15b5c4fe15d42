/* test_output_difference.c - outputs made by hand: what counts as a difference, and what is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "output_difference.h"

#include <math.h>
#include <string.h>

static struct md_value value_of(enum md_datatype datatype, void *bytes, int64_t count)
{
    struct md_value value = { .kind = MD_VALUE_TENSOR };
    struct md_shape shape = md_shape_of(1, &count);
    assert_int_equal(md_tensor_describe(datatype, &shape, bytes, &value.tensor, NULL), MD_OK);
    return value;
}

static enum md_code add(struct md_output_difference *difference, const float *output, const float *reference,
                        int64_t count, struct md_error *error)
{
    struct md_value a = value_of(MD_FP32, (void *)(uintptr_t)output, count);
    struct md_value b = value_of(MD_FP32, (void *)(uintptr_t)reference, count);
    return md_output_difference_add(difference, &a, &b, error);
}

static void test_the_ratio_is_of_the_largest_over_all_runs(void **state)
{
    (void)state;
    static const float reference[][2] = { { 1, -4 }, { 0.001f, 0 } };
    static const float output[][2] = { { 1.5f, -4 }, { -0.001f, 0 } };
    struct md_output_difference difference = { 0 };
    for (int run = 0; run < 2; run++)
        assert_int_equal(add(&difference, output[run], reference[run], 2, NULL), MD_OK);
    assert_true(difference.largest_difference == 0.5);
    assert_true(difference.largest_value == 4);
    assert_int_equal(difference.count, 4);
    assert_true(md_output_difference_ratio(&difference) == 0.125);
}

static void test_equal_outputs_differ_by_nothing_also_when_they_are_zero(void **state)
{
    (void)state;
    static const float zeros[3] = { 0, -0.0f, 0 };
    struct md_output_difference difference = { 0 };
    assert_true(md_output_difference_ratio(&difference) == 0);
    assert_int_equal(add(&difference, zeros, zeros, 3, NULL), MD_OK);
    assert_int_equal(difference.count, 3);
    assert_true(md_output_difference_ratio(&difference) == 0);
}

static void test_a_difference_from_zeros_is_above_every_bound(void **state)
{
    (void)state;
    static const float zero = 0;
    static const float small = 1e-6f;
    struct md_output_difference difference = { 0 };
    assert_int_equal(add(&difference, &small, &zero, 1, NULL), MD_OK);
    assert_true(isinf(md_output_difference_ratio(&difference)));
}

static void test_what_is_not_finite_is_refused_unless_the_reference_is_so_too(void **state)
{
    (void)state;
    const float reference[3] = { -INFINITY, NAN, 2 };
    const float same[3] = { -INFINITY, 1, 2 };
    const float infinite[3] = { -INFINITY, NAN, INFINITY };
    const float none[3] = { -INFINITY, NAN, NAN };
    struct md_output_difference difference = { 0 };
    struct md_error error = { "" };
    assert_int_equal(add(&difference, same, reference, 3, NULL), MD_OK);
    assert_int_equal(difference.count, 1);
    assert_true(md_output_difference_ratio(&difference) == 0);
    assert_int_equal(add(&difference, infinite, reference, 3, &error), MD_FAILED_PRECONDITION);
    assert_string_equal(error.message, "inf where fp32 has 2");
    assert_int_equal(add(&difference, none, reference, 3, &error), MD_FAILED_PRECONDITION);
    assert_non_null(strstr(error.message, "nan where fp32 has 2"));
}

static void test_other_shapes_are_refused(void **state)
{
    (void)state;
    float numbers[3] = { 1, 2, 3 };
    struct md_value three = value_of(MD_FP32, numbers, 3);
    struct md_value two = value_of(MD_FP32, numbers, 2);
    struct md_output_difference difference = { 0 };
    struct md_error error = { "" };
    assert_int_equal(md_output_difference_add(&difference, &three, &two, &error), MD_FAILED_PRECONDITION);
    assert_string_equal(error.message, "shape [3] where fp32 has [2]");
}

static void test_only_tensors_of_floating_point_are_compared(void **state)
{
    (void)state;
    int64_t classes[2] = { 1, 2 };
    int64_t others[2] = { 2, 1 };
    double doubles[2] = { 1, 2 };
    const struct md_value none = { .kind = MD_VALUE_NONE };
    struct md_value a = value_of(MD_INT64, classes, 2);
    struct md_value b = value_of(MD_INT64, others, 2);
    struct md_value c = value_of(MD_FP64, doubles, 2);
    struct md_output_difference difference = { 0 };
    assert_int_equal(md_output_difference_add(&difference, &a, &b, NULL), MD_OK);
    assert_int_equal(md_output_difference_add(&difference, &none, &none, NULL), MD_OK);
    assert_int_equal(difference.count, 0);
    assert_int_equal(md_output_difference_add(&difference, &c, &c, NULL), MD_OK);
    assert_int_equal(difference.count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_ratio_is_of_the_largest_over_all_runs),
        cmocka_unit_test(test_equal_outputs_differ_by_nothing_also_when_they_are_zero),
        cmocka_unit_test(test_a_difference_from_zeros_is_above_every_bound),
        cmocka_unit_test(test_what_is_not_finite_is_refused_unless_the_reference_is_so_too),
        cmocka_unit_test(test_other_shapes_are_refused),
        cmocka_unit_test(test_only_tensors_of_floating_point_are_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
