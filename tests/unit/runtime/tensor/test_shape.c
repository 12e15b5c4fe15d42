/* test_shape.c - arithmetic on shapes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tensor.h"

static struct md_shape shape(int32_t rank, int64_t a, int64_t b, int64_t c)
{
    int64_t dims[] = { a, b, c };
    return md_shape_of(rank, dims);
}

static void test_text(void **state)
{
    (void)state;
    char text[MD_SHAPE_TEXT_SIZE];
    struct md_shape two = shape(2, 1, 600, 0);
    struct md_shape scalar = shape(0, 0, 0, 0);
    assert_string_equal(md_shape_text(&two, text, sizeof text), "[1,600]");
    assert_string_equal(md_shape_text(&scalar, text, sizeof text), "[]");
    assert_string_equal(md_shape_text(&two, text, 4), "[1,");
}

static void test_count_refuses_what_cannot_be(void **state)
{
    (void)state;
    size_t count;
    struct md_shape negative = shape(2, 3, -1, 0);
    struct md_shape huge = shape(3, INT64_MAX / 2, 4, 1);
    struct md_shape huge_but_empty = shape(3, INT64_MAX / 2, 4, 0);
    struct md_shape empty = shape(2, 5, 0, 0);
    struct md_shape scalar = shape(0, 0, 0, 0);
    assert_false(md_shape_count(&negative, MD_FP32, &count));
    assert_false(md_shape_count(&huge, MD_INT8, &count));
    assert_false(md_shape_count(&huge_but_empty, MD_INT8, &count));
    assert_true(md_shape_count(&empty, MD_FP32, &count));
    assert_int_equal(count, 0);
    assert_true(md_shape_count(&scalar, MD_FP32, &count));
    assert_int_equal(count, 1);
}

static void test_broadcast(void **state)
{
    (void)state;
    struct md_shape a = shape(3, 2, 1, 4);
    struct md_shape b = shape(2, 3, 1, 0);
    struct md_shape out;
    assert_true(md_shape_broadcast(&a, &b, &out));
    struct md_shape want = shape(3, 2, 3, 4);
    assert_true(md_shape_equal(&out, &want));
    int64_t strides[MD_MAX_RANK];
    md_broadcast_strides(&b, &out, strides);
    assert_int_equal(strides[0], 0);
    assert_int_equal(strides[1], 1);
    assert_int_equal(strides[2], 0);
    struct md_shape c = shape(1, 3, 0, 0);
    assert_false(md_shape_broadcast(&a, &c, &out));
    struct md_shape zero = shape(1, 0, 0, 0);
    struct md_shape one = shape(1, 1, 0, 0);
    assert_true(md_shape_broadcast(&zero, &one, &out));
    assert_int_equal(out.dims[0], 0);
}

static void test_axis(void **state)
{
    (void)state;
    int32_t axis;
    assert_true(md_axis_normalize(-1, 3, &axis));
    assert_int_equal(axis, 2);
    assert_true(md_axis_normalize(0, 1, &axis));
    assert_false(md_axis_normalize(3, 3, &axis));
    assert_false(md_axis_normalize(-4, 3, &axis));
    assert_false(md_axis_normalize(INT64_MIN, 3, &axis));
    assert_false(md_axis_normalize(0, 0, &axis));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_count_refuses_what_cannot_be),
        cmocka_unit_test(test_broadcast),
        cmocka_unit_test(test_axis),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
