/* registry.c - see registry.h; the schema is in migrations.c.
 *
 * Two SQLite connections to one file. The writer commits with synchronous=FULL; the reader is read-only and,
 * thanks to WAL, neither waits for the writer nor makes it wait. Each has a lock whose only purpose is that
 * one thread at a time uses the connection, so these two are the locks under which SQL runs; nothing else is
 * taken while one is held. Three kinds of threads come here: callers that record (writer), callers that list
 * (reader), and the flush thread of counters.c (writer). */
#include "registry.h"

#include "allocator.h"
#include "arena.h"
#include "clock.h"
#include "counters.h"
#include "database.h"
#include "lock_file.h"
#include "migrations.h"
#include "mutex.h"
#include "repository.h"
#include "utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    SMALLEST_DATABASE_BYTES = 512,
    FLUSH_INTERVAL_US = 1000000,
    KEPT_MINUTES = 90 * 24 * 60,
    MINUTES_PER_HOUR = 60
};

enum statement {
    BEGIN,
    COMMIT,
    ADD_MODEL,
    PUT_VERSION,
    ADD_EVENT,
    ADD_COUNTER,
    ADD_LATENCY,
    ADD_TOTAL,
    DELETE_OLD_COUNTERS,
    DELETE_OLD_LATENCIES,
    WRITER_STATEMENTS,
    LIST_VERSIONS = 0,
    LIST_EVENTS,
    LIST_EVENTS_OF_MODEL,
    READER_STATEMENTS,
    MAX_STATEMENTS = WRITER_STATEMENTS
};

/* Parameters are bound in the order in which they appear. */
static const char *const writer_sql[WRITER_STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ADD_MODEL] = "INSERT INTO models (name, created_at_us) VALUES (?, ?) ON CONFLICT DO NOTHING",
    [PUT_VERSION] =
        "INSERT INTO versions (model, version, created_at_us, state, desired, reason, task, sha256,"
        "  size_bytes, path, signature, loaded_at_us, precision, precision_difference)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (model, version) DO UPDATE SET state = excluded.state,"
        "  desired = excluded.desired, reason = excluded.reason, task = excluded.task,"
        "  sha256 = excluded.sha256, size_bytes = excluded.size_bytes, path = excluded.path,"
        "  signature = excluded.signature, loaded_at_us = excluded.loaded_at_us,"
        "  precision = excluded.precision, precision_difference = excluded.precision_difference",
    [ADD_EVENT] = "INSERT INTO events (at_us, actor, action, model, version, code, message)"
                  " VALUES (?, ?, ?, ?, ?, ?, ?)",
    [ADD_COUNTER] = "INSERT INTO counters (minute, model, version, code, requests, input_rows, tokens,"
                    "  duration_us)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
                    " ON CONFLICT DO UPDATE SET requests = requests + excluded.requests,"
                    "  input_rows = input_rows + excluded.input_rows, tokens = tokens + excluded.tokens,"
                    "  duration_us = duration_us + excluded.duration_us",
    [ADD_LATENCY] = "INSERT INTO counter_latencies (minute, model, version, code, upper_us, requests)"
                    " VALUES (?, ?, ?, ?, ?, ?)"
                    " ON CONFLICT DO UPDATE SET requests = requests + excluded.requests",
    [ADD_TOTAL] = "INSERT INTO counter_totals (model, version, requests, errors) VALUES (?, ?, ?, ?)"
                  " ON CONFLICT DO UPDATE SET requests = requests + excluded.requests,"
                  "  errors = errors + excluded.errors",
    [DELETE_OLD_COUNTERS] = "DELETE FROM counters WHERE minute < ?",
    [DELETE_OLD_LATENCIES] = "DELETE FROM counter_latencies WHERE minute < ?",
};

