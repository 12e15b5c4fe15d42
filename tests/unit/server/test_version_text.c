/* test_version_text.c - what is a version and what is not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "version_text.h"

#include <string.h>

static void test_versions(void **state)
{
    (void)state;
    uint64_t version = 7;
    assert_int_equal(md_version_parse("", &version, NULL), MD_OK);
    assert_int_equal(version, 0);
    assert_int_equal(md_version_parse("1", &version, NULL), MD_OK);
    assert_int_equal(version, 1);
    assert_int_equal(md_version_parse("9223372036854775807", &version, NULL), MD_OK);
    assert_int_equal(version, INT64_MAX);
}

static void test_what_is_no_version_is_named(void **state)
{
    (void)state;
    static const char *const texts[] = { "0",
                                         "01",
                                         "-1",
                                         "+1",
                                         " 1",
                                         "1 ",
                                         "1.0",
                                         "one",
                                         "0x1",
                                         "stable",
                                         "9223372036854775808",
                                         "18446744073709551617",
                                         "99999999999999999999999999" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        uint64_t version = 7;
        struct md_error error;
        assert_int_equal(md_version_parse(texts[i], &version, &error), MD_INVALID_ARGUMENT);
        assert_non_null(strstr(error.message, texts[i]));
        assert_int_equal(version, 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_what_is_no_version_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
