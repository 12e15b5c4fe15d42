/* loaded_version.h - one loaded model version as the pool sees it; of this folder only. */
#ifndef MD_LOADED_VERSION_H
#define MD_LOADED_VERSION_H

#include "allocator.h"
#include "mutex.h"
#include "pool.h"
#include "scheduler.h"
#include "version_counters.h"

struct md_loaded_version {
    struct md_counting_allocator counting; /* of everything below; its parent is the pool's allocator */
    struct md_pool *pool;
    char *model;                           /* immutable once visible, as are the next five */
    uint64_t number;
    struct md_session *session;
    struct md_task *task;                  /* NULL: tensors only */
    size_t mapped_bytes;                   /* of the model's files */
    struct md_accuracy accuracy;
    struct md_batch_queue queue;           /* its own locking: scheduler.h */
    atomic_int proofs;
    atomic_uint_least32_t ns_per_byte;     /* of requests; see md_loaded_version_learn */
    struct md_version_counters counters;
    struct { /* touch only with synced.lock held; lock order: after the pool's */
        struct md_mutex lock;
        struct md_run **free_runs;
        size_t free_count;
        size_t run_count;                  /* that exist; free_runs has room for all of them */
        size_t capacity;
    } synced;
    /* Of pool.c, touch only with the pool's lock held: */
    struct md_loaded_version *next;
    size_t references;                     /* pins, and one while it is visible */
    uint64_t serial;                       /* of this load; never used again */
};

struct md_thread_pool *md_pool_thread_pool(const struct md_pool *pool); /* that was given at create */

/* Imports, checks and plans; no warm-up. precision NULL: see md_pool_load, also for the errors. */
MD_NODISCARD enum md_code md_loaded_version_create(struct md_pool *pool, const struct md_allocator *allocator,
                                                   const char *model, uint64_t number, const char *directory,
                                                   const enum md_precision *precision,
                                                   struct md_loaded_version **out_version,
                                                   struct md_error *error);
size_t md_pool_packed_cache_from_bytes(const struct md_pool *pool); /* pool.c */
/* The session of <directory>/model.onnx, owned by the caller (md_session_destroy). packed_cache_from_bytes: see
 * md_session_options. */
MD_NODISCARD enum md_code md_loaded_version_open_session(const struct md_pool *pool, const struct md_allocator *allocator,
                                                         const char *directory, enum md_precision precision,
                                                         size_t packed_cache_from_bytes,
                                                         struct md_session **out_session, struct md_error *error);
/* Gives back everything but the struct itself, which others may still find in a list. No run may be out. */
void md_loaded_version_empty(struct md_loaded_version *version);
void md_loaded_version_destroy(struct md_loaded_version *version); /* emptied or not; NULL is allowed */

/* Runs the version once (warm_up.c). Errors: those of the task on a short text. Without a task, made-up
 * inputs (trial.h) may well be refused by the model: that is no error. */
MD_NODISCARD enum md_code md_loaded_version_warm_up(struct md_loaded_version *version,
                                                    struct md_error *error);

/* Runs the version and an FP32 session of the same files, which is gone on return, on the same made-up inputs and sets
 * accuracy.difference (accuracy_check.c). FAILED_PRECONDITION: above accuracy.bound (output and both numbers are named),
 * not finite where FP32 is, or nothing could be compared. Others: of the session. */
MD_NODISCARD enum md_code md_loaded_version_check_accuracy(struct md_loaded_version *version, const char *directory,
                                                           struct md_error *error);

#endif
