/* Finding models and versions on disk, and what the messages say when they are not there. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "arena.h"
#include "md_test.h"
#include "nearest_name.h"
#include "repository.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct fixture {
    char folder[MD_TEST_PATH_SIZE];
    struct md_faulty_allocator memory;
    struct md_arena arena;
    struct md_error error;
};

static int setup(void **state)
{
    static struct fixture fixture;
    md_test_make_folder(fixture.folder);
    md_faulty_init(&fixture.memory, MD_FAULTY_NEVER);
    md_arena_init(&fixture.arena, &fixture.memory.allocator, 0);
    fixture.error.message[0] = '\0';
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    md_arena_cleanup(&fixture->arena);
    md_test_remove_folder(fixture->folder);
    return fixture->memory.live == 0 ? 0 : -1;
}

static void make_folder(struct fixture *fixture, const char *name)
{
    char path[MD_TEST_PATH_SIZE];
    md_test_join(path, fixture->folder, name);
    md_test_mkdir(path);
}

static void make_file(struct fixture *fixture, const char *name)
{
    char path[MD_TEST_PATH_SIZE];
    md_test_join(path, fixture->folder, name);
    md_test_write_file(path, "", 0);
}

static enum md_code find(struct fixture *fixture, const char *model, uint64_t version, uint64_t *out_version,
                         const char **out_path)
{
    return md_repository_find_version(fixture->folder, model, version, &fixture->arena, out_version, out_path,
                                      &fixture->error);
}

static void test_models_are_listed_by_name_and_other_entries_ignored(void **state)
{
    struct fixture *fixture = *state;
    make_folder(fixture, "sst2");
    make_folder(fixture, "bert-base.v1");
    make_folder(fixture, ".git");
    make_folder(fixture, "lost+found");
    make_file(fixture, "README");
    const char *const *names = NULL;
    size_t count = 0;
    assert_int_equal(md_repository_list_models(fixture->folder, &fixture->arena, &names, &count, NULL),
                     MD_OK);
    assert_int_equal(count, 2);
    assert_string_equal(names[0], "bert-base.v1");
    assert_string_equal(names[1], "sst2");
}

static void test_versions_are_whole_numbers_and_rise(void **state)
{
    struct fixture *fixture = *state;
    static const char *const folders[] = { "m",
                                           "m/10",
                                           "m/2",
                                           "m/1",
                                           "m/0",
                                           "m/01",
                                           "m/-3",
                                           "m/1a",
                                           "m/9223372036854775807",
                                           "m/tmp",
                                           "m/ 5",
                                           "m/+6",
                                           "m/9223372036854775808",
                                           "m/99999999999999999999" };
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        make_folder(fixture, folders[i]);
    make_file(fixture, "m/3");
    uint64_t *versions = NULL;
    size_t count = 0;
    assert_int_equal(md_repository_list_versions(fixture->folder, "m", &fixture->arena, &versions, &count,
                                                 &fixture->error),
                     MD_OK);
    assert_int_equal(count, 4);
    assert_int_equal(versions[0], 1);
    assert_int_equal(versions[1], 2);
    assert_int_equal(versions[2], 10);
    assert_int_equal(versions[3], INT64_MAX);
}

static void test_many_versions_are_all_listed(void **state)
{
    struct fixture *fixture = *state;
    make_folder(fixture, "m");
    for (int i = 1; i <= 100; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "m/%d", i); /* fits */
        make_folder(fixture, name);
    }
    uint64_t *versions = NULL;
    size_t count = 0;
    assert_int_equal(md_repository_list_versions(fixture->folder, "m", &fixture->arena, &versions, &count,
                                                 &fixture->error),
                     MD_OK);
    assert_int_equal(count, 100);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(versions[i], i + 1);
}

static void test_version_zero_is_the_highest(void **state)
{
    struct fixture *fixture = *state;
    make_folder(fixture, "m");
    make_folder(fixture, "m/2");
    make_folder(fixture, "m/10");
    uint64_t version = 0;
    const char *path = NULL;
    char expected[MD_TEST_PATH_SIZE];
    assert_int_equal(find(fixture, "m", 0, &version, &path), MD_OK);
    assert_int_equal(version, 10);
    md_test_join(expected, fixture->folder, "m/10");
    assert_string_equal(path, expected);
    assert_int_equal(find(fixture, "m", 2, &version, &path), MD_OK);
    assert_int_equal(version, 2);
    md_test_join(expected, fixture->folder, "m/2");
    assert_string_equal(path, expected);
}