static const char *const reader_sql[READER_STATEMENTS] = {
    [LIST_VERSIONS] =
        "SELECT v.model, v.version, v.state, v.desired, v.reason, v.task, v.sha256, v.size_bytes,"
        "  v.path, v.signature, v.loaded_at_us, v.precision, v.precision_difference,"
        "  coalesce(t.requests, 0), coalesce(t.errors, 0)"
        " FROM versions v LEFT JOIN counter_totals t USING (model, version)"
        " WHERE ?1 IS NULL OR v.model = ?1 ORDER BY v.model, v.version",
    [LIST_EVENTS] = "SELECT id, at_us, actor, action, model, version, code, message FROM events"
                    " ORDER BY id DESC LIMIT ?",
    [LIST_EVENTS_OF_MODEL] = "SELECT id, at_us, actor, action, model, version, code, message FROM events"
                             " WHERE model = ? ORDER BY id DESC LIMIT ?",
};

struct connection {       /* touch only with its lock held */
    struct md_mutex lock; /* no other lock is taken while it is held */
    struct md_database database;
    sqlite3_stmt *statements[MAX_STATEMENTS];
};

struct md_registry {
    const struct md_allocator *allocator; /* immutable after open */
    char *path;                           /* immutable after open; as the caller gave it */
    int lock_fd;                          /* immutable after open */
    struct md_counters *counters;         /* immutable after open; has its own lock */
    struct connection writer;
    struct connection reader;
    struct {
        int64_t deleted_hour; /* hour in which old minutes were last deleted */
    } flush;                  /* flush thread only: no lock */
};

const char *md_version_state_name(enum md_version_state state)
{
    static const char *const names[] = { "UNKNOWN",  "LOADING",  "WARMING", "READY",
                                         "DRAINING", "UNLOADED", "FAILED" };
    unsigned index = (unsigned)state;
    return index < sizeof names / sizeof names[0] ? names[index] : names[0];
}

/* ---- open and close ---- */

/* The path that a file which does not exist yet will have. */
static enum md_code resolve_new(const char *path, char out_file[PATH_MAX], struct md_error *error)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    size_t folder_size = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
    char folder[PATH_MAX] = ".";
    char resolved[PATH_MAX];
    if (folder_size >= sizeof folder || name[0] == '\0')
        return md_fail(error, MD_INVALID_ARGUMENT, "\"%s\" does not name a file", path);
    if (folder_size > 0) {
        memcpy(folder, path, folder_size);
        folder[folder_size] = '\0';
    }
    if (realpath(folder, resolved) == NULL)
        return md_fail(error, errno == ENOENT ? MD_NOT_FOUND : MD_INTERNAL,
                       "folder \"%s\" of registry \"%s\": %s", folder, name, strerror(errno));
    int length = snprintf(out_file, PATH_MAX, "%s/%s", strcmp(resolved, "/") == 0 ? "" : resolved, name);
    if (length < 0 || length >= PATH_MAX)
        return md_fail(error, MD_INVALID_ARGUMENT, "path of registry has %d bytes, limit is %d: \"%s\"",
                       length, PATH_MAX - 1, path);
    return MD_OK;
}

/* The file itself, so that two names of one registry (a link, a relative path) give one lock. */
static enum md_code resolve(const char *path, char out_file[PATH_MAX], struct md_error *error)
{
    struct stat status;
    if (path[0] == '\0')
        return md_fail(error, MD_INVALID_ARGUMENT, "path of the registry is empty");
    if (stat(path, &status) != 0)
        return errno == ENOENT
                   ? resolve_new(path, out_file, error)
                   : md_fail(error, MD_INTERNAL, "cannot look at registry \"%s\": %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return md_fail(error, MD_INVALID_ARGUMENT, "registry \"%s\" is not a regular file", path);
    /* One page. SQLite itself would take a file of one byte for an empty one and overwrite it. */
    if (status.st_size > 0 && status.st_size < SMALLEST_DATABASE_BYTES)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "registry \"%s\" is not a database: it has %lld bytes, the smallest has %d", path,
                       (long long)status.st_size, SMALLEST_DATABASE_BYTES);
    if (realpath(path, out_file) == NULL)
        return md_fail(error, MD_INTERNAL, "cannot resolve registry \"%s\": %s", path, strerror(errno));
    return MD_OK;
}

