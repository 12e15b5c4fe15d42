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

/* ---- a constant B is packed: same sums ---- */
enum { MATRICES = 2, ROWS = 5, DEPTH = 67, COLUMNS = 53 };

struct byte_case {
    const char *op_type;
    const char *domain;
    enum md_datatype a, b;
    bool zero_point_of_b;
    unsigned b_input, zero_point_input; /* of B */
};

static void fill_bytes(size_t count, uint8_t *bytes)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)(i * 37u + i / 7u * 101u);
}

static void add_scale(struct md_operator_run *run, bool per_row)
{
    static const float numbers[ROWS] = { 0.25f, 0.5f, 0.03f, 7.0f, 1.0f };
    md_operator_run_input(run, MD_FP32, per_row ? MD_DIMS(ROWS) : MD_SCALAR, numbers);
}

/* Inputs in the operator's own order. */
static void add_inputs(struct md_operator_run *run, const struct byte_case *c)
{
    static uint8_t a[MATRICES * ROWS * DEPTH], b[DEPTH * COLUMNS], zeros[COLUMNS + 1];
    const bool linear = c->op_type[0] == 'Q', real = c->domain[0] != '\0';
    fill_bytes(sizeof a, a);
    fill_bytes(sizeof b, b);
    fill_bytes(sizeof zeros, zeros);
    md_operator_run_input(run, c->a, MD_DIMS(MATRICES, ROWS, DEPTH), a);
    if (linear) {
        add_scale(run, true);
        md_operator_run_input(run, c->a, MD_DIMS(ROWS), zeros);
    }
    md_operator_run_input(run, c->b, MD_DIMS(DEPTH, COLUMNS), b);
    if (real)
        add_scale(run, true);
    if (real || linear)
        add_scale(run, false);
    if (!linear)
        md_operator_run_input(run, c->a, MD_DIMS(ROWS), zeros);
    if (c->zero_point_of_b || linear)
        md_operator_run_input(run, c->b, MD_DIMS(COLUMNS), zeros + 1);
    if (linear) {
        add_scale(run, false);
        md_operator_run_input(run, MD_UINT8, MD_SCALAR, zeros + 3);
    }
}

static void run_bytes(const struct byte_case *c, unsigned constants, unsigned char *out, size_t *out_size)
{
    struct md_operator_run run;
    md_operator_run_init(&run);
    add_inputs(&run, c);
    run.constant_inputs = constants;
    assert_int_equal(md_operator_run_go(&run, c->domain, c->op_type, c->domain[0] == '\0' ? 10 : 1), MD_OK);
    const struct md_tensor *output = &run.outputs[0].tensor;
    *out_size = md_tensor_size(output);
    assert_true(*out_size <= MATRICES * ROWS * COLUMNS * sizeof(float));
    memcpy(out, output->bytes, *out_size);
    md_operator_run_cleanup(&run);
}

static void test_a_constant_matrix_of_bytes_gives_the_same_sums(void **state)
{
    static const struct byte_case cases[] = {
        { "MatMulInteger", MD_ONNX, MD_UINT8, MD_INT8, false, 1, 3 },
        { "MatMulInteger", MD_ONNX, MD_UINT8, MD_UINT8, false, 1, 3 },
        { "MatMulInteger", MD_ONNX, MD_INT8, MD_INT8, true, 1, 3 },
        { "MatMulInteger", MD_ONNX, MD_INT8, MD_UINT8, true, 1, 3 },
        { "QLinearMatMul", MD_ONNX, MD_UINT8, MD_INT8, true, 3, 5 },
        { "QLinearMatMul", MD_ONNX, MD_INT8, MD_INT8, true, 3, 5 },
        { "MatMulIntegerToFloat", MD_MICROSOFT, MD_UINT8, MD_INT8, false, 1, 5 },
        { "MatMulIntegerToFloat", MD_MICROSOFT, MD_INT8, MD_UINT8, true, 1, 5 },
    };
    static unsigned char packed[MATRICES * ROWS * COLUMNS * sizeof(float)], plain[sizeof packed];
    size_t packed_size, plain_size;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const unsigned b = 1u << cases[i].b_input, all = b | 1u << cases[i].zero_point_input | 1u << 3;
        run_bytes(&cases[i], 0, plain, &plain_size);
        for (size_t j = 0; j < 2; j++) {
            run_bytes(&cases[i], j == 0 ? b : all, packed, &packed_size);
            assert_int_equal(packed_size, plain_size);
            assert_memory_equal(packed, plain, plain_size);
        }
    }
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
        cmocka_unit_test(test_a_constant_matrix_of_bytes_gives_the_same_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
