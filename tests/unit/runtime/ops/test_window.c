/* test_window.c - where windows lie: Conv, ConvTranspose, the poolings and MaxUnpool, with numbers from a
 * file that nobody should trust. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "operator_run.h"

static const float ramp[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
static const float ones[] = { 1, 1, 1, 1, 1, 1, 1, 1 };

static const int64_t two = 2; /* attributes are borrowed until the run is over */

static void test_conv_pads_strides_and_dilates(void **state)
{
    (void)state;
    struct md_operator_run run;
    md_operator_run_init(&run);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(1, 1, 5), ramp);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(1, 1, 2), ones);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(1), (float[]){ 100 });
    md_operator_run_ints(&run, "pads", (int64_t[]){ 1, 1 }, 2);
    md_operator_run_ints(&run, "strides", (int64_t[]){ 2 }, 1);
    md_operator_run_ints(&run, "dilations", (int64_t[]){ 2 }, 1);
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "Conv", 11), MD_OK);
    md_operator_run_expect(&run, MD_FP32, MD_DIMS(1, 1, 3), (float[]){ 102, 106, 104 });
    md_operator_run_cleanup(&run);
}

static void test_same_padding_puts_the_odd_one_where_it_says(void **state)
{
    (void)state;
    static const struct {
        const char *auto_pad;
        float expected[2];
    } cases[] = { { "SAME_UPPER", { 3, 7 } }, { "SAME_LOWER", { 3, 7 } }, { "VALID", { 3, 7 } } };
    for (size_t i = 0; i < 3; i++) {
        struct md_operator_run run;
        md_operator_run_init(&run);
        md_operator_run_input(&run, MD_FP32, MD_DIMS(1, 1, 4), ramp);
        md_operator_run_input(&run, MD_FP32, MD_DIMS(1, 1, 2), ones);
        md_operator_run_text(&run, "auto_pad", cases[i].auto_pad);
        md_operator_run_ints(&run, "strides", (int64_t[]){ 2 }, 1);
        assert_int_equal(md_operator_run_go(&run, MD_ONNX, "Conv", 11), MD_OK);
        md_operator_run_expect(&run, MD_FP32, MD_DIMS(1, 1, 2), cases[i].expected);
        md_operator_run_cleanup(&run);
    }
    struct md_operator_run run;
    md_operator_run_init(&run);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(1, 1, 3), ramp);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(1, 1, 2), ones);
    md_operator_run_text(&run, "auto_pad", "SAME_LOWER");
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "Conv", 11), MD_OK);
    md_operator_run_expect(&run, MD_FP32, MD_DIMS(1, 1, 3), (float[]){ 1, 3, 5 });
    md_operator_run_cleanup(&run);
}

static void test_transposed_conv_spreads(void **state)
{
    (void)state;
    struct md_operator_run run;
    md_operator_run_init(&run);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(1, 1, 3), ramp);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(1, 1, 3), ones);
    md_operator_run_ints(&run, "strides", (int64_t[]){ 2 }, 1);
    md_operator_run_ints(&run, "output_padding", (int64_t[]){ 1 }, 1);
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "ConvTranspose", 11), MD_OK);
    md_operator_run_expect(&run, MD_FP32, MD_DIMS(1, 1, 8), (float[]){ 1, 1, 3, 2, 5, 3, 3, 0 });
    md_operator_run_cleanup(&run);
}

/* A window that ceil_mode adds must not begin in the end padding; an average counts what is there. */
static void test_ceil_mode(void **state)
{
    (void)state;
    struct md_operator_run run;
    md_operator_run_init(&run);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(1, 1, 4), ramp);
    md_operator_run_ints(&run, "kernel_shape", (int64_t[]){ 3 }, 1);
    md_operator_run_ints(&run, "strides", (int64_t[]){ 2 }, 1);
    md_operator_run_int(&run, "ceil_mode", 1);
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "AveragePool", 11), MD_OK);
    md_operator_run_expect(&run, MD_FP32, MD_DIMS(1, 1, 2), (float[]){ 2, 3.5f });
    md_operator_run_cleanup(&run);
    md_operator_run_init(&run);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(1, 1, 2), ramp);
    md_operator_run_ints(&run, "kernel_shape", (int64_t[]){ 1 }, 1);
    md_operator_run_ints(&run, "strides", (int64_t[]){ 2 }, 1);
    md_operator_run_int(&run, "ceil_mode", 1);
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "MaxPool", 11), MD_OK);
    md_operator_run_expect(&run, MD_FP32, MD_DIMS(1, 1, 1), (float[]){ 1 });
    md_operator_run_cleanup(&run);
}

