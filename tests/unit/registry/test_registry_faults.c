/* The registry on a disk and in a memory that fail: what was acknowledged stays, what failed says so, and
 * the registry works again when the fault is gone. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "allocator.h"
#include "arena.h"
#include "faulty_sqlite.h"
#include "file.h"
#include "md_test.h"
#include "registry.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

enum { LARGE_SIZE = 5 * 1024 * 1024 }; /* more than 1,000 pages: its commit folds the WAL into the file */

struct fixture {
    char folder[MD_TEST_PATH_SIZE];
    char path[MD_TEST_PATH_SIZE];
};

static void make_fixture(struct fixture *fixture)
{
    md_test_make_folder(fixture->folder);
    md_test_join(fixture->path, fixture->folder, "registry.db");
}

static struct md_registry *open_or_fail(const char *path)
{
    struct md_registry *registry = NULL;
    struct md_error error;
    if (md_registry_open(md_process_allocator(), path, &registry, &error) != MD_OK)
        fail_msg("%s", error.message);
    return registry;
}

static enum md_code record_signature(struct md_registry *registry, uint64_t version, const char *signature,
                                     struct md_error *error)
{
    const struct md_version_record row = {
        .model = "m", .version = version, .state = MD_VERSION_READY, .signature = signature
    };
    const struct md_event_record event = { .action = "load", .model = "m", .version = version };
    return md_registry_record(registry, &row, &event, error);
}

static enum md_code record(struct md_registry *registry, uint64_t version, struct md_error *error)
{
    return record_signature(registry, version, "", error);
}

static void record_or_fail(struct md_registry *registry, uint64_t version)
{
    struct md_error error;
    if (record(registry, version, &error) != MD_OK)
        fail_msg("%s", error.message);
}

/* Bit n is set when version n has a row; a version and its event are there both or not at all. */
static unsigned versions_present(struct md_registry *registry)
{
    struct md_arena arena;
    struct md_version_record *versions = NULL;
    struct md_event_record *events = NULL;
    size_t count = 0;
    size_t event_count = 0;
    unsigned present = 0;
    unsigned present_events = 0;
    md_arena_init(&arena, md_process_allocator(), 0);
    assert_int_equal(md_registry_list_versions(registry, NULL, &arena, &versions, &count, NULL), MD_OK);
    assert_int_equal(md_registry_list_events(registry, NULL, 100, &arena, &events, &event_count, NULL),
                     MD_OK);
    for (size_t i = 0; i < count; i++)
        present |= 1U << versions[i].version;
    for (size_t i = 0; i < event_count; i++)
        present_events |= 1U << events[i].version;
    md_arena_cleanup(&arena);
    assert_int_equal(present, present_events);
    return present;
}

static void copy_file(const char *from_folder, const char *to_folder, const char *name)
{
    char from[MD_TEST_PATH_SIZE];
    char to[MD_TEST_PATH_SIZE];
    char *bytes = NULL;
    size_t size = 0;
    md_test_join(from, from_folder, name);
    md_test_join(to, to_folder, name);
    if (md_file_read(md_process_allocator(), from, SIZE_MAX / 2, &bytes, &size, NULL) == MD_OK)
        md_test_write_file(to, bytes, size);
    md_release(md_process_allocator(), bytes);
}

/* What a reader finds if the machine stops now: the files as they are, without a close. */
static unsigned versions_after_crash(const struct fixture *fixture)
{
    struct fixture crashed;
    make_fixture(&crashed);
    copy_file(fixture->folder, crashed.folder, "registry.db");
    copy_file(fixture->folder, crashed.folder, "registry.db-wal");
    struct md_registry *registry = open_or_fail(crashed.path);
    unsigned present = versions_present(registry);
    md_registry_close(registry);
    md_test_remove_folder(crashed.folder);
    return present;
}

static bool is_fault_code(enum md_code code)
{
    return code == MD_INTERNAL || code == MD_RESOURCE_EXHAUSTED;
}

/* One run: versions 1 and 2 are acknowledged, 3 meets the fault, 4 comes when it is gone. Returns whether the
 * fault was met at all. */
