/* version_counters.h - what a loaded version has done since it was loaded: requests, rows, batches and their times.
 *
 * Zeroed at first, embedded in the loaded version. Threads: any; every member is a relaxed atomic counter, so that a reader
 * may see a request in one of them and not yet in the next. */
#ifndef MD_VERSION_COUNTERS_H
#define MD_VERSION_COUNTERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MD_COUNTED_BATCH_ROWS = 64 };

struct md_duration_counter {
    atomic_uint_least64_t count;
    atomic_uint_least64_t us; /* in sum */
};

struct md_version_counters {
    struct md_duration_counter success, fail;                  /* requests, from arrival to answer */
    struct md_duration_counter queue, compute_input, compute_infer; /* parts of the successes */
    atomic_uint_least64_t rows;                                /* of the successes */
    atomic_uint_least64_t executions;                          /* batches that were run */
    atomic_int_least64_t last_at_ms;                           /* of the last success, since 1970; 0: none */
    struct md_duration_counter batches[MD_COUNTED_BATCH_ROWS + 1]; /* by their rows; those of more rows are in [0] */
};

struct md_request_times {
    uint64_t total_us;
    uint64_t queue_us;
    uint64_t input_us; /* texts into tokens */
    uint64_t infer_us;
};

void md_version_counters_add_request(struct md_version_counters *counters, bool succeeded, uint64_t rows,
                                     const struct md_request_times *times);
void md_version_counters_add_batch(struct md_version_counters *counters, size_t rows, uint64_t infer_us);

#endif
