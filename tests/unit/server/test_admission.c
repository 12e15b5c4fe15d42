/* test_admission.c - the in-flight limits, and requests that nobody waits for. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "admission.h"
#include "allocator.h"
#include "client_limit.h"
#include "front_end.h"

static void test_a_refused_call_is_not_counted(void **state)
{
    (void)state;
    struct md_server server = { .options = { .max_inflight = 2, .max_inflight_bytes = 1000 } };
    const struct md_rpc rpc = { .peer = "" };
    assert_int_equal(md_admission_enter(&server, &rpc, 10, NULL), MD_OK);
    assert_int_equal(md_admission_enter(&server, &rpc, 10, NULL), MD_OK);
    assert_int_equal(md_admission_enter(&server, &rpc, 10, NULL), MD_RESOURCE_EXHAUSTED);
    assert_int_equal(server.inflight_calls, 2);
    md_admission_leave(&server, &rpc, 10);
    assert_int_equal(md_admission_enter(&server, &rpc, 10, NULL), MD_OK);
    assert_int_equal(server.inflight_bytes, 20);
}

static void test_one_large_call_alone_is_let_through(void **state)
{
    (void)state;
    struct md_server server = { .options = { .max_inflight = 8, .max_inflight_bytes = 1000 } };
    const struct md_rpc rpc = { .peer = "" };
    assert_int_equal(md_admission_enter(&server, &rpc, 5000, NULL), MD_OK);
    assert_int_equal(md_admission_enter(&server, &rpc, 1, NULL), MD_RESOURCE_EXHAUSTED);
    md_admission_leave(&server, &rpc, 5000);
    assert_int_equal(md_admission_enter(&server, &rpc, 1, NULL), MD_OK);
}

static void test_a_client_that_has_its_share_takes_no_place_of_others(void **state)
{
    (void)state;
    struct md_server server = { .options = { .max_inflight = 8, .max_inflight_bytes = 1000 } };
    const struct md_rpc a = { .peer = "ipv4:10.0.0.1:1" }, b = { .peer = "ipv4:10.0.0.2:1" };
    assert_false(md_admission_needs_peer(&server));
    assert_int_equal(md_client_limit_create(md_process_allocator(), 1, &server.clients, NULL), MD_OK);
    assert_true(md_admission_needs_peer(&server));
    assert_int_equal(md_admission_enter(&server, &a, 1, NULL), MD_OK);
    assert_int_equal(md_admission_enter(&server, &a, 1, NULL), MD_RESOURCE_EXHAUSTED);
    assert_int_equal(server.inflight_calls, 1);
    assert_int_equal(md_admission_enter(&server, &b, 1, NULL), MD_OK);
    md_admission_leave(&server, &a, 1);
    assert_int_equal(md_admission_enter(&server, &a, 1, NULL), MD_OK);
    md_client_limit_destroy(server.clients);
}

static void test_who_waits_no_more_is_not_served(void **state)
{
    (void)state;
    struct md_rpc rpc = { .arrived_at_us = 10, .started_at_us = 50, .deadline_us = INT64_MAX };
    assert_int_equal(md_admission_check_wanted(&rpc, NULL), MD_OK);
    rpc.cancelled = true;
    assert_int_equal(md_admission_check_wanted(&rpc, NULL), MD_CANCELLED);
    rpc.deadline_us = 50; /* the core cancels what has expired as well: the deadline is the reason */
    assert_int_equal(md_admission_check_wanted(&rpc, NULL), MD_DEADLINE_EXCEEDED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_refused_call_is_not_counted),
        cmocka_unit_test(test_one_large_call_alone_is_let_through),
        cmocka_unit_test(test_a_client_that_has_its_share_takes_no_place_of_others),
        cmocka_unit_test(test_who_waits_no_more_is_not_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
