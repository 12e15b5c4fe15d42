/* The registry as its users see it: opening, recording, listing, counting, and being killed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "arena.h"
#include "clock.h"
#include "counters.h"
#include "file.h"
#include "md_test.h"
#include "migrations.h"
#include "registry.h"

#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
    char folder[MD_TEST_PATH_SIZE];
    char path[MD_TEST_PATH_SIZE];
    struct md_faulty_allocator memory;
    struct md_arena arena;
    struct md_error error;
};

static int setup(void **state)
{
    static struct fixture fixture;
    md_test_make_folder(fixture.folder);
    md_test_join(fixture.path, fixture.folder, "registry.db");
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

static struct md_registry *open_or_fail(struct fixture *fixture)
{
    struct md_registry *registry = NULL;
    if (md_registry_open(&fixture->memory.allocator, fixture->path, &registry, &fixture->error) != MD_OK)
        fail_msg("%s", fixture->error.message);
    return registry;
}

static void assert_open_fails(struct fixture *fixture, const char *path, enum md_code expected,
                              const char *in_message)
{
    struct md_registry *registry = NULL;
    assert_int_equal(md_registry_open(&fixture->memory.allocator, path, &registry, &fixture->error),
                     expected);
    assert_null(registry);
    if (strstr(fixture->error.message, in_message) == NULL)
        fail_msg("message \"%s\" lacks \"%s\"", fixture->error.message, in_message);
}

static struct md_version_record row_of(const char *model, uint64_t version)
{
    return (struct md_version_record){ .model = model,
                                       .version = version,
                                       .state = MD_VERSION_READY,
                                       .desired = true,
                                       .reason = "",
                                       .task = "",
                                       .sha256 = "",
                                       .path = "",
                                       .signature = "",
                                       .precision = "" };
}

static void record_or_fail(struct fixture *fixture, struct md_registry *registry,
                           const struct md_version_record *version, const struct md_event_record *event)
{
    if (md_registry_record(registry, version, event, &fixture->error) != MD_OK)
        fail_msg("%s", fixture->error.message);
}

static struct md_version_record *versions_of(struct fixture *fixture, struct md_registry *registry,
                                             const char *model, size_t *out_count)
{
    struct md_version_record *versions = NULL;
    if (md_registry_list_versions(registry, model, &fixture->arena, &versions, out_count, &fixture->error) !=
        MD_OK)
        fail_msg("%s", fixture->error.message);
    return versions;
}

static struct md_event_record *events_of(struct fixture *fixture, struct md_registry *registry,
                                         const char *model, size_t limit, size_t *out_count)
{
    struct md_event_record *events = NULL;
    if (md_registry_list_events(registry, model, limit, &fixture->arena, &events, out_count,
                                &fixture->error) != MD_OK)
        fail_msg("%s", fixture->error.message);
    return events;
}

/* Runs SQL on the file behind the registry's back and returns the first integer. */
static int64_t run_sql(const char *path, const char *sql)
{
    sqlite3 *sqlite = NULL;
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_open(path, &sqlite), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(sqlite, sql, -1, &statement, NULL), SQLITE_OK);
    int result = sqlite3_step(statement);
    assert_true(result == SQLITE_ROW || result == SQLITE_DONE);
    int64_t value = result == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    assert_int_equal(sqlite3_close(sqlite), SQLITE_OK);
    return value;
}

/* ---- opening ---- */

static void test_open_creates_an_empty_store(void **state)
{
    struct fixture *fixture = *state;
    struct md_registry *registry = open_or_fail(fixture);
    size_t count = 7;
    assert_null(versions_of(fixture, registry, NULL, &count));
    assert_int_equal(count, 0);
    assert_null(events_of(fixture, registry, NULL, 10, &count));
    assert_int_equal(count, 0);
    md_registry_close(registry);
    md_registry_close(NULL);
}

static void test_empty_file_is_a_new_store(void **state)
{
    struct fixture *fixture = *state;
    md_test_write_file(fixture->path, "", 0);
    struct md_registry *registry = open_or_fail(fixture);
    const struct md_version_record row = row_of("m", 1);
    record_or_fail(fixture, registry, &row, NULL);
    md_registry_close(registry);
}

static void test_text_file_is_refused_and_left_as_it_was(void **state)
{
    struct fixture *fixture = *state;
    static char text[5000];
    memset(text, 'x', sizeof text);
    static const size_t sizes[] = { 1, 20, 99, 100, 512, 4096, sizeof text };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        md_test_write_file(fixture->path, text, sizes[i]);
        assert_open_fails(fixture, fixture->path, MD_INVALID_ARGUMENT, fixture->path);
        assert_non_null(strstr(fixture->error.message, "not a database"));
        char *bytes = NULL;
        size_t size = 0;
        assert_int_equal(md_file_read(&fixture->memory.allocator, fixture->path, 10000, &bytes, &size, NULL),
                         MD_OK);
        assert_int_equal(size, sizes[i]);
        assert_memory_equal(bytes, text, size);
        md_release(&fixture->memory.allocator, bytes);
    }
}

