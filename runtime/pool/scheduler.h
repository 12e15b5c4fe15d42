/* scheduler.h - whose turn it is to compute, and in which company: the dynamic batcher.
 *
 * As many batches compute at a time as there are slots (cores). A request that finds a free slot starts at once and
 * alone: an idle server waits for nobody. Those that come while every slot is taken gather in the queue of their version;
 * a slot that becomes free takes the next queue in turn (versions share fairly) and from it one batch: the oldest request
 * of the highest priority and those behind it that may go with it, within the limits. So nobody is ever delayed for the
 * sake of company, and the batch size follows the load.
 *
 *     execute ── slot free ──────────────> run alone ──────────────────┐
 *        └── none ─> queue of the version ─> first of a batch: runs it ─┴─> next queue's first is woken with the slot
 *                                        └─> member: woken when it is done
 *
 * Work that has expired or was cancelled is dropped when its turn comes, before any kernel sees it; work that by the
 * measured speed cannot be done before its deadline is refused at once, and so is work for a queue that is full.
 * Threads: execute blocks the caller and may be called from any number of threads. No lock is held while work runs. */
#ifndef MD_SCHEDULER_H
#define MD_SCHEDULER_H

#include "status.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct md_allocator;
struct md_scheduler;

enum { MD_MAX_BATCH_WORKS = 64 };

/* Limits of one batch and one queue. A single work may exceed rows and tokens. */
struct md_batch_limits {
    size_t max_rows;   /* 1: no batching */
    size_t max_tokens; /* 0: not limited */
    size_t max_queued; /* works that wait */
};

struct md_batch_work;

/* Runs `count` works of one queue together (count 1 most of the time) and sets code and *error of each. */
typedef void (*md_batch_run_fn)(struct md_batch_work *const *works, size_t count);

struct md_scheduler_options {
    size_t slots;                  /* batches that compute at a time; at least 1 */
    struct md_batch_limits limits; /* of every queue */
    md_batch_run_fn run;
};

/* The requests of one version that wait; zeroed at first, embedded in what owns it, which must outlive every execute. */
struct md_batch_queue {
    struct { /* touch only with the scheduler's lock held */
        struct md_batch_work *head; /* by priority, then by age */
        size_t queued;
        struct md_batch_queue *next; /* in turn; itself: not waiting */
        bool in_turn;
        double unit_us;   /* measured cost of a token (or row, without tokens); 0: not known */
        uint64_t batches; /* that were run */
        uint64_t works;   /* in them */
    } synced;
};

/* One request; on the stack of the caller of execute, which blocks until it is done. */
struct md_batch_work {
    size_t rows;
    size_t tokens;         /* 0: costs are counted in rows */
    uint64_t company;      /* works with the same number may share a batch; 0: goes alone */
    int32_t priority;      /* higher goes first; usually 0 */
    int64_t deadline_us;   /* md_clock_us; INT64_MAX: none */
    const atomic_bool *cancelled; /* or NULL */
    enum md_code code;     /* the answer, set by run */
    struct md_error *error;
    int64_t waited_us;     /* set by execute: from the call until it began to run */
    size_t batch_rows;     /* set by execute: of the batch that it was in */
    struct {               /* touch only with the scheduler's lock held */
        struct md_batch_work *next;
        int state;
        double cost_us;
        size_t batch_count; /* of the batch that this work leads */
        struct md_batch_work *batch[MD_MAX_BATCH_WORKS];
        pthread_cond_t woken;
    } synced;
};

/* OK: *out_scheduler is owned by the caller, who releases it with md_scheduler_destroy. */
MD_NODISCARD enum md_code md_scheduler_create(const struct md_allocator *allocator,
                                              const struct md_scheduler_options *options,
                                              struct md_scheduler **out_scheduler, struct md_error *error);
void md_scheduler_destroy(struct md_scheduler *scheduler); /* nobody may be in execute; NULL is allowed */

/* Runs `work` in its turn and returns its code. Besides those of `run`:
 * RESOURCE_EXHAUSTED: the queue is full, or the wait would outlast the deadline (both numbers named).
 * DEADLINE_EXCEEDED, CANCELLED: it waited in vain; no kernel has seen it. */
MD_NODISCARD enum md_code md_scheduler_execute(struct md_scheduler *scheduler, struct md_batch_queue *queue,
                                               struct md_batch_work *work);

/* That were given at create. */
struct md_batch_limits md_scheduler_limits(const struct md_scheduler *scheduler);

/* For metrics. */
struct md_batch_statistics {
    size_t queued;
    uint64_t batches, works;
    double unit_us;
};
void md_scheduler_statistics(struct md_scheduler *scheduler, const struct md_batch_queue *queue,
                             struct md_batch_statistics *out_statistics);

#endif
