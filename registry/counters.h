/* counters.h - request counts in memory, handed over once a second to whoever stores them.
 *
 *   any thread                    flush thread
 *   md_counters_add --> [ table ] --swap--> [ table ] --write(list)--> stored, or merged back
 *
 * Counting is a hash look-up and a few additions under a short lock; it never touches the disk. There is one
 * entry per model, version, minute and code, so the tables stay small; when storing fails for so long that
 * MD_COUNTERS_LIMIT entries wait, new entries are dropped. Inside registry/ only; it knows no SQL. */
#ifndef MD_COUNTERS_H
#define MD_COUNTERS_H

#include "registry.h"

#include <stdbool.h>
#include <stdint.h>

enum { MD_LATENCY_BUCKETS = 17, MD_COUNTERS_LIMIT = 65536 };

/* Inclusive upper bounds of the latency histogram in microseconds, rising; the last is INT64_MAX. Stored with
 * the counts, so bounds may change from one build to the next. */
extern const int64_t md_latency_upper_us[MD_LATENCY_BUCKETS];

struct md_counter {
    struct md_counter *next; /* of the list given to md_counters_write_fn */
    uint64_t version;
    int64_t minute; /* wall clock: minutes since 1970 */
    enum md_code code;
    uint64_t requests;
    uint64_t rows;
    uint64_t tokens;
    uint64_t duration_us;
    uint64_t latency[MD_LATENCY_BUCKETS]; /* requests per bucket */
    char model[];                         /* NUL-terminated */
};

/* Adds every entry of the list to the store, all of them or none. Called on the flush thread, without locks;
 * the list is borrowed for the call. False: not stored, try again later. */
typedef bool (*md_counters_write_fn)(void *context, const struct md_counter *list);

struct md_counters;

struct md_counters_options {
    int64_t interval_us; /* from the first new count to the flush */
    md_counters_write_fn write;
    void *context; /* borrowed until md_counters_destroy */
};

/* Starts the flush thread. OK: *out_counters is owned by the caller, who releases it with
 * md_counters_destroy. RESOURCE_EXHAUSTED: memory or threads. */
MD_NODISCARD enum md_code md_counters_create(const struct md_allocator *allocator,
                                             const struct md_counters_options *options,
                                             struct md_counters **out_counters, struct md_error *error);
/* Flushes a last time and joins the thread; no count may be under way. NULL is allowed. */
void md_counters_destroy(struct md_counters *counters);

/* Any thread. The count is dropped when there is no memory for a new entry. */
void md_counters_add(struct md_counters *counters, const struct md_request_count *count);

#endif
