/* test_client_limit.c - who counts as one client, what a place is, and no memory. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "client_limit.h"
#include "md_test.h"

#include <stdio.h>
#include <string.h>

static void test_a_client_is_an_address_without_its_port(void **state)
{
    (void)state;
    struct md_client_limit *limit = NULL;
    struct md_error error;
    assert_int_equal(md_client_limit_create(md_process_allocator(), 2, &limit, NULL), MD_OK);
    assert_int_equal(md_client_limit_enter(limit, "ipv4:10.0.0.1:1000", NULL), MD_OK);
    assert_int_equal(md_client_limit_enter(limit, "ipv4:10.0.0.1:2000", NULL), MD_OK);
    assert_int_equal(md_client_limit_enter(limit, "ipv4:10.0.0.1:3000", &error), MD_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(error.message, "\"ipv4:10.0.0.1\""));
    assert_int_equal(md_client_limit_enter(limit, "ipv4:10.0.0.11:1000", NULL), MD_OK);
    assert_int_equal(md_client_limit_enter(limit, "ipv6:[::1]:1000", NULL), MD_OK);
    assert_int_equal(md_client_limit_enter(limit, "unix:", NULL), MD_OK);
    md_client_limit_leave(limit, "ipv4:10.0.0.1:9");
    assert_int_equal(md_client_limit_enter(limit, "ipv4:10.0.0.1:4000", NULL), MD_OK);
    md_client_limit_destroy(limit);
}

enum { CLIENTS = 100 };

static void test_many_clients_come_and_go(void **state)
{
    (void)state;
    struct md_client_limit *limit = NULL;
    char peer[64];
    assert_int_equal(md_client_limit_create(md_process_allocator(), 1, &limit, NULL), MD_OK);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < CLIENTS; i++) {
            (void)snprintf(peer, sizeof peer, "ipv4:10.0.0.%d:7", i);
            assert_int_equal(md_client_limit_enter(limit, peer, NULL), MD_OK);
            assert_int_equal(md_client_limit_enter(limit, peer, NULL), MD_RESOURCE_EXHAUSTED);
        }
        for (int i = CLIENTS; i-- > 0;) {
            (void)snprintf(peer, sizeof peer, "ipv4:10.0.0.%d:8", i * 37 % CLIENTS);
            md_client_limit_leave(limit, peer);
        }
    }
    md_client_limit_destroy(limit);
}

static void test_survives_every_allocation_failure(void **state)
{
    (void)state;
    for (long nth = 0;; nth++) {
        struct md_faulty_allocator faulty;
        struct md_client_limit *limit = NULL;
        md_faulty_init(&faulty, nth);
        enum md_code code = md_client_limit_create(&faulty.allocator, 1, &limit, NULL);
        if (code == MD_OK)
            code = md_client_limit_enter(limit, "unix:", NULL);
        if (code != MD_OK)
            assert_int_equal(code, MD_RESOURCE_EXHAUSTED);
        md_client_limit_destroy(limit);
        assert_int_equal(faulty.live, 0);
        if (code == MD_OK)
            return;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_client_is_an_address_without_its_port),
        cmocka_unit_test(test_many_clients_come_and_go),
        cmocka_unit_test(test_survives_every_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
