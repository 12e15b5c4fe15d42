/* database.h - one SQLite connection, and the one place where SQLite's result codes become ours.
 *
 * Inside registry/ only; nothing outside includes it. Statements are always prepared and their values
 * bound; no SQL text is ever put together at run time.
 * Threads: a connection is used by one thread at a time; its owner has the lock. Memory of SQLite itself
 * comes from SQLite's allocator (sqlite3_config), not from an md_allocator. */
#ifndef MD_DATABASE_H
#define MD_DATABASE_H

#include "status.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct md_arena;

struct md_database {
    sqlite3 *sqlite;
    const char *path; /* as the user gave it, for messages; borrowed until close */
    bool opening;     /* set until the owner clears it: damage then means "not a registry", later data loss */
};

enum md_database_mode { MD_DATABASE_READ, MD_DATABASE_WRITE };

/* Opens `file` (an absolute path) in the caller's struct; MD_DATABASE_WRITE creates it.
 * INTERNAL: cannot be opened. RESOURCE_EXHAUSTED: memory. On failure nothing is left open. */
MD_NODISCARD enum md_code md_database_open(struct md_database *database, const char *file, const char *path,
                                           enum md_database_mode mode, struct md_error *error);
/* Every statement must be finalized before. A zeroed struct is allowed. */
void md_database_close(struct md_database *database);

/* The code for `result`, a SQLite result other than OK, ROW and DONE, that the last call on this connection
 * gave; the message names the path, what was tried ("record a version"), SQLite's and the system's reason. */
MD_NODISCARD enum md_code md_database_fail(const struct md_database *database, int result, const char *tried,
                                           struct md_error *error);

/* Runs SQL that has no values and whose rows do not matter; several statements are allowed. */
MD_NODISCARD enum md_code md_database_execute(struct md_database *database, const char *sql,
                                              const char *tried, struct md_error *error);
/* Ends a transaction that failed; without one, or when SQLite has ended it by itself, it does nothing. */
void md_database_roll_back(struct md_database *database);
/* First column of the first row; 0 when there is no row. */
MD_NODISCARD enum md_code md_database_read_integer(struct md_database *database, const char *sql,
                                                   int64_t *out_value, struct md_error *error);

/* *out_statement is owned by the caller, who releases it with sqlite3_finalize before md_database_close. */
MD_NODISCARD enum md_code md_database_prepare(struct md_database *database, const char *sql,
                                              sqlite3_stmt **out_statement, struct md_error *error);

/* Binds values in the order of the parameters and remembers the first failure for md_database_run.
 * Text is borrowed until the statement is reset (md_database_run does that). */
struct md_binding {
    sqlite3_stmt *statement;
    int index;
    int result;
};
struct md_binding md_binding_of(sqlite3_stmt *statement);
void md_bind_integer(struct md_binding *binding, int64_t value);
void md_bind_real(struct md_binding *binding, double value);
void md_bind_null(struct md_binding *binding);
/* NULL is stored as "". Bytes that are no UTF-8 are stored as "?", so what is read back is always UTF-8. */
void md_bind_text(struct md_binding *binding, const char *text);

/* Runs a bound statement that gives no rows, then resets it. */
MD_NODISCARD enum md_code md_database_run(struct md_database *database, const struct md_binding *binding,
                                          const char *tried, struct md_error *error);

/* Takes the binding to its next row. *out_row is false after the last one. The caller ends the reading with
 * md_statement_reset, also after a failure. */
MD_NODISCARD enum md_code md_database_next(struct md_database *database, const struct md_binding *binding,
                                           const char *tried, bool *out_row, struct md_error *error);
void md_statement_reset(sqlite3_stmt *statement);

/* NUL-terminated copy in `arena`; NULL when there is no memory. */
const char *md_column_text(sqlite3_stmt *statement, int column, struct md_arena *arena);

#endif
