/* migrations.h - brings a registry file to the schema of this build.
 *
 * A migration is one row of the table in migrations.c. Rows are only ever added: a number that has been
 * released is in files out there. PRAGMA user_version of a file says which rows it has seen, PRAGMA
 * application_id that it is a registry at all. Inside registry/ only; called once, by md_registry_open. */
#ifndef MD_MIGRATIONS_H
#define MD_MIGRATIONS_H

#include "status.h"

#include <stddef.h>

struct md_database;

struct md_migration {
    int number;       /* 1, 2, 3, ... without a gap */
    const char *name; /* for messages */
    const char *sql;  /* ends with "PRAGMA user_version = <number>;" */
};

/* Ends with a row of number 0. */
extern const struct md_migration md_migrations[];

/* Looks only, changes nothing: an empty file, or one that carries our application_id.
 * INVALID_ARGUMENT: not a database, or another program's. FAILED_PRECONDITION: newer than this build. */
MD_NODISCARD enum md_code md_migrations_check(struct md_database *database, struct md_error *error);

/* Applies what is missing, each migration in a transaction of its own: after a failure the file has the
 * schema of the last one that worked, and the next start goes on from there. */
MD_NODISCARD enum md_code md_migrations_apply(struct md_database *database, struct md_error *error);

#endif