static bool record_with_fault(enum faulty_part part, long nth, bool once, const char *signature)
{
    struct fixture fixture;
    struct md_error error = { "" };
    make_fixture(&fixture);
    struct md_registry *registry = open_or_fail(fixture.path);
    record_or_fail(registry, 1);
    record_or_fail(registry, 2);
    faulty_sqlite_arm(part, nth, once);
    enum md_code code = record_signature(registry, 3, signature, &error);
    bool met = faulty_sqlite_disarm(part) > 0;
    unsigned expected = code == MD_OK ? 0xE : 0x6;
    if (code != MD_OK) {
        assert_true(met);
        assert_true(is_fault_code(code));
        if (part == FAULTY_MEMORY)
            assert_int_equal(code, MD_RESOURCE_EXHAUSTED);
        assert_non_null(strstr(error.message, fixture.path));
    }
    assert_int_equal(versions_after_crash(&fixture) & expected, expected);
    assert_int_equal(versions_present(registry), expected);
    record_or_fail(registry, 4);
    assert_int_equal(versions_present(registry), expected | 0x10);
    assert_int_equal(versions_after_crash(&fixture), expected | 0x10);
    md_registry_close(registry);
    registry = open_or_fail(fixture.path);
    assert_int_equal(versions_present(registry), expected | 0x10);
    md_registry_close(registry);
    md_test_remove_folder(fixture.folder);
    return met;
}

static void test_record_survives_every_disk_failure(void **state)
{
    (void)state;
    static const int results[] = { SQLITE_IOERR_WRITE, SQLITE_FULL };
    for (int kind = 0; kind < 4; kind++) {
        faulty_sqlite_disk_result(results[kind & 1]);
        long nth = 0;
        while (record_with_fault(FAULTY_DISK, nth, (kind & 2) != 0, "{}"))
            nth++;
        assert_true(nth > 2); /* or the shim is not in use */
    }
}

static void test_record_that_folds_the_log_survives_disk_failures(void **state)
{
    (void)state;
    char *signature = md_allocate(md_process_allocator(), LARGE_SIZE);
    assert_non_null(signature);
    memset(signature, ' ', LARGE_SIZE);
    signature[LARGE_SIZE - 1] = '\0';
    faulty_sqlite_disk_result(SQLITE_FULL);
    for (long nth = 0; record_with_fault(FAULTY_DISK, nth, false, signature);)
        nth += 1 + nth / 3;
    md_release(md_process_allocator(), signature);
}

static void test_record_survives_every_memory_failure_of_sqlite(void **state)
{
    (void)state;
    for (int once = 0; once < 2; once++)
        for (long nth = 0; record_with_fault(FAULTY_MEMORY, nth, once != 0, "{}"); nth++)
            continue;
}

static void test_full_disk_is_resource_exhausted(void **state)
{
    (void)state;
    struct fixture fixture;
    struct md_error error;
    make_fixture(&fixture);
    struct md_registry *registry = open_or_fail(fixture.path);
    faulty_sqlite_disk_result(SQLITE_FULL);
    faulty_sqlite_arm(FAULTY_DISK, 0, false);
    assert_int_equal(record(registry, 1, &error), MD_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(error.message, "database or disk is full"));
    assert_true(faulty_sqlite_disarm(FAULTY_DISK) > 0);
    md_registry_close(registry);
    md_test_remove_folder(fixture.folder);
}

/* Opening a store that exists (`existing`) or does not, with the nth operation failing. */
static bool open_with_fault(enum faulty_part part, long nth, bool existing)
{
    struct fixture fixture;
    struct md_error error = { "" };
    make_fixture(&fixture);
    if (existing) {
        struct md_registry *before = open_or_fail(fixture.path);
        record_or_fail(before, 1);
        md_registry_close(before);
    }
    struct md_registry *registry = NULL;
    faulty_sqlite_arm(part, nth, false);
    enum md_code code = md_registry_open(md_process_allocator(), fixture.path, &registry, &error);
    bool met = faulty_sqlite_disarm(part) > 0;
    if (code != MD_OK) {
        assert_true(met);
        assert_true(is_fault_code(code));
        if (part == FAULTY_MEMORY && code != MD_RESOURCE_EXHAUSTED)
            fail_msg("memory failure %ld: %s", nth, error.message);
        assert_null(registry);
        registry = open_or_fail(fixture.path);
    }
    record_or_fail(registry, 2);
    assert_int_equal(versions_present(registry), existing ? 0x6 : 0x4);
    md_registry_close(registry);
    md_test_remove_folder(fixture.folder);
    return met;
}

