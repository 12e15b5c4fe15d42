/* test_trace.c - W3C traceparent in and out. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "trace.h"

#include <string.h>

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define SPAN  "b7ad6b7169203331"

static void test_the_trace_goes_on_with_a_span_of_its_own(void **state)
{
    struct md_trace trace;
    char header[MD_TRACEPARENT_SIZE + 1];
    (void)state;
    for (int later = 0; later < 2; later++) {
        const char *given = later ? "01-" TRACE "-" SPAN "-01-more" : "00-" TRACE "-" SPAN "-01";
        md_trace_begin(&trace, given, strlen(given), 5);
        md_trace_format(&trace, header);
        assert_int_equal(strlen(header), MD_TRACEPARENT_SIZE);
        assert_memory_equal(header, "00-" TRACE "-", 36);
        assert_memory_not_equal(header + 36, SPAN, 16);
        assert_string_equal(header + 52, "-01");
        assert_string_equal(trace.parent_id, SPAN);
    }
}

static void test_what_is_malformed_begins_a_new_trace(void **state)
{
    static const char *const wrong[] = { "",
                                         "00-" TRACE "-" SPAN,
                                         "ff-" TRACE "-" SPAN "-01",
                                         "00-" TRACE "-" SPAN "-01-more",
                                         "00-" TRACE "-0000000000000000-01",
                                         "00-00000000000000000000000000000000-" SPAN "-01",
                                         "00-0AF7651916CD43DD8448EB211C80319C-" SPAN "-01",
                                         "00_" TRACE "-" SPAN "-01" };
    struct md_trace trace;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        md_trace_begin(&trace, wrong[i], strlen(wrong[i]), i);
        assert_string_not_equal(trace.trace_id, TRACE);
        assert_int_equal(strlen(trace.trace_id), 32);
        assert_string_equal(trace.parent_id, "");
        assert_string_equal(trace.flags, "00");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_trace_goes_on_with_a_span_of_its_own),
        cmocka_unit_test(test_what_is_malformed_begins_a_new_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
