/* test_einsum.c - the forms of an equation, and equations that are wrong. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "operator_run.h"

static const float square[4] = { 1, 2, 3, 4 };

/* `count` operands, all of them [[1,2],[3,4]]. */
static enum md_code einsum(struct md_operator_run *run, const char *equation, size_t count)
{
    md_operator_run_init(run);
    for (size_t i = 0; i < count; i++)
        md_operator_run_input(run, MD_FP32, MD_DIMS(2, 2), square);
    md_operator_run_text(run, "equation", equation);
    return md_operator_run_go(run, MD_ONNX, "Einsum", 12);
}

static void test_forms_with_a_matrix_result(void **state)
{
    (void)state;
    static const struct {
        const char *equation;
        size_t operands;
        float expected[4];
    } cases[] = {
        { "ij->ji", 1, { 1, 3, 2, 4 } },
        { "ba", 1, { 1, 3, 2, 4 } }, /* implicit: alphabetical */
        { " i j , j k -> i k ", 2, { 7, 10, 15, 22 } },
        { "ij,jk,kl->il", 3, { 37, 54, 81, 118 } },
        { "ij,jk,kl->li", 3, { 37, 81, 54, 118 } },
        { "ij,ij->ij", 2, { 1, 4, 9, 16 } },
        { "...j,jk->...k", 2, { 7, 10, 15, 22 } },
        { "ik,jk->ij", 2, { 5, 11, 11, 25 } },
        { "ij,kk->ij", 2, { 5, 10, 15, 20 } }, /* a trace as a factor */
        { "Aj,ja", 2, { 7, 10, 15, 22 } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct md_operator_run run;
        assert_int_equal(einsum(&run, cases[i].equation, cases[i].operands), MD_OK);
        md_operator_run_expect(&run, MD_FP32, MD_DIMS(2, 2), cases[i].expected);
        md_operator_run_cleanup(&run);
    }
}

static void test_diagonals_and_sums(void **state)
{
    (void)state;
    struct md_operator_run run;
    assert_int_equal(einsum(&run, "ii->i", 1), MD_OK);
    md_operator_run_expect(&run, MD_FP32, MD_DIMS(2), (float[]){ 1, 4 });
    md_operator_run_cleanup(&run);
    assert_int_equal(einsum(&run, "ii", 1), MD_OK);
    md_operator_run_expect(&run, MD_FP32, MD_SCALAR, (float[]){ 5 });
    md_operator_run_cleanup(&run);
    assert_int_equal(einsum(&run, "ij,kl->", 2), MD_OK);
    md_operator_run_expect(&run, MD_FP32, MD_SCALAR, (float[]){ 100 });
    md_operator_run_cleanup(&run);
}

static void test_small_integers_wrap(void **state)
{
    (void)state;
    struct md_operator_run run;
    md_operator_run_init(&run);
    md_operator_run_input(&run, MD_INT8, MD_DIMS(2), (int8_t[]){ 100, 100 });
    md_operator_run_text(&run, "equation", "i->");
    assert_int_equal(md_operator_run_go(&run, MD_ONNX, "Einsum", 12), MD_OK);
    md_operator_run_expect(&run, MD_INT8, MD_SCALAR, (int8_t[]){ -56 });
    md_operator_run_cleanup(&run);
}

static void test_wrong_equations_are_refused(void **state)
{
    (void)state;
    static const char *const equations[] = {
        "",    "i",        "ijk",     "ij,ij", "ij->ik", "ij->ii",           "ij->i->",
        "i.j", "i...j...", "ij->i,j", "ij>",   "i1",     "abcdefghijklmnop", "ij->ijklmnopqrstuvw"
    };
    for (size_t i = 0; i < sizeof equations / sizeof equations[0]; i++) {
        struct md_operator_run run;
        assert_int_equal(einsum(&run, equations[i], 1), MD_INVALID_ARGUMENT);
        md_operator_run_cleanup(&run);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms_with_a_matrix_result),
        cmocka_unit_test(test_diagonals_and_sums),
        cmocka_unit_test(test_small_integers_wrap),
        cmocka_unit_test(test_wrong_equations_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
