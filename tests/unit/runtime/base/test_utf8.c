/* test_utf8.c - the UTF-8 check, against the table of well-formed sequences of the Unicode standard. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "utf8.h"

#include <string.h>

static size_t check(const char *bytes)
{
    return md_utf8_valid_prefix(bytes, strlen(bytes));
}

static void test_valid_text_is_valid_to_its_end(void **state)
{
    (void)state;
    const char *const texts[] = { "", "plain", "h\xC3\xA9llo", "\xE6\x97\xA5\xE6\x9C\xAC", "\xF0\x9F\x98\x80 ok",
                                  "\xED\x9F\xBF", "\xEE\x80\x80", "\xF4\x8F\xBF\xBF", "exactly8", "12345678\xC2\x80" };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_equal(check(texts[i]), strlen(texts[i]));
}

static void test_the_first_bad_byte_is_found(void **state)
{
    (void)state;
    assert_int_equal(check("\x80"), 0);
    assert_int_equal(check("ab\xC0\x80"), 2);         /* overlong */
    assert_int_equal(check("a\xE0\x80\x80"), 1);      /* overlong */
    assert_int_equal(check("abc\xED\xA0\x80"), 3);    /* surrogate */
    assert_int_equal(check("\xF4\x90\x80\x80"), 0);   /* above U+10FFFF */
    assert_int_equal(check("\xF0\x8F\xBF\xBF"), 0);   /* overlong */
    assert_int_equal(check("12345678abc\xE2\x82"), 11); /* cut off */
    assert_int_equal(check("\xFF"), 0);
}

static void test_nul_is_a_character(void **state)
{
    (void)state;
    assert_int_equal(md_utf8_valid_prefix("a\0b", 3), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid_text_is_valid_to_its_end),
        cmocka_unit_test(test_the_first_bad_byte_is_found),
        cmocka_unit_test(test_nul_is_a_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
