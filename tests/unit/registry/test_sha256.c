/* What the digest of a version folder depends on, and what it refuses. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "md_test.h"
#include "sha256.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    char folder[MD_TEST_PATH_SIZE];
    struct md_faulty_allocator memory;
};

static int setup(void **state)
{
    static struct fixture fixture;
    md_test_make_folder(fixture.folder);
    md_faulty_init(&fixture.memory, MD_FAULTY_NEVER);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    md_test_remove_folder(fixture->folder);
    return fixture->memory.live == 0 ? 0 : -1;
}

static void write_text(struct fixture *fixture, const char *name, const char *text)
{
    char path[MD_TEST_PATH_SIZE];
    md_test_join(path, fixture->folder, name);
    md_test_write_file(path, text, strlen(text));
}

static void make_folder(struct fixture *fixture, const char *name)
{
    char path[MD_TEST_PATH_SIZE];
    md_test_join(path, fixture->folder, name);
    md_test_mkdir(path);
}

static void make_link(struct fixture *fixture, const char *target, const char *name)
{
    char path[MD_TEST_PATH_SIZE];
    md_test_join(path, fixture->folder, name);
    assert_int_equal(symlink(target, path), 0);
}

static uint64_t digest(struct fixture *fixture, char hex[MD_SHA256_HEX_SIZE])
{
    struct md_error error;
    uint64_t size = 0;
    if (md_sha256_directory(&fixture->memory.allocator, fixture->folder, hex, &size, &error) != MD_OK)
        fail_msg("%s", error.message);
    return size;
}

static void assert_refused(struct fixture *fixture, enum md_code expected, const char *in_message)
{
    struct md_error error = { "" };
    char hex[MD_SHA256_HEX_SIZE] = "untouched";
    uint64_t size = 7;
    assert_int_equal(md_sha256_directory(&fixture->memory.allocator, fixture->folder, hex, &size, &error),
                     expected);
    if (strstr(error.message, in_message) == NULL)
        fail_msg("message \"%s\" lacks \"%s\"", error.message, in_message);
    assert_string_equal(hex, "untouched");
    assert_int_equal(size, 7);
}

static void test_empty_folder_has_the_digest_of_nothing(void **state)
{
    char hex[MD_SHA256_HEX_SIZE];
    assert_int_equal(digest(*state, hex), 0);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void test_digest_is_the_one_of_sha256sum(void **state)
{
    struct fixture *fixture = *state;
    make_folder(fixture, "data");
    write_text(fixture, "model.onnx", "abc");
    write_text(fixture, "data/weights.bin", "");
    write_text(fixture, "a b.txt", "text\n");
    char hex[MD_SHA256_HEX_SIZE];
    assert_int_equal(digest(fixture, hex), 8);
    char command[MD_TEST_PATH_SIZE + 128];
    (void)snprintf(command, sizeof command,
                   "cd '%s' && find -L * -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum",
                   fixture->folder); /* sized for it */
    FILE *tools = popen(command, "r");
    assert_non_null(tools);
    char line[256] = "";
    char *read = fgets(line, sizeof line, tools);
    assert_int_equal(pclose(tools), 0);
    assert_non_null(read);
    assert_memory_equal(line, hex, 64);
}

static void test_digest_changes_with_names_and_bytes_and_nothing_else(void **state)
{
    struct fixture *fixture = *state;
    char path[MD_TEST_PATH_SIZE];
    char before[MD_SHA256_HEX_SIZE];
    char after[MD_SHA256_HEX_SIZE];
    write_text(fixture, "a", "12");
    write_text(fixture, "b", "3");
    (void)digest(fixture, before); /* the size is of no interest here */

    write_text(fixture, "a", "1");
    write_text(fixture, "b", "23");
    (void)digest(fixture, after); /* as above */
    assert_string_not_equal(before, after);

    write_text(fixture, "b", "3");
    write_text(fixture, "a", "12");
    md_test_join(path, fixture->folder, "a");
    assert_int_equal(chmod(path, 0400), 0);
    make_folder(fixture, "empty");
    (void)digest(fixture, after); /* as above */
    assert_string_equal(before, after);

    write_text(fixture, ".hidden", "");
    (void)digest(fixture, after); /* as above */
    assert_string_not_equal(before, after);
}

static void test_file_larger_than_the_buffer_is_streamed_whole(void **state)
{
    struct fixture *fixture = *state;
    static char bytes[200001];
    memset(bytes, 'x', sizeof bytes);
    char path[MD_TEST_PATH_SIZE];
    char first[MD_SHA256_HEX_SIZE];
    char second[MD_SHA256_HEX_SIZE];
    md_test_join(path, fixture->folder, "large");
    md_test_write_file(path, bytes, sizeof bytes);
    assert_int_equal(digest(fixture, first), sizeof bytes);
    bytes[sizeof bytes - 1] = 'y';
    md_test_write_file(path, bytes, sizeof bytes);
    assert_int_equal(digest(fixture, second), sizeof bytes);
    assert_string_not_equal(first, second);
}

