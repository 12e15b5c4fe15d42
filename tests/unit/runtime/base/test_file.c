/* test_file.c - reading and mapping whole files, with clear errors. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "file.h"
#include "md_test.h"

#include <string.h>

static char folder[MD_TEST_PATH_SIZE];

static int make_folder(void **state)
{
    (void)state;
    md_test_make_folder(folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    md_test_remove_folder(folder);
    return 0;
}

static void test_a_missing_file_is_named(void **state)
{
    (void)state;
    char path[MD_TEST_PATH_SIZE];
    md_test_join(path, folder, "nothing");
    struct md_file_mapping mapping;
    struct md_error error;
    assert_int_equal(md_file_map(path, &mapping, &error), MD_NOT_FOUND);
    assert_non_null(strstr(error.message, path));
    assert_false(md_file_exists(path));
}

static void test_a_folder_is_not_a_file(void **state)
{
    (void)state;
    struct md_file_mapping mapping;
    struct md_error error;
    assert_int_equal(md_file_map(folder, &mapping, &error), MD_INVALID_ARGUMENT);
}

static void test_read_and_map_give_the_bytes(void **state)
{
    (void)state;
    char path[MD_TEST_PATH_SIZE];
    md_test_join(path, folder, "five");
    md_test_write_file(path, "12345", 5);
    char *bytes;
    size_t size;
    struct md_error error;
    assert_int_equal(md_file_read(md_process_allocator(), path, 5, &bytes, &size, &error), MD_OK);
    assert_int_equal(size, 5);
    assert_string_equal(bytes, "12345");
    md_release(md_process_allocator(), bytes);
    struct md_file_mapping mapping;
    assert_int_equal(md_file_map(path, &mapping, &error), MD_OK);
    assert_int_equal(mapping.size, 5);
    assert_memory_equal(mapping.bytes, "12345", 5);
    md_file_unmap(&mapping);
    md_file_unmap(&mapping);
}

static void test_a_file_over_the_limit_names_both_numbers(void **state)
{
    (void)state;
    char path[MD_TEST_PATH_SIZE];
    md_test_join(path, folder, "five");
    md_test_write_file(path, "12345", 5);
    char *bytes;
    size_t size;
    struct md_error error;
    assert_int_equal(md_file_read(md_process_allocator(), path, 4, &bytes, &size, &error), MD_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "has 5 bytes, limit is 4"));
}

static void test_an_empty_file_maps_to_nothing(void **state)
{
    (void)state;
    char path[MD_TEST_PATH_SIZE];
    md_test_join(path, folder, "empty");
    md_test_write_file(path, "", 0);
    struct md_file_mapping mapping;
    assert_int_equal(md_file_map(path, &mapping, NULL), MD_OK);
    assert_null(mapping.bytes);
    assert_int_equal(mapping.size, 0);
}

static void test_a_mapping_does_not_see_later_changes(void **state)
{
    (void)state;
    char path[MD_TEST_PATH_SIZE];
    md_test_join(path, folder, "changing");
    md_test_write_file(path, "before", 6);
    struct md_file_mapping mapping;
    assert_int_equal(md_file_map(path, &mapping, NULL), MD_OK);
    md_test_write_file(path, "", 0);
    assert_memory_equal(mapping.bytes, "before", 6);
    md_file_unmap(&mapping);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_missing_file_is_named),
        cmocka_unit_test(test_a_folder_is_not_a_file),
        cmocka_unit_test(test_read_and_map_give_the_bytes),
        cmocka_unit_test(test_a_file_over_the_limit_names_both_numbers),
        cmocka_unit_test(test_an_empty_file_maps_to_nothing),
        cmocka_unit_test(test_a_mapping_does_not_see_later_changes),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