static enum md_code prepare_all(struct connection *connection, const char *const *sql, size_t count,
                                struct md_error *error)
{
    for (size_t i = 0; i < count; i++)
        MD_TRY(md_database_prepare(&connection->database, sql[i], &connection->statements[i], error));
    return MD_OK;
}

/* WAL cannot be had on some network file systems; SQLite then keeps the old mode without an error. */
static enum md_code use_wal(struct md_database *database, struct md_error *error)
{
    sqlite3_stmt *statement = NULL;
    MD_TRY(md_database_prepare(database, "PRAGMA journal_mode = WAL", &statement, error));
    struct md_binding binding = md_binding_of(statement);
    bool row = false;
    enum md_code code = md_database_next(database, &binding, "set journal mode WAL", &row, error);
    const char *mode = code == MD_OK && row ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    if (code == MD_OK && (mode == NULL || strcmp(mode, "wal") != 0))
        code = md_fail(error, MD_INTERNAL, "registry \"%s\" has journal mode \"%s\", expected \"wal\"",
                       database->path, mode != NULL ? mode : "");
    (void)sqlite3_finalize(statement); /* repeats the failure of the step */
    return code;
}

/* The file is looked at before anything is changed: another program's database stays as it is. */
static enum md_code open_writer(struct md_registry *registry, const char *file, struct md_error *error)
{
    struct md_database *database = &registry->writer.database;
    MD_TRY(md_database_open(database, file, registry->path, MD_DATABASE_WRITE, error));
    MD_TRY(md_migrations_check(database, error));
    MD_TRY(use_wal(database, error));
    MD_TRY(md_database_execute(database, "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;",
                               "set synchronous and foreign keys", error));
    MD_TRY(md_migrations_apply(database, error));
    MD_TRY(prepare_all(&registry->writer, writer_sql, WRITER_STATEMENTS, error));
    database->opening = false;
    return MD_OK;
}

static enum md_code open_reader(struct md_registry *registry, const char *file, struct md_error *error)
{
    MD_TRY(md_database_open(&registry->reader.database, file, registry->path, MD_DATABASE_READ, error));
    MD_TRY(prepare_all(&registry->reader, reader_sql, READER_STATEMENTS, error));
    registry->reader.database.opening = false;
    return MD_OK;
}

static void close_connection(struct connection *connection)
{
    for (size_t i = 0; i < MAX_STATEMENTS; i++)
        (void)sqlite3_finalize(connection->statements[i]); /* NULL is allowed; repeats old failures */
    md_database_close(&connection->database);
    md_mutex_cleanup(&connection->lock);
}

static bool write_counters(void *context, const struct md_counter *list);

enum md_code md_registry_open(const struct md_allocator *allocator, const char *path,
                              struct md_registry **out_registry, struct md_error *error)
{
    char file[PATH_MAX];
    MD_TRY(resolve(path, file, error));
    struct md_registry *registry = md_allocate_zeroed(allocator, 1, sizeof *registry);
    if (registry == NULL)
        return md_fail_memory(error, "registry");
    registry->allocator = allocator;
    registry->lock_fd = -1;
    md_mutex_init(&registry->writer.lock);
    md_mutex_init(&registry->reader.lock);
    registry->path = md_duplicate_string(allocator, path);
    enum md_code code = registry->path == NULL ? md_fail_memory(error, "path of the registry") : MD_OK;
    if (code == MD_OK)
        code = md_lock_file_open(file, path, &registry->lock_fd, error);
    if (code == MD_OK)
        code = open_writer(registry, file, error);
    if (code == MD_OK)
        code = open_reader(registry, file, error);
    const struct md_counters_options options = { FLUSH_INTERVAL_US, write_counters, registry };
    if (code == MD_OK)
        code = md_counters_create(allocator, &options, &registry->counters, error);
    if (code != MD_OK)
        goto fail;
    *out_registry = registry;
    return MD_OK;
fail:
    md_registry_close(registry);
    return code;
}