static void test_links_of_the_operator_are_followed(void **state)
{
    struct fixture *fixture = *state;
    char link_path[MD_TEST_PATH_SIZE];
    make_folder(fixture, "real");
    make_folder(fixture, "real/1");
    md_test_join(link_path, fixture->folder, "alias");
    assert_int_equal(symlink("real", link_path), 0);
    uint64_t version = 0;
    const char *path = NULL;
    assert_int_equal(find(fixture, "alias", 0, &version, &path), MD_OK);
    assert_int_equal(version, 1);
}

static void test_unknown_model_names_the_near_miss(void **state)
{
    struct fixture *fixture = *state;
    uint64_t version = 7;
    const char *path = NULL;
    assert_int_equal(find(fixture, "sst2", 0, &version, &path), MD_NOT_FOUND);
    assert_string_equal(fixture->error.message, "unknown model \"sst2\"; the repository has none");
    make_folder(fixture, "sst2");
    make_folder(fixture, "agnews");
    assert_int_equal(find(fixture, "sst-2", 0, &version, &path), MD_NOT_FOUND);
    assert_string_equal(fixture->error.message, "unknown model \"sst-2\"; did you mean \"sst2\"?");
    assert_int_equal(find(fixture, "translate", 0, &version, &path), MD_NOT_FOUND);
    assert_string_equal(fixture->error.message,
                        "unknown model \"translate\"; the repository has agnews, sst2");
    assert_int_equal(version, 7);
    assert_null(path);
}

static void test_unknown_version_lists_those_that_exist(void **state)
{
    struct fixture *fixture = *state;
    uint64_t version = 7;
    const char *path = NULL;
    make_folder(fixture, "m");
    assert_int_equal(find(fixture, "m", 0, &version, &path), MD_NOT_FOUND);
    assert_string_equal(fixture->error.message,
                        "model \"m\" has no versions: its folder holds no folder named by a number");
    make_folder(fixture, "m/1");
    make_folder(fixture, "m/3");
    assert_int_equal(find(fixture, "m", 2, &version, &path), MD_NOT_FOUND);
    assert_string_equal(fixture->error.message, "model \"m\" has no version 2; it has 1, 3");
    assert_int_equal(version, 7);
}

static void test_unknown_version_lists_only_the_highest_of_many(void **state)
{
    struct fixture *fixture = *state;
    uint64_t version;
    const char *path;
    make_folder(fixture, "m");
    for (int i = 1; i <= 20; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "m/%d", i); /* fits */
        make_folder(fixture, name);
    }
    assert_int_equal(find(fixture, "m", 21, &version, &path), MD_NOT_FOUND);
    assert_string_equal(fixture->error.message,
                        "model \"m\" has no version 21; it has ..., 5, 6, 7, 8, 9, 10, 11, "
                        "12, 13, 14, 15, 16, 17, 18, 19, 20");
}

static void test_names_cannot_leave_the_repository(void **state)
{
    struct fixture *fixture = *state;
    static const char *const names[] = { "..",   "../etc", "/etc", "a/b",  "a..b", ".hidden", "a b",
                                         "a\nb", "-a",     "",     "\xff", "a\\b", "_a" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        uint64_t version;
        const char *path;
        assert_int_equal(find(fixture, names[i], 1, &version, &path), MD_INVALID_ARGUMENT);
    }
    assert_int_equal(md_model_name_check("a/b", &fixture->error), MD_INVALID_ARGUMENT);
    assert_string_equal(fixture->error.message,
                        "model name has byte 0x2F at offset 1; allowed are A-Z a-z 0-9 . _ -");
}

static void test_name_length_has_a_limit(void **state)
{
    struct fixture *fixture = *state;
    char name[MD_MODEL_NAME_LIMIT + 2];
    memset(name, 'a', sizeof name);
    name[MD_MODEL_NAME_LIMIT] = '\0';
    assert_int_equal(md_model_name_check(name, &fixture->error), MD_OK);
    name[MD_MODEL_NAME_LIMIT] = 'a';
    name[MD_MODEL_NAME_LIMIT + 1] = '\0';
    assert_int_equal(md_model_name_check(name, &fixture->error), MD_INVALID_ARGUMENT);
    assert_string_equal(fixture->error.message, "model name has 129 bytes, limit is 128");
}

