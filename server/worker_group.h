/* worker_group.h - threads that take jobs from one bounded queue, in order. A group starts with few and grows to its limit
 * when jobs come while all of them are busy: handlers may block (inference ones wait for their turn to compute).
 *
 * Three groups exist: inference, control (registry reads) and loads, so that a slow load delays no
 * prediction. Threads: push from any thread; jobs run on the group's threads, without locks. */
#ifndef MD_WORKER_GROUP_H
#define MD_WORKER_GROUP_H

#include "status.h"

#include <stdbool.h>
#include <stddef.h>

struct md_allocator;
struct md_worker_group;

/* Embedded in what is to be done; borrowed by the group until `function` is called. */
struct md_job {
    void (*function)(void *owner);
    void *owner;
    struct md_job *next; /* the group's */
};

/* name: of the threads, for top and gdb; at most 12 characters; borrowed.
 * threads: at first; thread_limit: at most.
 * OK: *out_group is owned by the caller, who releases it with md_worker_group_destroy. RESOURCE_EXHAUSTED:
 * memory or threads. */
MD_NODISCARD enum md_code md_worker_group_create(const struct md_allocator *allocator, const char *name,
                                                 size_t threads, size_t thread_limit, size_t queue_limit,
                                                 struct md_worker_group **out_group, struct md_error *error);
/* Runs what is queued, then joins the threads. NULL is allowed. */
void md_worker_group_destroy(struct md_worker_group *group);

/* False: the queue is full; the job is not taken. */
bool md_worker_group_push(struct md_worker_group *group, struct md_job *job);

/* Jobs that wait for a thread. */
size_t md_worker_group_queued(struct md_worker_group *group);

#endif
