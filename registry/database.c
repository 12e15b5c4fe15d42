/* database.c - see database.h. */
#include "database.h"

#include "arena.h"
#include "utf8.h"

#include <string.h>

enum { BUSY_TIMEOUT_MS = 5000 };

/* What a result means to the caller: while the file is being opened, and afterwards. */
static const struct {
    int result;
    enum md_code while_opening;
    enum md_code later;
} result_codes[] = {
    { SQLITE_NOMEM, MD_RESOURCE_EXHAUSTED, MD_RESOURCE_EXHAUSTED },
    { SQLITE_FULL, MD_RESOURCE_EXHAUSTED, MD_RESOURCE_EXHAUSTED },
    { SQLITE_NOTADB, MD_INVALID_ARGUMENT, MD_DATA_LOSS },
    { SQLITE_CORRUPT, MD_INVALID_ARGUMENT, MD_DATA_LOSS },
    { SQLITE_TOOBIG, MD_INVALID_ARGUMENT, MD_INVALID_ARGUMENT },
    { SQLITE_BUSY, MD_FAILED_PRECONDITION, MD_UNAVAILABLE },
    { SQLITE_LOCKED, MD_FAILED_PRECONDITION, MD_UNAVAILABLE },
    { SQLITE_INTERRUPT, MD_CANCELLED, MD_CANCELLED },
};

static enum md_code code_of(int result, bool opening)
{
    if (result == SQLITE_IOERR_NOMEM)
        return MD_RESOURCE_EXHAUSTED;
    for (size_t i = 0; i < sizeof result_codes / sizeof result_codes[0]; i++)
        if (result_codes[i].result == (result & 0xFF)) /* the low byte is the primary code */
            return opening ? result_codes[i].while_opening : result_codes[i].later;
    return MD_INTERNAL; /* READONLY, PERM, IOERR, CANTOPEN, ... and mistakes of ours */
}

enum md_code md_database_fail(const struct md_database *database, int result, const char *tried,
                              struct md_error *error)
{
    int reason = database->sqlite != NULL ? sqlite3_system_errno(database->sqlite) : 0;
    bool of_system = reason != 0 && ((result & 0xFF) == SQLITE_IOERR || (result & 0xFF) == SQLITE_CANTOPEN);
    return md_fail(error, code_of(result, database->opening),
                   "cannot %s in registry \"%s\": %s (SQLite %d%s%s)", tried, database->path,
                   database->sqlite != NULL ? sqlite3_errmsg(database->sqlite) : sqlite3_errstr(result),
                   result, of_system ? ", " : "", of_system ? strerror(reason) : "");
}

