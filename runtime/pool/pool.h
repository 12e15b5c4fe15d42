/* pool.h - the loaded model versions: who may use them, how long they live.
 *
 * A version is created by md_pool_load (slow: import, plan, warm up; on the calling thread, without any lock), becomes
 * visible in one step, is pinned by requests, and is destroyed when it has been unloaded and the last pin is gone.
 * The pool knows names and numbers; what ought to be loaded is the registry's affair.
 * Threads: every function may be called from any thread. Memory: each version has a counting allocator of its
 * own, so what it holds is known and all of it is given back. */
#ifndef MD_POOL_H
#define MD_POOL_H

#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct md_allocator;
struct md_pool;
struct md_run;
struct md_session;
struct md_task;
struct md_loaded_version; /* one loaded model version; shared: refcounted */

MD_NODISCARD enum md_code md_pool_create(const struct md_allocator *allocator, struct md_pool **out_pool,
                                         struct md_error *error);
/* Nothing may be pinned any more. NULL is allowed. */
void md_pool_destroy(struct md_pool *pool);

/* Before the first load: models with at least so many bytes of constants get a packed cache (session.h). 0, which it is at
 * first: none. */
void md_pool_keep_packed_caches(struct md_pool *pool, size_t from_bytes);

/* Called without locks, on the loading thread, when the version has been built and is about to be warmed up. */
typedef void (*md_pool_warming_fn)(void *owner);

/* Loads <directory>/model.onnx with its tokenizer.json, config.json as `model` version `version`, runs it once to warm
 * up, and makes it visible. on_warming may be NULL. A version that is already loaded is replaced in one step: requests
 * that have pinned the old one finish on it.
 * Errors: those of md_session_open, md_task_create and the warm-up run. On failure what was
 * loaded stays as it was. */
MD_NODISCARD enum md_code md_pool_load(struct md_pool *pool, const char *model, uint64_t version, const char *directory,
                                       md_pool_warming_fn on_warming, void *owner, struct md_error *error);

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
/* A run of the version's session from its free list, or a new one. Give it back before unpinning. */
MD_NODISCARD enum md_code md_loaded_version_take_run(struct md_loaded_version *version, struct md_run **out_run,
                                                     struct md_error *error);
void md_loaded_version_return_run(struct md_loaded_version *version, struct md_run *run);

size_t md_pool_count(struct md_pool *pool); /* visible versions */

#endif