static void test_missing_repository_is_told_apart_from_a_missing_model(void **state)
{
    struct fixture *fixture = *state;
    const char *const *names = NULL;
    size_t count = 0;
    char path[MD_TEST_PATH_SIZE];
    md_test_join(path, fixture->folder, "none");
    assert_int_equal(md_repository_list_models(path, &fixture->arena, &names, &count, &fixture->error),
                     MD_FAILED_PRECONDITION);
    assert_non_null(strstr(fixture->error.message, "/none\": No such file"));
    uint64_t version;
    const char *found;
    assert_int_equal(md_repository_find_version(path, "m", 0, &fixture->arena, &version, &found, NULL),
                     MD_FAILED_PRECONDITION);
}

static void test_find_survives_every_allocation_failure(void **state)
{
    struct fixture *fixture = *state;
    make_folder(fixture, "m");
    make_folder(fixture, "m/1");
    static const char *const models[] = { "m", "unknown" };
    static const enum md_code expected[] = { MD_OK, MD_NOT_FOUND };
    for (size_t i = 0; i < 2; i++) {
        enum md_code code = MD_RESOURCE_EXHAUSTED;
        for (long nth = 0; code == MD_RESOURCE_EXHAUSTED; nth++) {
            struct md_faulty_allocator faulty;
            struct md_arena arena;
            uint64_t version;
            const char *path;
            md_faulty_init(&faulty, nth);
            md_arena_init(&arena, &faulty.allocator, 64); /* small blocks: many allocations */
            code = md_repository_find_version(fixture->folder, models[i], 0, &arena, &version, &path, NULL);
            md_arena_cleanup(&arena);
            assert_int_equal(faulty.live, 0);
        }
        assert_int_equal(code, expected[i]);
    }
}

static const char *nearest(const char *name)
{
    static const char *const candidates[] = { "sst2", "input_ids", "attention_mask", "bert-base-uncased",
                                              "ab",   "x" };
    return md_nearest_name(name, candidates, sizeof candidates / sizeof candidates[0]);
}

static void test_nearest_name_forgives_slips(void **state)
{
    (void)state;
    assert_string_equal(nearest("sst-2"), "sst2");
    assert_string_equal(nearest("SST2"), "sst2");
    assert_string_equal(nearest("stt2"), "sst2");
    assert_string_equal(nearest("input_id"), "input_ids");
    assert_string_equal(nearest("inputids"), "input_ids");
    assert_string_equal(nearest("attention_masks"), "attention_mask");
    assert_string_equal(nearest("attnetion_mask"), "attention_mask");
    assert_string_equal(nearest("bert_base_uncased"), "bert-base-uncased");
    assert_string_equal(nearest("input_ids"), "input_ids");
}

static void test_nearest_name_does_not_guess(void **state)
{
    (void)state;
    char name[MD_NEAREST_NAME_LIMIT + 2];
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_null(nearest("token_type_ids"));
    assert_null(nearest("y"));
    assert_null(nearest("cd"));
    assert_null(nearest(""));
    assert_null(nearest(name));
    assert_null(md_nearest_name("a", NULL, 0));
}

static void test_nearest_of_equals_is_the_first(void **state)
{
    (void)state;
    static const char *const candidates[] = { "model-a", "model-b", "model-cc" };
    assert_string_equal(md_nearest_name("model-x", candidates, 3), "model-a");
    assert_string_equal(md_nearest_name("model-c", candidates, 3), "model-a");
    assert_string_equal(md_nearest_name("model-b", candidates, 3), "model-b");
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(test_models_are_listed_by_name_and_other_entries_ignored),
        WITH_FOLDER(test_versions_are_whole_numbers_and_rise),
        WITH_FOLDER(test_many_versions_are_all_listed),
        WITH_FOLDER(test_version_zero_is_the_highest),
        WITH_FOLDER(test_links_of_the_operator_are_followed),
        WITH_FOLDER(test_unknown_model_names_the_near_miss),
        WITH_FOLDER(test_unknown_version_lists_those_that_exist),
        WITH_FOLDER(test_unknown_version_lists_only_the_highest_of_many),
        WITH_FOLDER(test_names_cannot_leave_the_repository),
        WITH_FOLDER(test_name_length_has_a_limit),
        WITH_FOLDER(test_missing_repository_is_told_apart_from_a_missing_model),
        WITH_FOLDER(test_find_survives_every_allocation_failure),
        cmocka_unit_test(test_nearest_name_forgives_slips),
        cmocka_unit_test(test_nearest_name_does_not_guess),
        cmocka_unit_test(test_nearest_of_equals_is_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