static void test_link_inside_counts_as_its_target(void **state)
{
    struct fixture *fixture = *state;
    char with_file[MD_SHA256_HEX_SIZE];
    char with_link[MD_SHA256_HEX_SIZE];
    char path[MD_TEST_PATH_SIZE];
    write_text(fixture, "a", "same");
    write_text(fixture, "b", "same");
    assert_int_equal(digest(fixture, with_file), 8);
    md_test_join(path, fixture->folder, "b");
    assert_int_equal(unlink(path), 0);
    make_link(fixture, "a", "b");
    assert_int_equal(digest(fixture, with_link), 8);
    assert_string_equal(with_file, with_link);
}

static void test_link_that_leaves_the_folder_is_refused(void **state)
{
    make_link(*state, "/etc/passwd", "model.onnx");
    assert_refused(*state, MD_INVALID_ARGUMENT, "symbolic link \"model.onnx\" leaves");
}

static void test_link_to_a_sibling_with_the_same_prefix_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char sibling[MD_TEST_PATH_SIZE + 8];
    (void)snprintf(sibling, sizeof sibling, "%s-2", fixture->folder); /* sized for it */
    md_test_mkdir(sibling);
    make_link(fixture, sibling, "more");
    assert_refused(fixture, MD_INVALID_ARGUMENT, "leaves");
    md_test_remove_folder(sibling);
}

static void test_dangling_link_is_refused(void **state)
{
    make_link(*state, "nothing", "model.onnx");
    assert_refused(*state, MD_INVALID_ARGUMENT, "cannot be followed");
}

static void test_link_to_its_own_folder_ends(void **state)
{
    make_link(*state, ".", "loop");
    assert_refused(*state, MD_INVALID_ARGUMENT, "nested deeper than 16");
}

static void test_fifo_is_refused_and_does_not_block(void **state)
{
    struct fixture *fixture = *state;
    char path[MD_TEST_PATH_SIZE];
    md_test_join(path, fixture->folder, "pipe");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused(fixture, MD_INVALID_ARGUMENT, "neither a file nor a folder");
}

static void test_name_that_a_line_cannot_hold_is_refused(void **state)
{
    write_text(*state, "two\nlines", "");
    assert_refused(*state, MD_INVALID_ARGUMENT, "control character");
}

static void test_missing_folder_and_file_are_told_apart(void **state)
{
    struct fixture *fixture = *state;
    struct fixture other = *fixture;
    md_test_join(other.folder, fixture->folder, "none");
    assert_refused(&other, MD_NOT_FOUND, "/none\"");
    write_text(fixture, "file", "");
    md_test_join(other.folder, fixture->folder, "file");
    assert_refused(&other, MD_INVALID_ARGUMENT, "is not a folder");
}

static void test_digest_survives_every_allocation_failure(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 40; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "file-%d", i); /* fits */
        write_text(fixture, name, name);
    }
    for (long nth = 0;; nth++) {
        struct md_faulty_allocator faulty;
        md_faulty_init(&faulty, nth);
        char hex[MD_SHA256_HEX_SIZE];
        uint64_t size;
        enum md_code code = md_sha256_directory(&faulty.allocator, fixture->folder, hex, &size, NULL);
        assert_int_equal(faulty.live, 0);
        if (code == MD_OK)
            break;
        assert_int_equal(code, MD_RESOURCE_EXHAUSTED);
    }
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(test_empty_folder_has_the_digest_of_nothing),
        WITH_FOLDER(test_digest_is_the_one_of_sha256sum),
        WITH_FOLDER(test_digest_changes_with_names_and_bytes_and_nothing_else),
        WITH_FOLDER(test_file_larger_than_the_buffer_is_streamed_whole),
        WITH_FOLDER(test_link_inside_counts_as_its_target),
        WITH_FOLDER(test_link_that_leaves_the_folder_is_refused),
        WITH_FOLDER(test_link_to_a_sibling_with_the_same_prefix_is_refused),
        WITH_FOLDER(test_dangling_link_is_refused),
        WITH_FOLDER(test_link_to_its_own_folder_ends),
        WITH_FOLDER(test_fifo_is_refused_and_does_not_block),
        WITH_FOLDER(test_name_that_a_line_cannot_hold_is_refused),
        WITH_FOLDER(test_missing_folder_and_file_are_told_apart),
        WITH_FOLDER(test_digest_survives_every_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