void md_registry_close(struct md_registry *registry)
{
    if (registry == NULL)
        return;
    md_counters_destroy(registry->counters); /* the last flush still needs the writer */
    close_connection(&registry->reader); /* first: the last connection to close folds the WAL into the file */
    close_connection(&registry->writer);
    md_lock_file_close(registry->lock_fd);
    md_release(registry->allocator, registry->path);
    md_release(registry->allocator, registry);
}

/* ---- writing ---- */

/* Runs a writer statement without values. Caller holds writer.lock. */
static enum md_code run_plain_locked(struct md_registry *registry, enum statement statement,
                                     const char *tried, struct md_error *error)
{
    md_mutex_assert_held(&registry->writer.lock);
    struct md_binding binding = md_binding_of(registry->writer.statements[statement]);
    return md_database_run(&registry->writer.database, &binding, tried, error);
}

/* Caller holds writer.lock. */
static enum md_code begin_locked(struct md_registry *registry, struct md_error *error)
{
    md_database_roll_back(&registry->writer.database); /* one that failed for want of memory the last time */
    return run_plain_locked(registry, BEGIN, "begin", error);
}

/* Ends the transaction that `code` is the outcome of: commits after MD_OK, else rolls back.
 * Caller holds writer.lock. */
static enum md_code end_transaction_locked(struct md_registry *registry, enum md_code code,
                                           struct md_error *error)
{
    if (code == MD_OK)
        code = run_plain_locked(registry, COMMIT, "commit", error);
    if (code != MD_OK)
        md_database_roll_back(&registry->writer.database);
    return code;
}

/* Caller holds writer.lock. */
static enum md_code add_event_locked(struct md_registry *registry, const struct md_event_record *event,
                                     struct md_error *error)
{
    struct md_binding binding = md_binding_of(registry->writer.statements[ADD_EVENT]);
    md_bind_integer(&binding, md_clock_wall_us());
    md_bind_text(&binding, event->actor);
    md_bind_text(&binding, event->action);
    md_bind_text(&binding, event->model);
    md_bind_integer(&binding, (int64_t)event->version); /* wraps above 2^63 and comes back the same */
    md_bind_integer(&binding, (int64_t)event->code);
    md_bind_text(&binding, event->message);
    return md_database_run(&registry->writer.database, &binding, "record an event", error);
}

/* Caller holds writer.lock. */
static enum md_code put_version_locked(struct md_registry *registry, const struct md_version_record *version,
                                       struct md_error *error)
{
    int64_t now_us = md_clock_wall_us();
    struct md_binding binding = md_binding_of(registry->writer.statements[ADD_MODEL]);
    md_bind_text(&binding, version->model);
    md_bind_integer(&binding, now_us);
    MD_TRY(md_database_run(&registry->writer.database, &binding, "record a model", error));

    binding = md_binding_of(registry->writer.statements[PUT_VERSION]);
    md_bind_text(&binding, version->model);
    md_bind_integer(&binding, (int64_t)version->version);
    md_bind_integer(&binding, now_us);
    md_bind_integer(&binding, (int64_t)version->state);
    md_bind_integer(&binding, version->desired);
    md_bind_text(&binding, version->reason);
    md_bind_text(&binding, version->task);
    md_bind_text(&binding, version->sha256);
    md_bind_integer(&binding, (int64_t)version->size_bytes);
    md_bind_text(&binding, version->path);
    md_bind_text(&binding, version->signature);
    md_bind_integer(&binding, version->loaded_at_us);
    md_bind_text(&binding, version->precision);
    if (version->precision_difference >= 0)
        md_bind_real(&binding, version->precision_difference);
    else
        md_bind_null(&binding);
    return md_database_run(&registry->writer.database, &binding, "record a version", error);
}