static void test_max_pool_knows_indices_without_values(void **state)
{
    (void)state;
    struct md_operator_run run;
    md_operator_run_init(&run);
    run.output_count = 2;
    md_operator_run_input(&run, MD_INT8, MD_DIMS(1, 2, 2, 2), (int8_t[]){ -5, -1, -2, -3, 1, 2, 9, 4 });
    md_operator_run_ints(&run, "kernel_shape", (int64_t[]){ 2, 2 }, 2);
    md_operator_run_int(&run, "storage_order", 1);
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "MaxPool", 12), MD_OK);
    md_operator_run_expect(&run, MD_INT8, MD_DIMS(1, 2, 1, 1), (int8_t[]){ -1, 9 });
    const int64_t *indices = run.outputs[1].tensor.bytes;
    assert_int_equal(indices[0], 2);
    assert_int_equal(indices[1], 5);
    md_operator_run_cleanup(&run);
}

static void test_numbers_out_of_range_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *op_type, *attribute;
        int64_t value;
    } cases[] = { { "MaxPool", "kernel_shape", 0 },
                  { "MaxPool", "kernel_shape", INT64_MAX },
                  { "MaxPool", "strides", 0 },
                  { "MaxPool", "strides", -1 },
                  { "AveragePool", "dilations", INT64_MIN },
                  { "LpPool", "strides", INT64_MAX },
                  { "Conv", "strides", 0 },
                  { "Conv", "dilations", 4 },
                  { "Conv", "group", 2 },
                  { "Conv", "group", 0 },
                  { "ConvTranspose", "output_shape", -1 },
                  { "ConvTranspose", "output_padding", INT64_MAX },
                  { "ConvTranspose", "strides", -3 },
                  { "ConvTranspose", "group", INT64_MAX } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool pooling = strstr(cases[i].op_type, "Pool") != NULL;
        struct md_operator_run run;
        md_operator_run_init(&run);
        md_operator_run_input(&run, MD_FP32, MD_DIMS(1, 1, 4), ramp);
        if (!pooling)
            md_operator_run_input(&run, MD_FP32, MD_DIMS(1, 1, 2), ones);
        if (pooling && strcmp(cases[i].attribute, "kernel_shape") != 0)
            md_operator_run_ints(&run, "kernel_shape", &two, 1);
        if (strcmp(cases[i].attribute, "group") == 0)
            md_operator_run_int(&run, "group", cases[i].value);
        else
            md_operator_run_ints(&run, cases[i].attribute, &cases[i].value, 1);
        assert_int_equal(md_operator_run_go(&run, MD_ONNX, cases[i].op_type, 19), MD_INVALID_ARGUMENT);
        md_operator_run_cleanup(&run);
    }
}

static void test_unpooling_checks_its_indices(void **state)
{
    (void)state;
    static const int64_t indices[] = { 3, 4 };
    struct md_operator_run run;
    md_operator_run_init(&run);
    md_operator_run_input(&run, MD_FP32, MD_DIMS(1, 1, 2), ramp);
    md_operator_run_input(&run, MD_INT64, MD_DIMS(1, 1, 2), indices);
    md_operator_run_ints(&run, "kernel_shape", &two, 1);
    md_operator_run_ints(&run, "strides", (int64_t[]){ 2 }, 1);
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "MaxUnpool", 11), MD_INVALID_ARGUMENT);
    assert_string_equal(run.error.message, "index 4 lies outside of shape [1,1,4]");
    md_operator_run_cleanup(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv_pads_strides_and_dilates),
        cmocka_unit_test(test_same_padding_puts_the_odd_one_where_it_says),
        cmocka_unit_test(test_transposed_conv_spreads),
        cmocka_unit_test(test_ceil_mode),
        cmocka_unit_test(test_max_pool_knows_indices_without_values),
        cmocka_unit_test(test_numbers_out_of_range_are_refused),
        cmocka_unit_test(test_unpooling_checks_its_indices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
