/* thread_pool.h - threads that help the callers of loops.
 *
 * A pool of N threads counts those who bring the work: it starts N - 1 workers. A caller always works on its own loop;
 * free workers join the loop that has the fewest of them, index by index, so that several callers share them evenly.
 * Callers say when they are busy (enter, leave): callers and workers at work are never more than N for longer than one
 * index takes. With N callers each has its own core, and nobody helps.
 *
 *     md_thread_pool_enter(pool);
 *     md_parallel_for(pool, ...);   many of these
 *     md_thread_pool_leave(pool);
 *
 * At rest every worker sleeps. While a caller is inside, a worker without work looks for the next loop for a few
 * microseconds before it goes to sleep.
 * Threads: all functions may be called from many threads at once, but destroy: nobody may be inside. Memory: the pool
 * alone; a loop lives on its caller's stack. A pool that is NULL is one thread: loops run inline. */
#ifndef MD_THREAD_POOL_H
#define MD_THREAD_POOL_H

#include "status.h"

#include <stddef.h>

struct md_allocator;
struct md_thread_pool;

enum { MD_MAX_THREADS = 1024 };

/* threads: 1 to MD_MAX_THREADS. OK: *out_pool is owned by the caller, who releases it with md_thread_pool_destroy.
 * INVALID_ARGUMENT: number of threads. RESOURCE_EXHAUSTED: memory, or the system starts no more threads. */
MD_NODISCARD enum md_code md_thread_pool_create(const struct md_allocator *allocator, size_t threads,
                                                struct md_thread_pool **out_pool, struct md_error *error);
void md_thread_pool_destroy(struct md_thread_pool *pool); /* NULL is allowed */

size_t md_thread_pool_threads(const struct md_thread_pool *pool); /* NULL: 1 */

/* The calling thread is busy until it leaves. NULL is allowed. */
void md_thread_pool_enter(struct md_thread_pool *pool);
void md_thread_pool_leave(struct md_thread_pool *pool);

/* Called once for each index, on the caller's thread or a worker's, without locks. Calls with the same `slot` never
 * overlap: slot 0 is the caller, and all slots are below the number of threads and below the count. */
typedef void (*md_index_fn)(void *context, size_t index, size_t slot);

/* Calls fn for 0 .. count - 1 and returns when all calls have. The caller has entered. fn may itself call this. */
void md_parallel_for(struct md_thread_pool *pool, size_t count, md_index_fn fn, void *context);

#endif
