/* test_pad.c - every mode, crops, and pads that leave nothing to repeat. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "operator_run.h"

static enum md_code pad(struct md_operator_run *run, const char *mode, int64_t before, int64_t after)
{
    md_operator_run_init(run);
    md_operator_run_input(run, MD_UINT8, MD_DIMS(3), "abc");
    md_operator_run_input(run, MD_INT64, MD_DIMS(2), (int64_t[]){ before, after });
    md_operator_run_input(run, MD_UINT8, MD_SCALAR, "-");
    md_operator_run_text(run, "mode", mode);
    return md_operator_run_go(run, MD_ONNX, "Pad", 21);
}

static void test_every_mode_fills_both_sides(void **state)
{
    (void)state;
    static const struct {
        const char *mode;
        int64_t before, after;
        const char *expected;
    } cases[] = { { "constant", 2, 1, "--abc-" },
                  { "edge", 2, 1, "aaabcc" },
                  { "reflect", 2, 1, "cbabcb" },
                  { "wrap", 2, 1, "bcabca" },
                  { "reflect", 6, 0, "cbabcbabc" } /* more than once */,
                  { "constant", -1, 2, "bc--" },
                  { "edge", -2, 2, "ccc" } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct md_operator_run run;
        assert_int_equal(pad(&run, cases[i].mode, cases[i].before, cases[i].after), MD_OK);
        md_operator_run_expect(&run, MD_UINT8, MD_DIMS((int64_t)strlen(cases[i].expected)),
                               cases[i].expected);
        md_operator_run_cleanup(&run);
    }
}

static void test_impossible_pads_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *mode;
        int64_t before, after;
    } cases[] = { { "constant", -2, -2 },       { "constant", INT64_MAX, INT64_MAX },
                  { "constant", INT64_MIN, 0 }, { "edge", -3, 1 },
                  { "nonsense", 1, 1 },         { "wrap", 4, -3 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct md_operator_run run;
        assert_int_equal(pad(&run, cases[i].mode, cases[i].before, cases[i].after), MD_INVALID_ARGUMENT);
        md_operator_run_cleanup(&run);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_mode_fills_both_sides),
        cmocka_unit_test(test_impossible_pads_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
