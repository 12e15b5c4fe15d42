/* test_status.c - messages, prefixes and code names. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "status.h"

#include <string.h>

static void test_fail_writes_the_message_and_returns_the_code(void **state)
{
    (void)state;
    struct md_error error;
    assert_int_equal(md_fail(&error, MD_NOT_FOUND, "model \"%s\" version %d", "m", 3), MD_NOT_FOUND);
    assert_string_equal(error.message, "model \"m\" version 3");
    assert_int_equal(md_fail(NULL, MD_ABORTED, "nobody listens"), MD_ABORTED);
}

static void test_prefix_goes_in_front(void **state)
{
    (void)state;
    struct md_error error;
    enum md_code code = md_fail(&error, MD_INVALID_ARGUMENT, "axis 3");
    assert_int_equal(md_fail_prefix(&error, code, "node \"%s\"", "n"), MD_INVALID_ARGUMENT);
    assert_string_equal(error.message, "node \"n\": axis 3");
}

static void test_long_messages_are_cut_and_stay_terminated(void **state)
{
    (void)state;
    char longer[2 * MD_ERROR_MESSAGE_SIZE];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    struct md_error error;
    md_error_set(&error, "%s", longer);
    assert_int_equal(strlen(error.message), MD_ERROR_MESSAGE_SIZE - 1);
    md_error_prefix(&error, "%s", longer);
    assert_int_equal(strlen(error.message), MD_ERROR_MESSAGE_SIZE - 1);
    md_error_set(&error, "kept");
    md_error_prefix(&error, "short");
    assert_string_equal(error.message, "short: kept");
}

static void test_every_code_has_its_name(void **state)
{
    (void)state;
    assert_string_equal(md_code_name(MD_OK), "OK");
    assert_string_equal(md_code_name(MD_UNAUTHENTICATED), "UNAUTHENTICATED");
    assert_string_equal(md_code_name((enum md_code)99), "UNKNOWN");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fail_writes_the_message_and_returns_the_code),
        cmocka_unit_test(test_prefix_goes_in_front),
        cmocka_unit_test(test_long_messages_are_cut_and_stay_terminated),
        cmocka_unit_test(test_every_code_has_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