static void test_database_of_another_program_is_refused_and_left_as_it_was(void **state)
{
    struct fixture *fixture = *state;
    (void)run_sql(fixture->path, "CREATE TABLE theirs (x)"); /* no row */
    assert_open_fails(fixture, fixture->path, MD_INVALID_ARGUMENT,
                      "not a modeld registry: application_id is 0");
    (void)run_sql(fixture->path, "PRAGMA application_id = 252006673"); /* no row */
    assert_open_fails(fixture, fixture->path, MD_INVALID_ARGUMENT, "application_id is 252006673");
    assert_int_equal(run_sql(fixture->path, "SELECT count(*) FROM sqlite_schema"), 1);
    assert_int_equal(run_sql(fixture->path, "SELECT journal_mode = 'delete' FROM pragma_journal_mode"), 1);
}

static void test_newer_schema_is_refused_with_both_numbers(void **state)
{
    struct fixture *fixture = *state;
    md_registry_close(open_or_fail(fixture));
    (void)run_sql(fixture->path, "PRAGMA user_version = 99"); /* no row */
    assert_open_fails(fixture, fixture->path, MD_FAILED_PRECONDITION,
                      "has schema 99, this build knows up to 2");
    assert_int_equal(run_sql(fixture->path, "PRAGMA user_version"), 99);
}