static void test_open_survives_every_disk_failure(void **state)
{
    (void)state;
    faulty_sqlite_disk_result(SQLITE_IOERR_WRITE);
    for (int existing = 0; existing < 2; existing++)
        for (long nth = 0; open_with_fault(FAULTY_DISK, nth, existing != 0); nth++)
            continue;
}

static void test_open_survives_every_memory_failure_of_sqlite(void **state)
{
    (void)state;
    for (int existing = 0; existing < 2; existing++)
        for (long nth = 0; open_with_fault(FAULTY_MEMORY, nth, existing != 0);)
            nth += 1 + nth / 32; /* every one of the first; of the thousands that follow, a sample */
}

static void test_lists_survive_every_memory_failure_of_sqlite(void **state)
{
    (void)state;
    struct fixture fixture;
    make_fixture(&fixture);
    struct md_registry *registry = open_or_fail(fixture.path);
    record_or_fail(registry, 1);
    long failed = 1;
    for (long nth = 0; failed > 0; nth++) {
        struct md_arena arena;
        struct md_version_record *versions = NULL;
        struct md_event_record *events = NULL;
        size_t count = 0;
        md_arena_init(&arena, md_process_allocator(), 0);
        record_or_fail(registry, 1); /* the reader's cache is stale, so it has to read again */
        faulty_sqlite_arm(FAULTY_MEMORY, nth, false);
        enum md_code code = md_registry_list_versions(registry, "m", &arena, &versions, &count, NULL);
        if (code == MD_OK)
            code = md_registry_list_events(registry, "m", 5, &arena, &events, &count, NULL);
        failed = faulty_sqlite_disarm(FAULTY_MEMORY);
        assert_true(code == MD_OK || (code == MD_RESOURCE_EXHAUSTED && failed > 0));
        md_arena_cleanup(&arena);
        assert_int_equal(versions_present(registry), 0x2);
    }
    md_registry_close(registry);
    md_test_remove_folder(fixture.folder);
}

static void test_counters_that_cannot_be_flushed_do_no_harm(void **state)
{
    (void)state;
    for (int part = FAULTY_DISK; part <= FAULTY_MEMORY; part++) {
        struct fixture fixture;
        make_fixture(&fixture);
        struct md_registry *registry = open_or_fail(fixture.path);
        record_or_fail(registry, 1);
        const struct md_request_count count = { .model = "m", .version = 1 };
        faulty_sqlite_arm((enum faulty_part)part, 0, false);
        md_registry_count_request(registry, &count);
        md_registry_close(registry);
        (void)faulty_sqlite_disarm((enum faulty_part)part); /* cached pages may do without memory */
        registry = open_or_fail(fixture.path);
        assert_int_equal(versions_present(registry), 0x2);
        md_registry_close(registry);
        md_test_remove_folder(fixture.folder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record_survives_every_disk_failure),
        cmocka_unit_test(test_record_that_folds_the_log_survives_disk_failures),
        cmocka_unit_test(test_record_survives_every_memory_failure_of_sqlite),
        cmocka_unit_test(test_full_disk_is_resource_exhausted),
        cmocka_unit_test(test_open_survives_every_disk_failure),
        cmocka_unit_test(test_open_survives_every_memory_failure_of_sqlite),
        cmocka_unit_test(test_lists_survive_every_memory_failure_of_sqlite),
        cmocka_unit_test(test_counters_that_cannot_be_flushed_do_no_harm),
    };
    faulty_sqlite_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