/* These come back as a path to open and as JSON to parse, so a "?" in them would be a lie. */
static enum md_code check_text(const char *text, const char *field, const struct md_version_record *version,
                               struct md_error *error)
{
    size_t size = text == NULL ? 0 : strlen(text);
    size_t valid = md_utf8_valid_prefix(text == NULL ? "" : text, size);
    if (valid == size)
        return MD_OK;
    return md_fail(error, MD_INVALID_ARGUMENT,
                   "%s of model \"%s\" version %" PRIu64 " is not UTF-8: byte 0x%02X at offset %zu", field,
                   version->model, version->version, (unsigned)(unsigned char)text[valid], valid);
}

static enum md_code check_version(const struct md_version_record *version, struct md_error *error)
{
    MD_TRY(md_model_name_check(version->model == NULL ? "" : version->model, error));
    if (version->version == 0 || version->version > INT64_MAX)
        return md_fail(error, MD_INVALID_ARGUMENT, "model \"%s\": version %" PRIu64 " is not in 1..%" PRId64,
                       version->model, version->version, INT64_MAX);
    if (version->state < MD_VERSION_LOADING || version->state > MD_VERSION_FAILED)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "model \"%s\" version %" PRIu64 ": state %d is not in %d..%d", version->model,
                       version->version, (int)version->state, (int)MD_VERSION_LOADING,
                       (int)MD_VERSION_FAILED);
    if (version->size_bytes > INT64_MAX)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "model \"%s\" version %" PRIu64 ": size %" PRIu64 " bytes, limit is %" PRId64,
                       version->model, version->version, version->size_bytes, INT64_MAX);
    MD_TRY(check_text(version->task, "task", version, error));
    MD_TRY(check_text(version->sha256, "sha256", version, error));
    MD_TRY(check_text(version->path, "path", version, error));
    MD_TRY(check_text(version->precision, "precision", version, error));
    return check_text(version->signature, "signature", version, error);
}

enum md_code md_registry_record(struct md_registry *registry, const struct md_version_record *version,
                                const struct md_event_record *event, struct md_error *error)
{
    MD_TRY(check_version(version, error));
    md_mutex_lock(&registry->writer.lock);
    enum md_code code = begin_locked(registry, error);
    if (code == MD_OK) {
        code = put_version_locked(registry, version, error);
        if (code == MD_OK && event != NULL)
            code = add_event_locked(registry, event, error);
        code = end_transaction_locked(registry, code, error);
    }
    md_mutex_unlock(&registry->writer.lock);
    return code;
}

enum md_code md_registry_append_event(struct md_registry *registry, const struct md_event_record *event,
                                      struct md_error *error)
{
    md_mutex_lock(&registry->writer.lock);
    enum md_code code = begin_locked(registry, error);
    if (code == MD_OK)
        code = end_transaction_locked(registry, add_event_locked(registry, event, error), error);
    md_mutex_unlock(&registry->writer.lock);
    return code;
}

/* ---- counters ---- */

void md_registry_count_request(struct md_registry *registry, const struct md_request_count *count)
{
    md_counters_add(registry->counters, count);
}

static void bind_counter_key(struct md_binding *binding, const struct md_counter *counter)
{
    md_bind_integer(binding, counter->minute);
    md_bind_text(binding, counter->model);
    md_bind_integer(binding, (int64_t)counter->version);
    md_bind_integer(binding, (int64_t)counter->code);
}

/* Caller holds writer.lock. */
static enum md_code add_counter_locked(struct md_registry *registry, const struct md_counter *counter)
{
    struct md_database *database = &registry->writer.database;
    struct md_binding binding = md_binding_of(registry->writer.statements[ADD_COUNTER]);
    bind_counter_key(&binding, counter);
    md_bind_integer(&binding, (int64_t)counter->requests);
    md_bind_integer(&binding, (int64_t)counter->rows);
    md_bind_integer(&binding, (int64_t)counter->tokens);
    md_bind_integer(&binding, (int64_t)counter->duration_us);
    MD_TRY(md_database_run(database, &binding, "add a counter", NULL));

