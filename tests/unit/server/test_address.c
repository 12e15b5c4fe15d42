/* test_address.c - addresses to listen on. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "address.h"
#include "md_test.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_a_free_port_is_named(void **state)
{
    (void)state;
    struct md_bound_socket bound;
    char expected[MD_ADDRESS_SIZE];
    assert_int_equal(md_address_listen("127.0.0.1:0", &bound, NULL), MD_OK);
    assert_int_not_equal(bound.port, 0);
    (void)snprintf(expected, sizeof expected, "127.0.0.1:%d", bound.port);
    assert_string_equal(bound.text, expected);
    assert_int_equal(close(bound.fd), 0);
}

static void test_a_port_in_use_is_named(void **state)
{
    (void)state;
    struct md_bound_socket first, second;
    struct md_error error;
    assert_int_equal(md_address_listen("127.0.0.1:0", &first, NULL), MD_OK);
    assert_int_equal(md_address_listen(first.text, &second, &error), MD_FAILED_PRECONDITION);
    assert_non_null(strstr(error.message, first.text));
    assert_int_equal(close(first.fd), 0);
    assert_int_equal(md_address_listen(first.text, &second, NULL), MD_OK);
    assert_int_equal(close(second.fd), 0);
}

static void test_malformed_addresses_are_named(void **state)
{
    (void)state;
    static const char *const addresses[] = { "",
                                             "8001",
                                             "localhost",
                                             "127.0.0.1:",
                                             "127.0.0.1:x",
                                             "127.0.0.1:65536",
                                             "127.0.0.1:-1",
                                             ":8001",
                                             "::1:8001",
                                             "[]:1",
                                             "no.such.host.invalid:1",
                                             "unix:" };
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        struct md_bound_socket bound;
        struct md_error error;
        assert_int_equal(md_address_listen(addresses[i], &bound, &error), MD_INVALID_ARGUMENT);
        assert_non_null(strstr(error.message, addresses[i]));
    }
}

static void test_a_unix_socket_that_nobody_listens_on_is_replaced(void **state)
{
    (void)state;
    char folder[MD_TEST_PATH_SIZE], address[MD_TEST_PATH_SIZE + 16];
    struct md_bound_socket first, second;
    struct md_error error;
    md_test_make_folder(folder);
    (void)snprintf(address, sizeof address, "unix:%s/socket", folder);
    assert_int_equal(md_address_listen(address, &first, NULL), MD_OK);
    assert_int_equal(first.port, 0);
    assert_string_equal(first.text, address);
    assert_int_equal(md_address_listen(address, &second, &error), MD_FAILED_PRECONDITION);
    assert_non_null(strstr(error.message, address));
    assert_int_equal(close(first.fd), 0);
    assert_int_equal(md_address_listen(address, &second, NULL), MD_OK);
    assert_int_equal(close(second.fd), 0);
    md_test_remove_folder(folder);
}

static void test_a_file_in_the_way_is_left_alone(void **state)
{
    (void)state;
    char folder[MD_TEST_PATH_SIZE], path[MD_TEST_PATH_SIZE], address[MD_TEST_PATH_SIZE + 16];
    struct md_bound_socket bound;
    struct stat status;
    md_test_make_folder(folder);
    md_test_join(path, folder, "file");
    md_test_write_file(path, "x", 1);
    (void)snprintf(address, sizeof address, "unix:%s", path);
    assert_int_equal(md_address_listen(address, &bound, NULL), MD_FAILED_PRECONDITION);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, 1);
    md_test_remove_folder(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_free_port_is_named),
        cmocka_unit_test(test_a_port_in_use_is_named),
        cmocka_unit_test(test_malformed_addresses_are_named),
        cmocka_unit_test(test_a_unix_socket_that_nobody_listens_on_is_replaced),
        cmocka_unit_test(test_a_file_in_the_way_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
