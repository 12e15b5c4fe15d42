/* load.h - one load: connections, calls in flight, a warm-up and a measured window.
 *
 * Closed loop (rate 0): `concurrency` clients, each sends when its last answer is there. Open loop: requests are due at
 * `rate`, whatever the answers do, and a latency counts from when its request was due.
 * Threads: md_load_run blocks the caller, who sends what is due; one thread of its own takes the completions. */
#ifndef MD_LOAD_H
#define MD_LOAD_H

#include "histogram.h"
#include "request_set.h"
#include "status.h"

#include <stdbool.h>

struct md_load_options {
    const char *target;
    size_t connections; /* from 1 */
    size_t concurrency; /* closed loop: clients, from 1; open loop: most calls in flight, later ones wait (and count) */
    double rate;        /* requests a second; 0: closed loop */
    bool is_poisson;
    uint64_t seed;
    uint64_t warm_up_ms;
    uint64_t duration_ms;
    uint32_t deadline_ms;                     /* of each call */
    const struct md_request_set *request_set; /* borrowed; sent in turn */
};

enum { MD_LOAD_CODES = 17 };

struct md_load_result {
    uint64_t codes[MD_LOAD_CODES]; /* answers by status, of requests that were due in the window */
    struct md_histogram latency;   /* of those that are OK, nanoseconds */
    uint64_t request_bytes;        /* of all calls, warm-up included, as the next three */
    uint64_t response_bytes;
    uint64_t calls;
    uint64_t cpu_us;                   /* of this process, all threads */
    double seconds;                    /* the window */
    char first_failure[MD_ERROR_MESSAGE_SIZE]; /* what the first call that failed was told; "" when none did */
};

/* Connects, sends one request on each connection, then runs the load until every call is answered.
 * OK: *out_result is filled; calls may have failed. Others: a first request's status, except those of a server that is
 * merely full (RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED); RESOURCE_EXHAUSTED: memory, threads. */
MD_NODISCARD enum md_code md_load_run(const struct md_load_options *options, struct md_load_result *out_result,
                                      struct md_error *error);

#endif