    for (size_t i = 0; i < MD_LATENCY_BUCKETS; i++) {
        if (counter->latency[i] == 0)
            continue;
        binding = md_binding_of(registry->writer.statements[ADD_LATENCY]);
        bind_counter_key(&binding, counter);
        md_bind_integer(&binding, md_latency_upper_us[i]);
        md_bind_integer(&binding, (int64_t)counter->latency[i]);
        MD_TRY(md_database_run(database, &binding, "add a latency", NULL));
    }

    binding = md_binding_of(registry->writer.statements[ADD_TOTAL]);
    md_bind_text(&binding, counter->model);
    md_bind_integer(&binding, (int64_t)counter->version);
    md_bind_integer(&binding, (int64_t)counter->requests);
    md_bind_integer(&binding, counter->code == MD_OK ? 0 : (int64_t)counter->requests);
    return md_database_run(database, &binding, "add a total", NULL);
}

/* Caller holds writer.lock. */
static enum md_code delete_old_locked(struct md_registry *registry, int64_t first_kept_minute)
{
    for (enum statement at = DELETE_OLD_COUNTERS; at <= DELETE_OLD_LATENCIES; at++) {
        struct md_binding binding = md_binding_of(registry->writer.statements[at]);
        md_bind_integer(&binding, first_kept_minute);
        MD_TRY(md_database_run(&registry->writer.database, &binding, "delete old counters", NULL));
    }
    return MD_OK;
}

/* md_counters_write_fn. All in one transaction; minutes older than KEPT_MINUTES go once an hour. */
static bool write_counters(void *context, const struct md_counter *list)
{
    struct md_registry *registry = context;
    int64_t hour = list->minute / MINUTES_PER_HOUR;
    md_mutex_lock(&registry->writer.lock);
    enum md_code code = begin_locked(registry, NULL);
    if (code == MD_OK) {
        for (const struct md_counter *at = list; at != NULL && code == MD_OK; at = at->next)
            code = add_counter_locked(registry, at);
        if (code == MD_OK && hour != registry->flush.deleted_hour)
            code = delete_old_locked(registry, list->minute - KEPT_MINUTES);
        code = end_transaction_locked(registry, code, NULL);
    }
    md_mutex_unlock(&registry->writer.lock);
    if (code == MD_OK)
        registry->flush.deleted_hour = hour;
    return code == MD_OK;
}

/* ---- reading ---- */

/* Fills one item of an array from the current row; its strings live in `arena`. */
typedef enum md_code (*read_row_fn)(sqlite3_stmt *row, struct md_arena *arena, void *item,
                                    struct md_error *error);

/* Copies column `column` to *out_text, or sets *failed when there is no memory. */
static void read_text(sqlite3_stmt *row, int column, struct md_arena *arena, const char **out_text,
                      bool *failed)
{
    *out_text = md_column_text(row, column, arena);
    *failed = *failed || *out_text == NULL;
}

static enum md_code read_version(sqlite3_stmt *row, struct md_arena *arena, void *item,
                                 struct md_error *error)
{
    struct md_version_record *version = item;
    bool failed = false;
    read_text(row, 0, arena, &version->model, &failed);
    version->version = (uint64_t)sqlite3_column_int64(row, 1);
    version->state = (enum md_version_state)sqlite3_column_int(row, 2);
    version->desired = sqlite3_column_int(row, 3) != 0;
    read_text(row, 4, arena, &version->reason, &failed);
    read_text(row, 5, arena, &version->task, &failed);
    read_text(row, 6, arena, &version->sha256, &failed);
    version->size_bytes = (uint64_t)sqlite3_column_int64(row, 7);
    read_text(row, 8, arena, &version->path, &failed);
    read_text(row, 9, arena, &version->signature, &failed);
    version->loaded_at_us = sqlite3_column_int64(row, 10);
    read_text(row, 11, arena, &version->precision, &failed);
    version->precision_difference =
        sqlite3_column_type(row, 12) == SQLITE_NULL ? -1 : sqlite3_column_double(row, 12);
    version->request_count = (uint64_t)sqlite3_column_int64(row, 13);
    version->error_count = (uint64_t)sqlite3_column_int64(row, 14);
    return failed ? md_fail_memory(error, "list of versions") : MD_OK;
}

