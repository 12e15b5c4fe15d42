/* test_rpc_status.c - the status of a refused call, as the wire has it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "rpc_status.h"

#include <string.h>

static void test_only_what_may_change_is_retried(void **state)
{
    (void)state;
    assert_true(md_rpc_status_retry_ms(MD_RESOURCE_EXHAUSTED) > 0);
    assert_int_equal(md_rpc_status_retry_ms(MD_INVALID_ARGUMENT), 0);
    assert_int_equal(md_rpc_status_retry_ms(MD_OK), 0);
}

/* google.rpc.Status { code 8, message "busy", details [RetryInfo { retry_delay { seconds 1 nanos 500000000 }
 * }] }, as protoc writes it. */
static void test_details_are_a_google_rpc_status(void **state)
{
    (void)state;
    static const unsigned char expected[] = "\x08\x08"
                                            "\x12\x04"
                                            "busy"
                                            "\x1a\x36"
                                            "\x0a\x28"
                                            "type.googleapis.com/google.rpc.RetryInfo"
                                            "\x12\x0a"
                                            "\x0a\x08"
                                            "\x08\x01"
                                            "\x10\x80\xca\xb5\xee\x01";
    unsigned char details[MD_RPC_STATUS_DETAILS_SIZE];
    size_t size = md_rpc_status_details(MD_RESOURCE_EXHAUSTED, "busy", 1500, details);
    assert_int_equal(size, sizeof expected - 1);
    assert_memory_equal(details, expected, size);
}

static void test_the_longest_message_fits(void **state)
{
    (void)state;
    struct md_error error;
    unsigned char details[MD_RPC_STATUS_DETAILS_SIZE];
    memset(error.message, 'x', sizeof error.message - 1);
    error.message[sizeof error.message - 1] = '\0';
    assert_true(md_rpc_status_details(MD_RESOURCE_EXHAUSTED, error.message, UINT32_MAX, details) <=
                sizeof details);
}

static void check_clean(const char *text, const char *expected)
{
    struct md_error error;
    memcpy(error.message, text, strlen(text) + 1);
    md_rpc_status_clean(&error);
    assert_string_equal(error.message, expected);
}

static void test_messages_are_made_fit_for_the_wire(void **state)
{
    (void)state;
    check_clean("plain", "plain");
    check_clean("", "");
    check_clean("a\nb\tc\x7f", "a b c ");
    check_clean("\xc3\xa4 \xff \xc3", "\xc3\xa4 ? ?");
    check_clean("\xe2\x82", "??");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_what_may_change_is_retried),
        cmocka_unit_test(test_details_are_a_google_rpc_status),
        cmocka_unit_test(test_the_longest_message_fits),
        cmocka_unit_test(test_messages_are_made_fit_for_the_wire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
