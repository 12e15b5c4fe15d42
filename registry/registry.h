/* registry.h - what models exist and what happened to them: models, versions, events, counters.
 *
 * One SQLite file (WAL, synchronous FULL): what a call here has acknowledged survives kill -9. The header
 * shows no SQLite type; another store may stand behind it. It knows no tensor and no RPC.
 * Threads: every function may be called from any thread; writes are serialised inside; counters are
 * collected in memory and flushed by one writer thread at least once a second (and on close), so a crash
 * loses at most one second of counters and never an acknowledged state or event.
 * Codes that every call may give: RESOURCE_EXHAUSTED (memory, disk full), INTERNAL (I/O; the path and the
 * reason are named), UNAVAILABLE (another program has locked the file for 5 s), DATA_LOSS (the file is
 * damaged). A failed write shows nothing of itself and the next call may succeed; only when the disk failed
 * in the middle of a commit and the machine stops right then, may its rows be there later: all of them. */
#ifndef MD_REGISTRY_H
#define MD_REGISTRY_H

#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct md_allocator;
struct md_arena;
struct md_registry;

/* Stored by number; never renumber. Same numbers as modeld.v1.ModelState. */
enum md_version_state {
    MD_VERSION_LOADING = 1,
    MD_VERSION_WARMING = 2,
    MD_VERSION_READY = 3,
    MD_VERSION_DRAINING = 4,
    MD_VERSION_UNLOADED = 5,
    MD_VERSION_FAILED = 6
};
/* "READY", ...; "UNKNOWN" for a number that is no state. Static. */
const char *md_version_state_name(enum md_version_state state);

/* One row of versions. Strings are NUL-terminated; "" where unknown (NULL is stored as ""). */
struct md_version_record {
    const char *model;
    uint64_t version;
    enum md_version_state state;
    bool desired;       /* an operator wants it loaded: restored at start */
    const char *reason; /* why FAILED */
    const char *task;
    const char *sha256; /* hexadecimal */
    uint64_t size_bytes;
    const char *path;
    const char *signature;  /* JSON: {"inputs":[{"name","datatype","shape"}],"outputs":[...]} */
    int64_t loaded_at_us;   /* wall clock; 0: never */
    const char *precision;  /* of the last load that worked: "fp32", "bf16", "int8"; restored with it */
    double precision_difference; /* from FP32, as measured by that load; below 0: not measured (stored as NULL) */
    uint64_t request_count; /* sums over all minutes, as of the last flush: at most a second old */
    uint64_t error_count;   /* those of them whose code is not MD_OK */
};

struct md_event_record {
    int64_t id;
    int64_t at_us; /* wall clock */
    const char *actor;
    const char *action; /* "load", "unload", "restore" */
    const char *model;
    uint64_t version;
    enum md_code code;
    const char *message;
};

/* Opens or creates the store and migrates it to this build's schema; an empty file is a new store. A file
 * "<path>.lock" beside it keeps other processes away while it is open, and stays. `path` is borrowed.
 * OK: *out_registry is owned by the caller, who releases it with md_registry_close.
 * INVALID_ARGUMENT: the file is not a registry (it is left as it was). NOT_FOUND: its folder does not exist.
 * FAILED_PRECONDITION: its schema is newer than this build (both numbers named), or a process has it open.
 * RESOURCE_EXHAUSTED: memory or disk. INTERNAL: I/O. */
MD_NODISCARD enum md_code md_registry_open(const struct md_allocator *allocator, const char *path,
                                           struct md_registry **out_registry, struct md_error *error);
/* Flushes counters. No other call may be under way. NULL is allowed. */
void md_registry_close(struct md_registry *registry);

/* One transaction: inserts or updates the version row (keyed by model, version; every field but the counts
 * is written) and appends the event if `event` is not NULL (its id and at_us are set here).
 * On return with OK both are durable. Strings are borrowed for the call.
 * INVALID_ARGUMENT: `model` is no model name (repository.h), version or size are not in 1..2^63-1 and
 * 0..2^63-1, the state is none of the enum, or task, sha256, path, signature or precision is not UTF-8. In `reason` and
 * in events, bytes that are not UTF-8 become "?": a message may have been cut in mid-character. */
MD_NODISCARD enum md_code md_registry_record(struct md_registry *registry,
                                             const struct md_version_record *version,
                                             const struct md_event_record *event, struct md_error *error);

/* Appends an event alone: for example a load of a model that does not exist. Durable on return with OK. */
MD_NODISCARD enum md_code md_registry_append_event(struct md_registry *registry,
                                                   const struct md_event_record *event,
                                                   struct md_error *error);

/* All versions, by model and version; strings and the array live in `arena` (the array is NULL when there are
 * none). model NULL: every model. Does not wait for writers. */
MD_NODISCARD enum md_code md_registry_list_versions(struct md_registry *registry, const char *model,
                                                    struct md_arena *arena,
                                                    struct md_version_record **out_versions,
                                                    size_t *out_count, struct md_error *error);

/* The newest `limit` events, newest first; the rest as md_registry_list_versions. */
MD_NODISCARD enum md_code md_registry_list_events(struct md_registry *registry, const char *model,
                                                  size_t limit, struct md_arena *arena,
                                                  struct md_event_record **out_events, size_t *out_count,
                                                  struct md_error *error);

/* One answered request, for the counters per version and minute. Never blocks on the disk, never fails; the
 * count is dropped when there is no memory for it. A version that has no row may be counted too. */
struct md_request_count {
    const char *model; /* copied when it is new */
    uint64_t version;
    enum md_code code;
    uint64_t rows; /* texts, or the first dimension of the first tensor */
    uint64_t tokens;
    uint64_t duration_us; /* arrival to answer */
};
void md_registry_count_request(struct md_registry *registry, const struct md_request_count *count);

#endif
