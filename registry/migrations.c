/* migrations.c - see migrations.h; the schema as a drawing is in README.md.
 * STRICT: a column holds its declared type. Times are microseconds since 1970 (UTC), minutes likewise. */
#include "migrations.h"

#include "database.h"

#include <inttypes.h>

enum { APPLICATION_ID = 0x6D6F646C }; /* "modl"; the SQL of migration 1 has it in decimal */

const struct md_migration md_migrations[] = {
    { 1, "models, versions, events, counters",
      "PRAGMA application_id = 1836016748;"

      "CREATE TABLE models ("
      "  name TEXT NOT NULL PRIMARY KEY,"
      "  created_at_us INTEGER NOT NULL"
      ") STRICT, WITHOUT ROWID;"

      "CREATE TABLE versions ("
      "  model TEXT NOT NULL REFERENCES models (name),"
      "  version INTEGER NOT NULL CHECK (version > 0),"
      "  created_at_us INTEGER NOT NULL,"
      "  state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 6)," /* enum md_version_state */
      "  desired INTEGER NOT NULL CHECK (desired IN (0, 1)),"
      "  reason TEXT NOT NULL,"
      "  task TEXT NOT NULL,"
      "  sha256 TEXT NOT NULL,"
      "  size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0),"
      "  path TEXT NOT NULL,"
      "  signature TEXT NOT NULL,"
      "  loaded_at_us INTEGER NOT NULL,"
      "  PRIMARY KEY (model, version)"
      ") STRICT;"

      /* AUTOINCREMENT: an id is never used again, so a reader may remember the last one it saw.
       * No reference to models: a load of a model that does not exist is an event too. */
      "CREATE TABLE events ("
      "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
      "  at_us INTEGER NOT NULL,"
      "  actor TEXT NOT NULL,"
      "  action TEXT NOT NULL,"
      "  model TEXT NOT NULL,"
      "  version INTEGER NOT NULL,"
      "  code INTEGER NOT NULL," /* enum md_code */
      "  message TEXT NOT NULL"
      ") STRICT;"
      "CREATE INDEX events_by_model ON events (model, id);"

      /* Counters name their version but do not reference it: a count must never be refused. The minute comes
       * first in the key, so that old minutes are one range to delete. */
      "CREATE TABLE counters ("
      "  minute INTEGER NOT NULL,"
      "  model TEXT NOT NULL,"
      "  version INTEGER NOT NULL,"
      "  code INTEGER NOT NULL,"
      "  requests INTEGER NOT NULL,"
      "  input_rows INTEGER NOT NULL,"
      "  tokens INTEGER NOT NULL,"
      "  duration_us INTEGER NOT NULL,"
      "  PRIMARY KEY (minute, model, version, code)"
      ") STRICT, WITHOUT ROWID;"

      /* The histogram of duration_us: requests that took at most upper_us, and more than the bound below. */
      "CREATE TABLE counter_latencies ("
      "  minute INTEGER NOT NULL,"
      "  model TEXT NOT NULL,"
      "  version INTEGER NOT NULL,"
      "  code INTEGER NOT NULL,"
      "  upper_us INTEGER NOT NULL,"
      "  requests INTEGER NOT NULL,"
      "  PRIMARY KEY (minute, model, version, code, upper_us)"
      ") STRICT, WITHOUT ROWID;"

      /* Sums over all minutes, also those that were deleted since. */
      "CREATE TABLE counter_totals ("
      "  model TEXT NOT NULL,"
      "  version INTEGER NOT NULL,"
      "  requests INTEGER NOT NULL,"
      "  errors INTEGER NOT NULL,"
      "  PRIMARY KEY (model, version)"
      ") STRICT, WITHOUT ROWID;"

      "PRAGMA user_version = 1;" },
    { 2, "precision of a load",
      "ALTER TABLE versions ADD COLUMN precision TEXT NOT NULL DEFAULT '';" /* '': loaded before there was a choice */
      "ALTER TABLE versions ADD COLUMN precision_difference REAL CHECK (precision_difference >= 0);"
      "PRAGMA user_version = 2;" },
    { 0, NULL, NULL },
};

static int latest_number(void)
{
    int latest = 0;
    for (const struct md_migration *migration = md_migrations; migration->number != 0; migration++)
        latest = migration->number;
    return latest;
}

enum md_code md_migrations_check(struct md_database *database, struct md_error *error)
{
    int64_t objects = 0;
    int64_t application = 0;
    int64_t schema = 0;
    /* The schema table first: reading it is what tells a text file from a database. */
    MD_TRY(md_database_read_integer(database, "SELECT count(*) FROM sqlite_schema", &objects, error));
    MD_TRY(md_database_read_integer(database, "PRAGMA application_id", &application, error));
    MD_TRY(md_database_read_integer(database, "PRAGMA user_version", &schema, error));
    if (application == 0 && objects == 0 && schema == 0)
        return MD_OK;
    if (application != APPLICATION_ID)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "\"%s\" is a database of another program, not a modeld registry: application_id is "
                       "%" PRId64 ", expected %d",
                       database->path, application, APPLICATION_ID);
    if (schema > latest_number())
        return md_fail(error, MD_FAILED_PRECONDITION,
                       "registry \"%s\" has schema %" PRId64
                       ", this build knows up to %d: use a newer modeld",
                       database->path, schema, latest_number());
    return MD_OK;
}

/* The text of a migration carries its own number, so that no SQL is put together here; a row whose number and
 * text differ is a bug that must not reach a file. */
static enum md_code apply_one(struct md_database *database, const struct md_migration *migration,
                              struct md_error *error)
{
    int64_t reached = 0;
    MD_TRY(md_database_execute(database, "BEGIN IMMEDIATE", "begin a migration", error));
    enum md_code code = md_database_execute(database, migration->sql, "migrate the schema", error);
    if (code == MD_OK)
        code = md_database_read_integer(database, "PRAGMA user_version", &reached, error);
    if (code == MD_OK && reached != migration->number)
        code = md_fail(error, MD_INTERNAL, "its SQL sets user_version %" PRId64 ", expected %d", reached,
                       migration->number);
    if (code == MD_OK)
        code = md_database_execute(database, "COMMIT", "commit a migration", error);
    if (code == MD_OK)
        return MD_OK;
    md_database_roll_back(database);
    return md_fail_prefix(error, code, "migration %d (%s)", migration->number, migration->name);
}

enum md_code md_migrations_apply(struct md_database *database, struct md_error *error)
{
    int64_t schema = 0;
    MD_TRY(md_database_read_integer(database, "PRAGMA user_version", &schema, error));
    for (const struct md_migration *migration = md_migrations; migration->number != 0; migration++)
        if (migration->number > schema)
            MD_TRY(apply_one(database, migration, error));
    return MD_OK;
}