static enum md_code configure(struct md_database *database, struct md_error *error)
{
    sqlite3 *sqlite = database->sqlite;
    int result = sqlite3_extended_result_codes(sqlite, 1);
    if (result == SQLITE_OK)
        result = sqlite3_busy_timeout(sqlite, BUSY_TIMEOUT_MS);
    /* The file may come from anywhere: no SQL that its schema carries may do harm. */
    if (result == SQLITE_OK)
        result = sqlite3_db_config(sqlite, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_db_config(sqlite, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    return result == SQLITE_OK ? MD_OK
                               : md_database_fail(database, result, "configure the connection", error);
}

enum md_code md_database_open(struct md_database *database, const char *file, const char *path,
                              enum md_database_mode mode, struct md_error *error)
{
    *database = (struct md_database){ .path = path, .opening = true };
    int access =
        mode == MD_DATABASE_WRITE ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
    int result = sqlite3_open_v2(file, &database->sqlite, access | SQLITE_OPEN_NOMUTEX, NULL);
    enum md_code code = MD_OK;
    if (result != SQLITE_OK)
        code = md_database_fail(database, result, "open the file", error);
    else
        code = configure(database, error);
    /* SQLite opens a file that it may not write for reading only, without an error. */
    if (code == MD_OK && mode == MD_DATABASE_WRITE && sqlite3_db_readonly(database->sqlite, "main") == 1)
        code = md_fail(error, MD_INTERNAL, "registry \"%s\" may not be written", path);
    if (code != MD_OK)
        md_database_close(database);
    return code;
}

void md_database_close(struct md_database *database)
{
    (void)sqlite3_close(database->sqlite); /* fails only with live statements: a leak that tests see */
    database->sqlite = NULL;
}

enum md_code md_database_execute(struct md_database *database, const char *sql, const char *tried,
                                 struct md_error *error)
{
    int result = sqlite3_exec(database->sqlite, sql, NULL, NULL, NULL);
    return result == SQLITE_OK ? MD_OK : md_database_fail(database, result, tried, error);
}

void md_database_roll_back(struct md_database *database)
{
    if (sqlite3_get_autocommit(database->sqlite) == 0)
        (void)sqlite3_exec(database->sqlite, "ROLLBACK", NULL, NULL, NULL); /* the first failure counts */
}

enum md_code md_database_prepare(struct md_database *database, const char *sql, sqlite3_stmt **out_statement,
                                 struct md_error *error)
{
    int result =
        sqlite3_prepare_v3(database->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, out_statement, NULL);
    return result == SQLITE_OK ? MD_OK : md_database_fail(database, result, "prepare a statement", error);
}

enum md_code md_database_read_integer(struct md_database *database, const char *sql, int64_t *out_value,
                                      struct md_error *error)
{
    sqlite3_stmt *statement = NULL;
    MD_TRY(md_database_prepare(database, sql, &statement, error));
    struct md_binding binding = md_binding_of(statement);
    bool row = false;
    enum md_code code = md_database_next(database, &binding, "read the header", &row, error);
    if (code == MD_OK)
        *out_value = row ? sqlite3_column_int64(statement, 0) : 0;
    (void)sqlite3_finalize(statement); /* repeats the failure of the step */
    return code;
}

struct md_binding md_binding_of(sqlite3_stmt *statement)
{
    return (struct md_binding){ .statement = statement, .index = 0, .result = SQLITE_OK };
}

static void keep_first_failure(struct md_binding *binding, int result)
{
    if (binding->result == SQLITE_OK)
        binding->result = result;
}

void md_bind_integer(struct md_binding *binding, int64_t value)
{
    keep_first_failure(binding, sqlite3_bind_int64(binding->statement, ++binding->index, value));
}

void md_bind_real(struct md_binding *binding, double value)
{
    keep_first_failure(binding, sqlite3_bind_double(binding->statement, ++binding->index, value));
}

void md_bind_null(struct md_binding *binding)
{
    keep_first_failure(binding, sqlite3_bind_null(binding->statement, ++binding->index));
}

/* A message that was cut in the middle of a character, or a name that came off the wire unchecked. */
static char *copy_as_utf8(const char *text, size_t size)
{
    char *copy = sqlite3_malloc64(size);
    if (copy == NULL)
        return NULL;
    memcpy(copy, text, size);
    for (size_t at = md_utf8_valid_prefix(copy, size); at < size;
         at += md_utf8_valid_prefix(copy + at, size - at))
        copy[at] = '?';
    return copy;
}

void md_bind_text(struct md_binding *binding, const char *text)
{
    int index = ++binding->index;
    size_t size = text == NULL ? 0 : strlen(text);
    if (md_utf8_valid_prefix(text == NULL ? "" : text, size) == size) {
        keep_first_failure(binding, sqlite3_bind_text64(binding->statement, index, text == NULL ? "" : text,
                                                        size, SQLITE_STATIC, SQLITE_UTF8));
        return;
    }
    char *copy = copy_as_utf8(text, size);
    if (copy == NULL)
        keep_first_failure(binding, SQLITE_NOMEM);
    else
        keep_first_failure(
            binding, sqlite3_bind_text64(binding->statement, index, copy, size, sqlite3_free, SQLITE_UTF8));
}

void md_statement_reset(sqlite3_stmt *statement)
{
    (void)sqlite3_reset(statement);          /* repeats the failure of the step, which was reported there */
    (void)sqlite3_clear_bindings(statement); /* cannot fail; borrowed text must not outlive the call */
}

enum md_code md_database_next(struct md_database *database, const struct md_binding *binding,
                              const char *tried, bool *out_row, struct md_error *error)
{
    int result = binding->result;
    if (result == SQLITE_OK)
        result = sqlite3_step(binding->statement);
    if (result != SQLITE_ROW && result != SQLITE_DONE)
        return md_database_fail(database, result, tried, error);
    *out_row = result == SQLITE_ROW;
    return MD_OK;
}

enum md_code md_database_run(struct md_database *database, const struct md_binding *binding,
                             const char *tried, struct md_error *error)
{
    bool row;
    enum md_code code = md_database_next(database, binding, tried, &row, error);
    md_statement_reset(binding->statement);
    return code;
}

const char *md_column_text(sqlite3_stmt *statement, int column, struct md_arena *arena)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    int size = sqlite3_column_bytes(statement, column);
    return text == NULL ? NULL : md_arena_copy_string(arena, text, (size_t)size);
}
