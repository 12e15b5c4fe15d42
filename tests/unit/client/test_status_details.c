/* test_status_details.c - RetryInfo out of bytes that come from the network. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "status_details.h"

#include <string.h>

#define RETRY_TYPE "\x0a\x28type.googleapis.com/google.rpc.RetryInfo"

static uint32_t read_literal(const char *bytes, size_t size)
{
    char copy[256]; /* exactly sized for the sanitizers' sake: nothing behind it is read */
    assert_true(size <= sizeof copy);
    memcpy(copy + sizeof copy - size, bytes, size);
    return md_status_details_retry_after_ms(copy + sizeof copy - size, size);
}
#define READ(literal) read_literal(literal, sizeof(literal) - 1)

static void test_a_delay_is_found(void **state)
{
    (void)state;
    /* code 8, message "full", one detail: RetryInfo of 10,000,000 ns */
    assert_int_equal(READ("\x08\x08\x12\x04"
                          "full\x1a\x33" RETRY_TYPE "\x12\x07\x0a\x05\x10\x80\xad\xe2\x04"),
                     10);
    /* 2 s */
    assert_int_equal(READ("\x1a\x30" RETRY_TYPE "\x12\x04\x0a\x02\x08\x02"), 2000);
    /* less than a millisecond is one */
    assert_int_equal(READ("\x1a\x30" RETRY_TYPE "\x12\x04\x0a\x02\x10\x01"), 1);
}

static void test_other_details_are_skipped(void **state)
{
    (void)state;
    assert_int_equal(READ("\x1a\x05\x0a\x01x\x12\x00"
                          "\x1a\x30" RETRY_TYPE "\x12\x04\x0a\x02\x08\x02"),
                     2000);
    assert_int_equal(READ("\x08\x08"), 0);
    assert_int_equal(READ(""), 0);
}

static void test_malformed_bytes_are_no_delay(void **state)
{
    (void)state;
    static const char good[] = "\x08\x08\x12\x04"
                               "full\x1a\x33" RETRY_TYPE "\x12\x07\x0a\x05\x10\x80\xad\xe2\x04";
    for (size_t size = 0; size < sizeof good - 1; size++)
        assert_int_equal(read_literal(good, size), 0);
    assert_int_equal(READ("\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 0);
    assert_int_equal(READ("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), 0);
    assert_int_equal(READ("\x1b"), 0);
}

static void test_absurd_delays_are_no_delay(void **state)
{
    (void)state;
    /* -1 s, and more than a day */
    assert_int_equal(
        READ("\x1a\x39" RETRY_TYPE "\x12\x0d\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 0);
    assert_int_equal(READ("\x1a\x32" RETRY_TYPE "\x12\x06\x0a\x04\x08\xff\xff\x7f"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_delay_is_found),
        cmocka_unit_test(test_other_details_are_skipped),
        cmocka_unit_test(test_malformed_bytes_are_no_delay),
        cmocka_unit_test(test_absurd_delays_are_no_delay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