static enum md_code read_event(sqlite3_stmt *row, struct md_arena *arena, void *item, struct md_error *error)
{
    struct md_event_record *event = item;
    bool failed = false;
    event->id = sqlite3_column_int64(row, 0);
    event->at_us = sqlite3_column_int64(row, 1);
    read_text(row, 2, arena, &event->actor, &failed);
    read_text(row, 3, arena, &event->action, &failed);
    read_text(row, 4, arena, &event->model, &failed);
    event->version = (uint64_t)sqlite3_column_int64(row, 5);
    event->code = (enum md_code)sqlite3_column_int(row, 6);
    read_text(row, 7, arena, &event->message, &failed);
    return failed ? md_fail_memory(error, "list of events") : MD_OK;
}

/* Reads every row of a bound statement into an array that grows in `arena`. Caller holds reader.lock. */
static enum md_code read_rows_locked(struct md_registry *registry, const struct md_binding *binding,
                                     read_row_fn read_row, size_t item_size, struct md_arena *arena,
                                     void **out_items, size_t *out_count, struct md_error *error)
{
    md_mutex_assert_held(&registry->reader.lock);
    char *items = NULL;
    size_t count = 0;
    size_t capacity = 0;
    bool more = true;
    enum md_code code = MD_OK;
    while (code == MD_OK) {
        code = md_database_next(&registry->reader.database, binding, "list", &more, error);
        if (code != MD_OK || !more)
            break;
        if (count == capacity) {
            size_t grown_capacity = capacity == 0 ? 16 : capacity * 2;
            char *grown = md_arena_allocate_zeroed(arena, grown_capacity, item_size);
            if (grown == NULL) {
                code = md_fail_memory(error, "list of the registry");
                break;
            }
            if (count > 0)
                memcpy(grown, items, count * item_size);
            items = grown;
            capacity = grown_capacity;
        }
        code = read_row(binding->statement, arena, items + count * item_size, error);
        count++;
    }
    md_statement_reset(binding->statement);
    if (code != MD_OK)
        return code;
    *out_items = items;
    *out_count = count;
    return MD_OK;
}

enum md_code md_registry_list_versions(struct md_registry *registry, const char *model,
                                       struct md_arena *arena, struct md_version_record **out_versions,
                                       size_t *out_count, struct md_error *error)
{
    void *items = NULL;
    md_mutex_lock(&registry->reader.lock);
    struct md_binding binding = md_binding_of(registry->reader.statements[LIST_VERSIONS]);
    if (model != NULL) /* else the parameter stays NULL */
        md_bind_text(&binding, model);
    enum md_code code = read_rows_locked(registry, &binding, read_version, sizeof(struct md_version_record),
                                         arena, &items, out_count, error);
    md_mutex_unlock(&registry->reader.lock);
    if (code == MD_OK)
        *out_versions = items;
    return code;
}

enum md_code md_registry_list_events(struct md_registry *registry, const char *model, size_t limit,
                                     struct md_arena *arena, struct md_event_record **out_events,
                                     size_t *out_count, struct md_error *error)
{
    void *items = NULL;
    md_mutex_lock(&registry->reader.lock);
    enum statement statement = model != NULL ? LIST_EVENTS_OF_MODEL : LIST_EVENTS;
    struct md_binding binding = md_binding_of(registry->reader.statements[statement]);
    if (model != NULL)
        md_bind_text(&binding, model);
    md_bind_integer(&binding, limit > INT64_MAX ? INT64_MAX : (int64_t)limit);
    enum md_code code = read_rows_locked(registry, &binding, read_event, sizeof(struct md_event_record),
                                         arena, &items, out_count, error);
    md_mutex_unlock(&registry->reader.lock);
    if (code == MD_OK)
        *out_events = items;
    return code;
}
