/* test_datatype.c - conversions between float formats, over every code of each small format. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "datatype.h"

#include <math.h>
#include <string.h>

static void test_every_half_survives_the_way_to_float_and_back(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits <= 0xFFFF; bits++) {
        float value = md_fp16_to_float((uint16_t)bits);
        if (isnan(value))
            assert_true(isnan(md_fp16_to_float(md_float_to_fp16(value))));
        else
            assert_int_equal(md_float_to_fp16(value), bits);
        value = md_bf16_to_float((uint16_t)bits);
        if (isnan(value))
            assert_true(isnan(md_bf16_to_float(md_float_to_bf16(value))));
        else
            assert_int_equal(md_float_to_bf16(value), bits);
    }
}

static void test_half_rounds_to_nearest_even(void **state)
{
    (void)state;
    assert_int_equal(md_float_to_fp16(1.0f), 0x3C00);
    assert_int_equal(md_float_to_fp16(1.0f + 0x1p-11f), 0x3C00);      /* tie to even */
    assert_int_equal(md_float_to_fp16(1.0f + 3 * 0x1p-11f), 0x3C02);  /* tie to even */
    assert_int_equal(md_float_to_fp16(65504.0f), 0x7BFF);
    assert_int_equal(md_float_to_fp16(65519.9f), 0x7BFF);
    assert_int_equal(md_float_to_fp16(65520.0f), 0x7C00);
    assert_int_equal(md_float_to_fp16(0x1p-24f), 1);
    assert_int_equal(md_float_to_fp16(0x1p-25f), 0);
    assert_int_equal(md_float_to_fp16(-0.0f), 0x8000);
    assert_int_equal(md_float_to_bf16(1.0f + 0x1p-8f), 0x3F80);
    assert_int_equal(md_float_to_bf16(1.0f + 3 * 0x1p-8f), 0x3F82);
}

static void test_every_small_float_survives_the_way_to_float_and_back(void **state)
{
    (void)state;
    for (int datatype = MD_FP8E4M3FN; datatype <= MD_FP8E5M2FNUZ; datatype++)
        for (unsigned bits = 0; bits <= 0xFF; bits++) {
            float value = md_small_float_to_float((enum md_datatype)datatype, (uint8_t)bits);
            uint8_t back = md_float_to_small_float((enum md_datatype)datatype, value, false);
            if (isnan(value))
                assert_true(isnan(md_small_float_to_float((enum md_datatype)datatype, back)));
            else
                assert_int_equal(back, bits);
        }
    for (unsigned bits = 0; bits < 16; bits++)
        assert_int_equal(
            md_float_to_small_float(MD_FP4E2M1, md_small_float_to_float(MD_FP4E2M1, (uint8_t)bits), true), bits);
}

static void test_small_floats_at_their_limits(void **state)
{
    (void)state;
    assert_true(fabsf(md_small_float_to_float(MD_FP8E4M3FN, 0x7E) - 448.0f) < 1e-6f);
    assert_true(fabsf(md_small_float_to_float(MD_FP8E5M2, 0x7B) - 57344.0f) < 1e-6f);
    assert_true(fabsf(md_small_float_to_float(MD_FP8E4M3FNUZ, 0x7F) - 240.0f) < 1e-6f);
    assert_true(fabsf(md_small_float_to_float(MD_FP4E2M1, 0x7) - 6.0f) < 1e-6f);
    assert_int_equal(md_float_to_small_float(MD_FP8E4M3FN, 1e9f, true), 0x7E);
    assert_int_equal(md_float_to_small_float(MD_FP8E4M3FN, 1e9f, false), 0x7F);
    assert_int_equal(md_float_to_small_float(MD_FP8E5M2, -1e9f, false), 0xFC);
    assert_int_equal(md_float_to_small_float(MD_FP8E5M2FNUZ, INFINITY, false), 0x80);
    assert_int_equal(md_float_to_small_float(MD_FP8E4M3FNUZ, -0.0f, true), 0);
}

static void test_names_and_sizes(void **state)
{
    (void)state;
    for (int i = MD_FP32; i < MD_DATATYPE_COUNT; i++) {
        const char *name = md_datatype_name((enum md_datatype)i);
        assert_int_equal(md_datatype_from_name(name, strlen(name)), i);
        assert_true(md_datatype_size((enum md_datatype)i) > 0);
    }
    assert_int_equal(md_datatype_from_name("FP33", 4), MD_DATATYPE_NONE);
    assert_int_equal(md_datatype_size((enum md_datatype)1000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_half_survives_the_way_to_float_and_back),
        cmocka_unit_test(test_half_rounds_to_nearest_even),
        cmocka_unit_test(test_every_small_float_survives_the_way_to_float_and_back),
        cmocka_unit_test(test_small_floats_at_their_limits),
        cmocka_unit_test(test_names_and_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
