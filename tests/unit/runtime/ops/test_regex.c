/* test_regex.c - RE2 as PCRE2: what is rewritten, what is refused, and what would take for ever. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "operator_run.h"

/* 1: matches, 0: does not, -1: the pattern is refused, -2: the limits stopped it. */
static int full_match(const char *pattern, const char *text)
{
    struct md_operator_run run;
    struct md_span element = md_span_of(text);
    md_operator_run_init(&run);
    md_operator_run_input(&run, MD_BYTES, MD_DIMS(1), &element);
    md_operator_run_text(&run, "pattern", pattern);
    enum md_code code = md_operator_run_go(&run, MD_ONNX, "RegexFullMatch", 20);
    int result = code == MD_INVALID_ARGUMENT ? -1 : code == MD_RESOURCE_EXHAUSTED ? -2 : -3;
    if (code == MD_OK)
        result = ((const uint8_t *)run.outputs[0].tensor.bytes)[0];
    md_operator_run_cleanup(&run);
    return result;
}

static void test_the_whole_text_must_match(void **state)
{
    (void)state;
    assert_int_equal(full_match("ab|abc", "abc"), 1);
    assert_int_equal(full_match("b", "abc"), 0);
    assert_int_equal(full_match("abc$", "abc\n"), 0); /* $ is the very end */
    assert_int_equal(full_match("", ""), 1);
    assert_int_equal(full_match(".", "\xc3\xa9"), 1); /* one character, two bytes */
    assert_int_equal(full_match(".*", "\xff"), 0);    /* not UTF-8 */
}

static void test_escapes_mean_what_re2_says(void **state)
{
    (void)state;
    assert_int_equal(full_match("\\v", "\v"), 1);
    assert_int_equal(full_match("\\v", "\n"), 0);
    assert_int_equal(full_match("\\s", "\v"), 0);
    assert_int_equal(full_match("[\\s]", " "), 1);
    assert_int_equal(full_match("\\S", "\v"), 1);
    assert_int_equal(full_match("[x\\S]", "\v"), 1);
    assert_int_equal(full_match("\\d", "\xd9\xa3"), 0); /* an Arabic digit: ASCII only */
    assert_int_equal(full_match("\\101\\x{42}", "AB"), 1);
    assert_int_equal(full_match("\\Qa.b*\\E+", "a.b**"), 1);
    assert_int_equal(full_match("[]a[]+", "]a["), 1);
    assert_int_equal(full_match("(?P<x>a)(?<y>b)(?i:C)(?:d)", "abcd"), 1);
}

static void test_what_re2_does_not_know_is_refused(void **state)
{
    (void)state;
    static const char *const patterns[] = { "(?=a)a",  "(?!a)b", "(?<=a)b", "(?<!a)b", "(a)\\1",
                                            "(?>a)",   "a++",    "(?R)",    "(?(1)a)", "(?#x)a",
                                            "(*UTF)a", "\\Ka",   "\\Ga",    "\\h",     "\\g1",
                                            "(?|a)",   "(a",     "a)",      "[a",      "a\\" };
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
        assert_int_equal(full_match(patterns[i], "a"), -1);
}

static void test_a_pattern_that_explodes_in_backtracking_is_linear(void **state)
{
    (void)state;
    assert_int_equal(full_match("(a*)*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac"), 0);
    assert_int_equal(full_match("(a|aa)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"),
                     0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_whole_text_must_match),
        cmocka_unit_test(test_escapes_mean_what_re2_says),
        cmocka_unit_test(test_what_re2_does_not_know_is_refused),
        cmocka_unit_test(test_a_pattern_that_explodes_in_backtracking_is_linear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
