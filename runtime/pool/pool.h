/* pool.h - the loaded model versions: who may use them, how long they live.
 *
 * A version is created by md_pool_load (slow: import, plan, warm up; on the calling thread, without any lock), becomes
 * visible in one step, is pinned by requests, and is destroyed when it has been unloaded and the last pin is gone.
 * The pool knows names and numbers; what ought to be loaded is the registry's affair.
 * Threads: every function may be called from any thread. Memory: each version has a counting allocator of its
 * own, so what it holds is known and all of it is given back. */
#ifndef MD_POOL_H
#define MD_POOL_H

#include "precision.h"
#include "status.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct md_allocator;
struct md_batch_queue;
struct md_pool;
struct md_run;
struct md_session;
struct md_task;
struct md_thread_pool;
struct md_version_counters;
struct md_loaded_version; /* one loaded model version; shared: refcounted */

/* thread_pool: helps the runs of every version; borrowed, must outlive the pool; NULL: a run is one thread. */
MD_NODISCARD enum md_code md_pool_create(const struct md_allocator *allocator, struct md_thread_pool *thread_pool,
                                         struct md_pool **out_pool, struct md_error *error);
/* Nothing may be pinned any more. NULL is allowed. */
void md_pool_destroy(struct md_pool *pool);

/* Before the first load: models with at least so many bytes of constants get a packed cache (session.h). 0, which it is at
 * first: none. */
void md_pool_keep_packed_caches(struct md_pool *pool, size_t from_bytes);

/* Called without locks, on the loading thread, when the version has been built and is about to be warmed up. */
typedef void (*md_pool_warming_fn)(void *owner);

struct md_pool_load_options {
    const enum md_precision *precision; /* NULL: what model.json says, else FP32 */
    md_pool_warming_fn on_warming;      /* may be NULL */
    void *owner;
};

/* Loads <directory>/model.onnx with its tokenizer.json, config.json, model.json as `model` version `version`, runs it
 * once to warm up, compares it with FP32 if it has another precision, and makes it visible. options may be NULL. A
 * version that is already loaded is replaced in one step: requests that have pinned the old one finish on it.
 * Errors: those of md_load_settings_read, md_session_open, md_task_create and the warm-up run;
 * FAILED_PRECONDITION: it differs from FP32 by more than its bound, or nothing could be compared. On failure what was
 * loaded stays as it was. */
MD_NODISCARD enum md_code md_pool_load(struct md_pool *pool, const char *model, uint64_t version, const char *directory,
                                       const struct md_pool_load_options *options, struct md_error *error);

/* Takes the version out of sight and waits until its last pin is gone and its memory is given back, at most until
 * deadline_us (md_clock_us). NOT_FOUND: not loaded. DEADLINE_EXCEEDED: out of sight, but still draining (it is
 * destroyed when the last pin goes). */
MD_NODISCARD enum md_code md_pool_unload(struct md_pool *pool, const char *model, uint64_t version, int64_t deadline_us,
                                         struct md_error *error);

/* Pins a version. version 0: the highest one that is loaded. NOT_FOUND: no such model or version is loaded (the
 * message says which versions are). OK: release with md_loaded_version_unpin. */
MD_NODISCARD enum md_code md_pool_pin(struct md_pool *pool, const char *model, uint64_t version,
                                      struct md_loaded_version **out_version, struct md_error *error);
void md_loaded_version_unpin(struct md_loaded_version *version);

/* While pinned: */
const char *md_loaded_version_model(const struct md_loaded_version *version);
uint64_t md_loaded_version_number(const struct md_loaded_version *version);
const struct md_session *md_loaded_version_session(const struct md_loaded_version *version);
const struct md_task *md_loaded_version_task(const struct md_loaded_version *version); /* NULL: tensors only */
size_t md_loaded_version_memory_bytes(const struct md_loaded_version *version);
/* What the version computes in, and how far from FP32 that was when it was loaded. */
struct md_accuracy {
    enum md_precision precision;
    const char *source; /* of the precision: "load", "model.json", "default"; static */
    double difference;  /* largest |difference| / largest |FP32 value|, of the worst output; FP32: 0 */
    double bound;       /* that it had to keep; FP32: 0 */
    const char *bound_source; /* "model.json", "default"; static */
};
struct md_accuracy md_loaded_version_accuracy(const struct md_loaded_version *version);
/* A run of the version's session from its free list, or a new one. Give it back before unpinning. */
MD_NODISCARD enum md_code md_loaded_version_take_run(struct md_loaded_version *version, struct md_run **out_run,
                                                     struct md_error *error);
void md_loaded_version_return_run(struct md_loaded_version *version, struct md_run *run);

/* Where its requests wait for their turn; see scheduler.h. */
struct md_batch_queue *md_loaded_version_queue(struct md_loaded_version *version);
/* What it has done since it was loaded; see version_counters.h. */
struct md_version_counters *md_loaded_version_counters(struct md_loaded_version *version);
/* How often requests of tensors that were run together have given the bits that they give alone; -1: they have not, and
 * never go together again. From MD_BATCH_PROOFS on they are trusted. Atomic: read and written by whoever runs them. */
enum { MD_BATCH_PROOFS = 3 };
atomic_int *md_loaded_version_proofs(struct md_loaded_version *version);

/* How long requests of the version take on a thread, in nanoseconds a byte of the request: a running mean, 0: not known
 * yet. Relaxed: an estimate. */
void md_loaded_version_learn(struct md_loaded_version *version, size_t request_bytes, int64_t elapsed_us);
/* Would a request of so many bytes be over in max_us, by that mean? False for versions that are not loaded. version 0: as
 * md_pool_pin. */
bool md_pool_is_quick(struct md_pool *pool, const char *model, uint64_t version, size_t request_bytes, int64_t max_us);

size_t md_pool_count(struct md_pool *pool); /* visible versions */

#endif