/* A file as the first release made it: its schema, a version that is wanted, and an event. */
static void make_first_schema(const char *path)
{
    sqlite3 *sqlite = NULL;
    assert_int_equal(sqlite3_open(path, &sqlite), SQLITE_OK);
    assert_int_equal(sqlite3_exec(sqlite, md_migrations[0].sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(sqlite,
                                  "INSERT INTO models VALUES ('old', 5);"
                                  "INSERT INTO versions VALUES ('old', 3, 5, 3, 1, '', 'tensors', 'ab', 7, '/m', '{}', 9);"
                                  "INSERT INTO events VALUES (4, 9, 'cli', 'load', 'old', 3, 0, 'READY');",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(sqlite), SQLITE_OK);
}

static void test_a_file_of_the_first_schema_is_migrated_with_what_it_holds(void **state)
{
    struct fixture *fixture = *state;
    size_t count = 0;
    make_first_schema(fixture->path);
    assert_int_equal(run_sql(fixture->path, "PRAGMA user_version"), 1);
    struct md_registry *registry = open_or_fail(fixture);
    struct md_version_record row = versions_of(fixture, registry, "old", &count)[0];
    assert_int_equal(count, 1);
    assert_int_equal(row.version, 3);
    assert_true(row.desired);
    assert_int_equal(row.loaded_at_us, 9);
    assert_string_equal(row.precision, "");
    assert_true(row.precision_difference < 0);
    row.precision = "bf16";
    row.precision_difference = 0.25;
    record_or_fail(fixture, registry, &row, NULL);
    row = versions_of(fixture, registry, "old", &count)[0];
    assert_string_equal(row.precision, "bf16");
    assert_true(row.precision_difference == 0.25);
    assert_string_equal(events_of(fixture, registry, NULL, 10, &count)[0].message, "READY");
    md_registry_close(registry);
    assert_int_equal(run_sql(fixture->path, "PRAGMA user_version"), 2);
}

static void test_migrations_are_numbered_without_a_gap(void **state)
{
    (void)state;
    int expected = 1;
    for (const struct md_migration *migration = md_migrations; migration->number != 0; migration++) {
        assert_int_equal(migration->number, expected++);
        assert_non_null(migration->name);
        assert_non_null(migration->sql);
    }
}

static void test_missing_folder_is_named(void **state)
{
    struct fixture *fixture = *state;
    char path[MD_TEST_PATH_SIZE];
    md_test_join(path, fixture->folder, "none/registry.db");
    assert_open_fails(fixture, path, MD_NOT_FOUND,
                      "/none\" of registry \"registry.db\": No such file or directory");
}

static void test_path_that_is_no_file_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char path[MD_TEST_PATH_SIZE];
    assert_open_fails(fixture, fixture->folder, MD_INVALID_ARGUMENT, "is not a regular file");
    assert_open_fails(fixture, "", MD_INVALID_ARGUMENT, "empty");
    md_test_join(path, fixture->folder, "none/");
    assert_open_fails(fixture, path, MD_INVALID_ARGUMENT, "does not name a file");
    md_test_write_file(fixture->path, "", 0);
    md_test_join(path, fixture->path, "registry.db");
    assert_open_fails(fixture, path, MD_INTERNAL, "Not a directory");
}

/* Runs in a child without the rights of root, which no permission stops. */
static void test_read_only_folder_is_an_error_that_names_it(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(chmod(fixture->folder, 0555), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (geteuid() == 0 && setuid(65534) != 0)
            _exit(2);
        struct md_registry *registry = NULL;
        enum md_code code =
            md_registry_open(&fixture->memory.allocator, fixture->path, &registry, &fixture->error);
        _exit(code == MD_INTERNAL && registry == NULL &&
                      strstr(fixture->error.message, fixture->path) != NULL &&
                      strstr(fixture->error.message, "Permission denied") != NULL
                  ? 0
                  : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(chmod(fixture->folder, 0700), 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_read_only_file_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    char lock[MD_TEST_PATH_SIZE];
    md_registry_close(open_or_fail(fixture));
    md_test_join(lock, fixture->folder, "registry.db.lock");
    assert_int_equal(chmod(fixture->folder, 0777), 0);
    assert_int_equal(chmod(lock, 0666), 0);
    assert_int_equal(chmod(fixture->path, 0444), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (geteuid() == 0 && setuid(65534) != 0)
            _exit(2);
        struct md_registry *registry = NULL;
        enum md_code code =
            md_registry_open(&fixture->memory.allocator, fixture->path, &registry, &fixture->error);
        _exit(code == MD_INTERNAL && registry == NULL && strstr(fixture->error.message, fixture->path) != NULL
                  ? 0
                  : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_second_open_of_one_store_is_refused_under_any_name(void **state)
{
    struct fixture *fixture = *state;
    char other[MD_TEST_PATH_SIZE];
    char holder[64];
    struct md_registry *registry = open_or_fail(fixture);
    (void)snprintf(holder, sizeof holder, "already open in process %ld", (long)getpid()); /* fits */
    assert_open_fails(fixture, fixture->path, MD_FAILED_PRECONDITION, holder);
    md_test_join(other, fixture->folder, "alias.db");
    assert_int_equal(symlink(fixture->path, other), 0);
    assert_open_fails(fixture, other, MD_FAILED_PRECONDITION, holder);
    md_test_join(other, fixture->folder, "./registry.db");
    assert_open_fails(fixture, other, MD_FAILED_PRECONDITION, holder);
    md_registry_close(registry);
    md_registry_close(open_or_fail(fixture));
}

static void test_damaged_file_is_told_and_does_not_crash(void **state)
{
    struct fixture *fixture = *state;
    struct md_registry *registry = open_or_fail(fixture);
    for (uint64_t version = 1; version <= 50; version++) {
        const struct md_version_record row = row_of("m", version);
        record_or_fail(fixture, registry, &row, NULL);
    }
    md_registry_close(registry);
    char *bytes = NULL;
    size_t size = 0;
    assert_int_equal(md_file_read(&fixture->memory.allocator, fixture->path, 1 << 20, &bytes, &size, NULL),
                     MD_OK);
    assert_true(size > 8192);
    memset(bytes + 4096, 0xFF, size - 4096);
    md_test_write_file(fixture->path, bytes, size);
    md_release(&fixture->memory.allocator, bytes);
    registry = NULL;
    enum md_code code =
        md_registry_open(&fixture->memory.allocator, fixture->path, &registry, &fixture->error);
    if (code == MD_OK) {
        struct md_version_record *versions = NULL;
        size_t count = 0;
        const struct md_version_record row = row_of("m", 1);
        assert_int_equal(
            md_registry_list_versions(registry, NULL, &fixture->arena, &versions, &count, &fixture->error),
            MD_DATA_LOSS);
        assert_int_equal(md_registry_record(registry, &row, NULL, &fixture->error), MD_DATA_LOSS);
        md_registry_close(registry);
    } else {
        assert_int_equal(code, MD_INVALID_ARGUMENT);
    }
    assert_non_null(strstr(fixture->error.message, "malformed"));
}

/* ---- recording and listing ---- */

static void assert_same_version(const struct md_version_record *a, const struct md_version_record *b)
{
    assert_string_equal(a->model, b->model);
    assert_int_equal(a->version, b->version);
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->desired, b->desired);
    assert_string_equal(a->reason, b->reason);
    assert_string_equal(a->task, b->task);
    assert_string_equal(a->sha256, b->sha256);
    assert_int_equal(a->size_bytes, b->size_bytes);
    assert_string_equal(a->path, b->path);
    assert_string_equal(a->signature, b->signature);
    assert_int_equal(a->loaded_at_us, b->loaded_at_us);
    assert_string_equal(a->precision, b->precision);
    assert_true(a->precision_difference == b->precision_difference);
}

static void test_record_is_there_after_reopen_with_every_field(void **state)
{
    struct fixture *fixture = *state;
    const struct md_version_record row = {
        .model = "sst2",
        .version = INT64_MAX,
        .state = MD_VERSION_FAILED,
        .desired = true,
        .reason = "operator \"Foo\" has no kernel",
        .task = "text-classification",
        .sha256 = "ab12",
        .size_bytes = INT64_MAX,
        .path = "/models/größe/1",
        .signature = "{\"inputs\":[]}",
        .loaded_at_us = 1700000000000000,
        .precision = "int8",
        .precision_difference = 0.0131,
    };
    const struct md_event_record event = { .id = 77,
                                           .at_us = 78,
                                           .actor = "cli",
                                           .action = "load",
                                           .model = "sst2",
                                           .version = 3,
                                           .code = MD_UNIMPLEMENTED,
                                           .message = "no kernel" };
    struct md_registry *registry = open_or_fail(fixture);
    int64_t before_us = md_clock_wall_us();
    record_or_fail(fixture, registry, &row, &event);
    int64_t after_us = md_clock_wall_us();
    for (int round = 0; round < 2; round++) {
        size_t count = 0;
        const struct md_version_record *versions = versions_of(fixture, registry, "sst2", &count);
        assert_int_equal(count, 1);
        assert_same_version(&versions[0], &row);
        const struct md_event_record *events = events_of(fixture, registry, NULL, 10, &count);
        assert_int_equal(count, 1);
        assert_int_equal(events[0].id, 1);
        assert_true(events[0].at_us >= before_us && events[0].at_us <= after_us);
        assert_string_equal(events[0].actor, "cli");
        assert_string_equal(events[0].action, "load");
        assert_string_equal(events[0].model, "sst2");
        assert_int_equal(events[0].version, 3);
        assert_int_equal(events[0].code, MD_UNIMPLEMENTED);
        assert_string_equal(events[0].message, "no kernel");
        md_registry_close(registry);
        registry = open_or_fail(fixture);
    }
    md_registry_close(registry);
}

static void test_second_record_of_a_version_replaces_the_first(void **state)
{
    struct fixture *fixture = *state;
    struct md_registry *registry = open_or_fail(fixture);
    struct md_version_record row = row_of("m", 1);
    record_or_fail(fixture, registry, &row, NULL);
    row.state = MD_VERSION_UNLOADED;
    row.desired = false;
    row.reason = "asked to";
    row.size_bytes = 5;
    record_or_fail(fixture, registry, &row, NULL);
    size_t count = 0;
    const struct md_version_record *versions = versions_of(fixture, registry, NULL, &count);
    assert_int_equal(count, 1);
    assert_same_version(&versions[0], &row);
    md_registry_close(registry);
    assert_int_equal(run_sql(fixture->path, "SELECT count(*) FROM models"), 1);
}

static void test_versions_are_listed_by_model_and_number(void **state)
{
    struct fixture *fixture = *state;
    struct md_registry *registry = open_or_fail(fixture);
    static const struct {
        const char *model;
        uint64_t version;
    } recorded[] = { { "b", 10 }, { "b", 9 }, { "a", 2 }, { "c", 1 }, { "b", 1 } };
    for (size_t i = 0; i < 5; i++) {
        const struct md_version_record row = row_of(recorded[i].model, recorded[i].version);
        record_or_fail(fixture, registry, &row, NULL);
    }
    size_t count = 0;
    const struct md_version_record *versions = versions_of(fixture, registry, NULL, &count);
    assert_int_equal(count, 5);
    assert_string_equal(versions[0].model, "a");
    assert_int_equal(versions[1].version, 1);
    assert_int_equal(versions[2].version, 9);
    assert_int_equal(versions[3].version, 10);
    assert_string_equal(versions[4].model, "c");
    versions = versions_of(fixture, registry, "b", &count);
    assert_int_equal(count, 3);
    assert_string_equal(versions[0].model, "b");
    (void)versions_of(fixture, registry, "none", &count); /* only the count matters */
    assert_int_equal(count, 0);
    md_registry_close(registry);
}

static void test_many_rows_are_all_listed(void **state)
{
    struct fixture *fixture = *state;
    struct md_registry *registry = open_or_fail(fixture);
    for (uint64_t version = 1; version <= 100; version++) {
        const struct md_version_record row = row_of("m", version);
        record_or_fail(fixture, registry, &row, NULL);
    }
    size_t count = 0;
    const struct md_version_record *versions = versions_of(fixture, registry, NULL, &count);
    assert_int_equal(count, 100);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(versions[i].version, i + 1);
    md_registry_close(registry);
}

static void test_events_come_newest_first_up_to_the_limit(void **state)
{
    struct fixture *fixture = *state;
    struct md_registry *registry = open_or_fail(fixture);
    for (uint64_t i = 1; i <= 20; i++) {
        const struct md_event_record event = { .action = "load",
                                               .model = i % 2 == 0 ? "even" : "odd",
                                               .version = i };
        assert_int_equal(md_registry_append_event(registry, &event, NULL), MD_OK);
    }
    size_t count = 0;
    const struct md_event_record *events = events_of(fixture, registry, NULL, 3, &count);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(events[i].version, 20 - i);
        assert_int_equal(events[i].id, 20 - i);
    }
    events = events_of(fixture, registry, "odd", 4, &count);
    assert_int_equal(count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(events[i].version, 19 - 2 * i);
    (void)events_of(fixture, registry, NULL, SIZE_MAX, &count); /* only the count matters */
    assert_int_equal(count, 20);
    (void)events_of(fixture, registry, NULL, 0, &count); /* as above */
    assert_int_equal(count, 0);
    (void)events_of(fixture, registry, "none", 10, &count); /* as above */
    assert_int_equal(count, 0);
    md_registry_close(registry);
}

static void test_event_may_name_what_does_not_exist(void **state)
{
    struct fixture *fixture = *state;
    struct md_registry *registry = open_or_fail(fixture);
    const struct md_event_record event = {
        .action = "load", .model = "../etc", .version = UINT64_MAX, .code = MD_NOT_FOUND
    };
    assert_int_equal(md_registry_append_event(registry, &event, NULL), MD_OK);
    size_t count = 0;
    const struct md_event_record *events = events_of(fixture, registry, "../etc", 10, &count);
    assert_int_equal(count, 1);
    assert_true(events[0].version == UINT64_MAX);
    assert_string_equal(events[0].actor, "");
    md_registry_close(registry);
}

static void test_text_is_data_and_never_sql(void **state)
{
    struct fixture *fixture = *state;
    struct md_registry *registry = open_or_fail(fixture);
    static const char *const texts[] = {
        "'); DROP TABLE events; --", "\"", "%s%n", "\x01\x02", "a\nb", "\U0001F600"
    };
    struct md_version_record row = row_of("m", 1);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const struct md_event_record event = {
            .actor = texts[i], .action = texts[i], .model = texts[i], .message = texts[i]
        };
        row.reason = row.path = row.signature = texts[i];
        record_or_fail(fixture, registry, &row, &event);
        size_t count = 0;
        const struct md_version_record *versions = versions_of(fixture, registry, NULL, &count);
        assert_same_version(&versions[0], &row);
        const struct md_event_record *events = events_of(fixture, registry, texts[i], 1, &count);
        assert_int_equal(count, 1);
        assert_string_equal(events[0].actor, texts[i]);
        assert_string_equal(events[0].message, texts[i]);
    }
    md_registry_close(registry);
}

static void test_long_text_is_kept_whole(void **state)
{
    struct fixture *fixture = *state;
    enum { SIZE = 1 << 20 };
    char *signature = md_allocate(&fixture->memory.allocator, SIZE);
    assert_non_null(signature);
    memset(signature, 'x', SIZE);
    signature[SIZE - 1] = '\0';
    struct md_registry *registry = open_or_fail(fixture);
    struct md_version_record row = row_of("m", 1);
    row.signature = signature;
    record_or_fail(fixture, registry, &row, NULL);
    size_t count = 0;
    const struct md_version_record *versions = versions_of(fixture, registry, NULL, &count);
    assert_same_version(&versions[0], &row);
    md_registry_close(registry);
    md_release(&fixture->memory.allocator, signature);
}

static void test_message_cut_in_a_character_is_stored_as_utf8(void **state)
{
    struct fixture *fixture = *state;
    struct md_registry *registry = open_or_fail(fixture);
    struct md_version_record row = row_of("m", 1);
    row.reason = "\xff cut \xe2\x82";
    const struct md_event_record event = { .actor = "\xc0\x80", .message = "gr\xc3\xb6\xc3" };
    record_or_fail(fixture, registry, &row, &event);
    size_t count = 0;
    assert_string_equal(versions_of(fixture, registry, NULL, &count)[0].reason, "? cut ??");
    const struct md_event_record *events = events_of(fixture, registry, NULL, 1, &count);
    assert_string_equal(events[0].actor, "??");
    assert_string_equal(events[0].message, "gr\xc3\xb6?");
    md_registry_close(registry);
}

static void test_missing_strings_are_stored_as_empty(void **state)
{
    struct fixture *fixture = *state;
    struct md_registry *registry = open_or_fail(fixture);
    const struct md_version_record row = { .model = "m", .version = 1, .state = MD_VERSION_LOADING };
    const struct md_event_record event = { .code = MD_OK };
    record_or_fail(fixture, registry, &row, &event);
    size_t count = 0;
    const struct md_version_record *versions = versions_of(fixture, registry, NULL, &count);
    assert_string_equal(versions[0].reason, "");
    assert_string_equal(versions[0].signature, "");
    assert_string_equal(events_of(fixture, registry, "", 1, &count)[0].message, "");
    md_registry_close(registry);
}

static void test_bad_record_is_refused_and_stores_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct md_registry *registry = open_or_fail(fixture);
    struct md_version_record bad[9];
    for (size_t i = 0; i < 9; i++)
        bad[i] = row_of("m", 1);
    bad[0].model = NULL;
    bad[1].model = "a/b";
    bad[2].version = 0;
    bad[3].version = UINT64_MAX;
    bad[4].state = (enum md_version_state)0;
    bad[5].state = (enum md_version_state)7;
    bad[6].size_bytes = UINT64_MAX;
    bad[7].path = "/models/\xff";
    bad[8].signature = "\xed\xa0\x80";
    const struct md_event_record event = { .model = "m" };
    for (size_t i = 0; i < 9; i++)
        assert_int_equal(md_registry_record(registry, &bad[i], &event, &fixture->error), MD_INVALID_ARGUMENT);
    assert_string_equal(fixture->error.message,
                        "signature of model \"m\" version 1 is not UTF-8: byte 0xED at offset 0");
    size_t count = 0;
    (void)versions_of(fixture, registry, NULL, &count); /* only the count matters */
    assert_int_equal(count, 0);
    (void)events_of(fixture, registry, NULL, 10, &count); /* as above */
    assert_int_equal(count, 0);
    md_registry_close(registry);
}

static void test_state_names_are_those_of_the_wire(void **state)
{
    (void)state;
    assert_string_equal(md_version_state_name(MD_VERSION_LOADING), "LOADING");
    assert_string_equal(md_version_state_name(MD_VERSION_FAILED), "FAILED");
    assert_string_equal(md_version_state_name((enum md_version_state)0), "UNKNOWN");
    assert_string_equal(md_version_state_name((enum md_version_state)7), "UNKNOWN");
    assert_string_equal(md_version_state_name((enum md_version_state) - 1), "UNKNOWN");
}

/* ---- counters ---- */

static void count(struct md_registry *registry, uint64_t version, enum md_code code, uint64_t duration_us)
{
    const struct md_request_count request = {
        .model = "m", .version = version, .code = code, .rows = 2, .tokens = 7, .duration_us = duration_us
    };
    md_registry_count_request(registry, &request);
}

static void test_counters_are_flushed_on_close_and_add_up_over_restarts(void **state)
{
    struct fixture *fixture = *state;
    const struct md_version_record row = row_of("m", 1);
    size_t rows = 0;
    for (uint64_t restart = 0; restart < 3; restart++) {
        struct md_registry *registry = open_or_fail(fixture);
        record_or_fail(fixture, registry, &row, NULL); /* must not touch the counts */
        const struct md_version_record *versions = versions_of(fixture, registry, NULL, &rows);
        assert_int_equal(versions[0].request_count, restart * 5);
        assert_int_equal(versions[0].error_count, restart * 2);
        for (int i = 0; i < 3; i++)
            count(registry, 1, MD_OK, 300);
        count(registry, 1, MD_INVALID_ARGUMENT, 5);
        count(registry, 1, MD_UNAVAILABLE, 6);
        md_registry_close(registry);
    }
    assert_int_equal(run_sql(fixture->path, "SELECT sum(requests) FROM counters"), 15);
    assert_int_equal(run_sql(fixture->path, "SELECT sum(requests) FROM counters WHERE code = 3"), 3);
    assert_int_equal(run_sql(fixture->path, "SELECT sum(input_rows) FROM counters"), 30);
    assert_int_equal(run_sql(fixture->path, "SELECT sum(tokens) FROM counters WHERE code = 0"), 63);
    assert_int_equal(run_sql(fixture->path, "SELECT sum(duration_us) FROM counters WHERE code = 0"), 2700);
    assert_int_equal(
        run_sql(fixture->path, "SELECT sum(requests) FROM counter_latencies WHERE upper_us = 500"), 9);
    assert_int_equal(
        run_sql(fixture->path, "SELECT sum(requests) FROM counter_latencies WHERE upper_us = 100"), 6);
    assert_int_equal(run_sql(fixture->path, "SELECT count(*) FROM counter_latencies WHERE requests = 0"), 0);
}

static void test_counters_of_a_version_without_row_are_kept(void **state)
{
    struct fixture *fixture = *state;
    struct md_registry *registry = open_or_fail(fixture);
    count(registry, 9, MD_OK, 1);
    md_registry_close(registry);
    registry = open_or_fail(fixture);
    const struct md_version_record row = row_of("m", 9);
    record_or_fail(fixture, registry, &row, NULL);
    size_t rows = 0;
    assert_int_equal(versions_of(fixture, registry, "m", &rows)[0].request_count, 1);
    md_registry_close(registry);
}

static void test_old_minutes_are_deleted_and_the_totals_stay(void **state)
{
    struct fixture *fixture = *state;
    struct md_registry *registry = open_or_fail(fixture);
    count(registry, 1, MD_OK, 1);
    md_registry_close(registry);
    (void)run_sql(fixture->path, "UPDATE counters SET minute = minute - 91 * 24 * 60");          /* no row */
    (void)run_sql(fixture->path, "UPDATE counter_latencies SET minute = minute - 91 * 24 * 60"); /* no row */
    registry = open_or_fail(fixture);
    count(registry, 1, MD_OK, 1);
    md_registry_close(registry);
    assert_int_equal(run_sql(fixture->path, "SELECT sum(requests) FROM counters"), 1);
    assert_int_equal(run_sql(fixture->path, "SELECT sum(requests) FROM counter_latencies"), 1);
    assert_int_equal(run_sql(fixture->path, "SELECT requests FROM counter_totals"), 2);
}

/* ---- threads, memory, death ---- */

enum { RECORDERS = 8, RECORDS_EACH = 20 };

struct recorder {
    struct md_registry *registry;
    char model[16];
    pthread_t thread;
    int failures;
};

static void *record_many(void *argument)
{
    struct recorder *recorder = argument;
    for (uint64_t version = 1; version <= RECORDS_EACH; version++) {
        const struct md_version_record row = row_of(recorder->model, version);
        const struct md_event_record event = { .action = "load",
                                               .model = recorder->model,
                                               .version = version };
        recorder->failures += md_registry_record(recorder->registry, &row, &event, NULL) != MD_OK;
        count(recorder->registry, version, MD_OK, version);
    }
    return NULL;
}

/* Lists until every recorder's rows are there; rows never go away. */
static void *list_until_all(void *argument)
{
    struct recorder *reader = argument;
    size_t seen = 0;
    while (seen < (size_t)RECORDERS * RECORDS_EACH) {
        struct md_arena arena;
        struct md_version_record *versions = NULL;
        struct md_event_record *events = NULL;
        size_t rows = 0;
        size_t event_count = 0;
        md_arena_init(&arena, md_process_allocator(), 0);
        bool listed =
            md_registry_list_versions(reader->registry, NULL, &arena, &versions, &rows, NULL) == MD_OK &&
            md_registry_list_events(reader->registry, NULL, SIZE_MAX, &arena, &events, &event_count, NULL) ==
                MD_OK;
        md_arena_cleanup(&arena);
        if (!listed || rows < seen || event_count < rows) {
            reader->failures++;
            break;
        }
        seen = rows;
    }
    return NULL;
}

static void test_threads_record_and_list_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct md_registry *registry = open_or_fail(fixture);
    struct recorder recorders[RECORDERS];
    struct recorder reader = { .registry = registry };
    assert_int_equal(pthread_create(&reader.thread, NULL, list_until_all, &reader), 0);
    for (int i = 0; i < RECORDERS; i++) {
        recorders[i] = (struct recorder){ .registry = registry };
        (void)snprintf(recorders[i].model, sizeof recorders[i].model, "model-%d", i); /* fits */
        assert_int_equal(pthread_create(&recorders[i].thread, NULL, record_many, &recorders[i]), 0);
    }
    for (int i = 0; i < RECORDERS; i++) {
        assert_int_equal(pthread_join(recorders[i].thread, NULL), 0);
        assert_int_equal(recorders[i].failures, 0);
    }
    assert_int_equal(pthread_join(reader.thread, NULL), 0);
    assert_int_equal(reader.failures, 0);
    size_t events = 0;
    (void)events_of(fixture, registry, NULL, SIZE_MAX, &events); /* only the count matters */
    assert_int_equal(events, RECORDERS * RECORDS_EACH);
    md_registry_close(registry);
    assert_int_equal(run_sql(fixture->path, "SELECT sum(requests) FROM counter_totals"),
                     RECORDERS * RECORDS_EACH);
}

/* Everything once. Codes other than OK and RESOURCE_EXHAUSTED fail the test. */
static bool use_registry(struct fixture *fixture, const struct md_allocator *allocator)
{
    struct md_registry *registry = NULL;
    struct md_arena arena;
    struct md_version_record *versions = NULL;
    struct md_event_record *events = NULL;
    size_t rows = 0;
    const struct md_version_record row = row_of("m", 1);
    const struct md_event_record event = { .model = "m" };
    md_arena_init(&arena, allocator, 64); /* small blocks: many allocations */
    enum md_code code = md_registry_open(allocator, fixture->path, &registry, NULL);
    if (code != MD_OK)
        assert_null(registry);
    if (code == MD_OK)
        code = md_registry_record(registry, &row, &event, NULL);
    if (code == MD_OK) {
        count(registry, 1, MD_OK, 1);
        code = md_registry_list_versions(registry, NULL, &arena, &versions, &rows, NULL);
    }
    if (code == MD_OK)
        code = md_registry_list_events(registry, NULL, 20, &arena, &events, &rows, NULL);
    md_registry_close(registry);
    md_arena_cleanup(&arena);
    assert_true(code == MD_OK || code == MD_RESOURCE_EXHAUSTED);
    return code == MD_OK;
}

static void test_registry_survives_every_allocation_failure(void **state)
{
    struct fixture *fixture = *state;
    for (int once = 0; once < 2; once++) {
        bool all_worked = false;
        for (long nth = 0; !all_worked; nth++) {
            struct md_faulty_allocator faulty;
            md_faulty_init(&faulty, nth);
            faulty.once = once != 0;
            bool worked = use_registry(fixture, &faulty.allocator);
            assert_int_equal(faulty.live, 0);
            all_worked = worked && faulty.failed == 0;
        }
    }
}

/* Records versions from `first` on until it is killed, and writes each number after it was acknowledged. */
static void record_until_killed(struct fixture *fixture, uint64_t first, int acknowledged)
{
    struct md_registry *registry = NULL;
    if (md_registry_open(&fixture->memory.allocator, fixture->path, &registry, NULL) != MD_OK)
        _exit(1);
    static char signature[20000]; /* several pages per transaction */
    memset(signature, 'x', sizeof signature - 1);
    for (uint64_t version = first;; version++) {
        struct md_version_record row = row_of("m", version);
        row.signature = signature;
        const struct md_event_record event = { .action = "load", .model = "m", .version = version };
        if (md_registry_record(registry, &row, &event, NULL) != MD_OK)
            _exit(2);
        count(registry, version, MD_OK, 1);
        if (write(acknowledged, &version, sizeof version) != (ssize_t)sizeof version)
            _exit(3);
    }
}

/* Returns the last version that was acknowledged before the child died. */
static uint64_t run_and_kill(struct fixture *fixture, uint64_t first, uint64_t records)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(ends[0]); /* the parent's end */
        record_until_killed(fixture, first, ends[1]);
    }
    assert_int_equal(close(ends[1]), 0);
    uint64_t last = 0;
    uint64_t version;
    while (read(ends[0], &version, sizeof version) == (ssize_t)sizeof version) {
        last = version;
        if (version == first + records)
            assert_int_equal(kill(child, SIGKILL),
                             0); /* it goes on until the signal comes, wherever that is */
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(close(ends[0]), 0);
    return last;
}

static void test_what_was_acknowledged_survives_kill_9(void **state)
{
    struct fixture *fixture = *state;
    uint64_t last = 0;
    unsigned seed = (unsigned)md_clock_us();
    print_message("seed %u\n", seed);
    for (int round = 0; round < 10; round++) {
        last = run_and_kill(fixture, last + 1, (uint64_t)(rand_r(&seed) % 40));
        struct md_registry *registry = open_or_fail(fixture);
        size_t rows = 0;
        size_t event_count = 0;
        const struct md_version_record *versions = versions_of(fixture, registry, "m", &rows);
        const struct md_event_record *events = events_of(fixture, registry, "m", SIZE_MAX, &event_count);
        /* The one that was being recorded may be there too, whole. */
        assert_true(rows == last || rows == last + 1);
        assert_int_equal(event_count, rows);
        for (size_t i = 0; i < rows; i++) {
            assert_int_equal(versions[i].version, i + 1);
            assert_int_equal(events[i].version, rows - i);
            assert_int_equal(strlen(versions[i].signature), 19999);
        }
        md_registry_close(registry);
        last = rows;
    }
    assert_int_equal(run_sql(fixture->path, "SELECT count(*) FROM pragma_integrity_check "
                                            "WHERE integrity_check <> 'ok'"),
                     0);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_open_creates_an_empty_store),
        WITH_STORE(test_empty_file_is_a_new_store),
        WITH_STORE(test_text_file_is_refused_and_left_as_it_was),
        WITH_STORE(test_database_of_another_program_is_refused_and_left_as_it_was),
        WITH_STORE(test_newer_schema_is_refused_with_both_numbers),
        WITH_STORE(test_a_file_of_the_first_schema_is_migrated_with_what_it_holds),
        cmocka_unit_test(test_migrations_are_numbered_without_a_gap),
        WITH_STORE(test_missing_folder_is_named),
        WITH_STORE(test_path_that_is_no_file_is_refused),
        WITH_STORE(test_read_only_folder_is_an_error_that_names_it),
        WITH_STORE(test_read_only_file_is_an_error),
        WITH_STORE(test_second_open_of_one_store_is_refused_under_any_name),
        WITH_STORE(test_damaged_file_is_told_and_does_not_crash),
        WITH_STORE(test_record_is_there_after_reopen_with_every_field),
        WITH_STORE(test_second_record_of_a_version_replaces_the_first),
        WITH_STORE(test_versions_are_listed_by_model_and_number),
        WITH_STORE(test_many_rows_are_all_listed),
        WITH_STORE(test_events_come_newest_first_up_to_the_limit),
        WITH_STORE(test_event_may_name_what_does_not_exist),
        WITH_STORE(test_text_is_data_and_never_sql),
        WITH_STORE(test_long_text_is_kept_whole),
        WITH_STORE(test_message_cut_in_a_character_is_stored_as_utf8),
        WITH_STORE(test_missing_strings_are_stored_as_empty),
        WITH_STORE(test_bad_record_is_refused_and_stores_nothing),
        WITH_STORE(test_state_names_are_those_of_the_wire),
        WITH_STORE(test_counters_are_flushed_on_close_and_add_up_over_restarts),
        WITH_STORE(test_counters_of_a_version_without_row_are_kept),
        WITH_STORE(test_old_minutes_are_deleted_and_the_totals_stay),
        WITH_STORE(test_what_was_acknowledged_survives_kill_9),
        WITH_STORE(test_threads_record_and_list_at_once),
        WITH_STORE(test_registry_survives_every_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
