/* thread_pool.c - see thread_pool.h.
 *
 *   caller:  post the loop -> claim indices -> withdraw the loop -> wait for those who are still in it
 *   worker:  pick a loop -> claim indices -> leave it -> look around -> sleep
 *
 * Indices are claimed without the lock; joining and leaving a loop happen under it. So a loop that has been withdrawn
 * and has no helpers is known to nobody, and its caller's stack may go. */
#include "thread_pool.h"

#include "allocator.h"
#include "clock.h"
#include "mutex.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* How long a thread looks for work, or for the end of the others' work, before it sleeps. Measured on 2 cores: a worker
 * that looks joins within 1 us, one that sleeps after 9 to 35 us. The bound itself is a choice, not tuned. */
enum { LOOK_US = 50, LOOKS_PER_CLOCK = 16 };

struct loop {
    md_index_fn fn;
    void *context;
    size_t count;
    atomic_size_t next;    /* first index that nobody has claimed; relaxed: joining orders the rest */
    atomic_size_t helpers; /* changed with the lock held; release, so that its caller sees what they wrote */
    size_t slots_given;    /* this and the rest: with the lock held */
    size_t slot_limit;
    bool caller_sleeps;
    struct loop *before, *after;
};

struct md_thread_pool {
    const struct md_allocator *allocator;
    size_t threads;
    atomic_size_t callers; /* relaxed: a hint about the load */
    atomic_size_t helping; /* workers in loops; changed with the lock held, relaxed: as above */
    atomic_size_t posted;  /* loops so far; relaxed: who sees a new one takes the lock */
    struct {               /* touch only with synced.lock held */
        struct md_mutex lock;
        pthread_cond_t work; /* signalled when a loop is posted, or stopping is set */
        pthread_cond_t done; /* broadcast when a loop whose caller sleeps has no helpers any more */
        struct loop *first, *last;
        size_t sleeping, looking;
        bool stopping;
    } synced;
    size_t started; /* the creating thread only, as is the list */
    pthread_t workers[];
};

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Callers and helpers are more than the threads. */
static bool is_crowded(struct md_thread_pool *pool, size_t more)
{
    return atomic_load_explicit(&pool->callers, memory_order_relaxed) +
               atomic_load_explicit(&pool->helping, memory_order_relaxed) + more >
           pool->threads;
}

/* ---- loops ---- */

static bool is_open_locked(struct loop *loop)
{
    return loop->slots_given < loop->slot_limit &&
           atomic_load_explicit(&loop->next, memory_order_relaxed) < loop->count;
}

/* The open loop with the fewest helpers, the oldest of them. */
static struct loop *pick_locked(struct md_thread_pool *pool)
{
    struct loop *best = NULL;
    md_mutex_assert_held(&pool->synced.lock);
    if (is_crowded(pool, 1))
        return NULL;
    for (struct loop *loop = pool->synced.first; loop != NULL; loop = loop->after)
        if (is_open_locked(loop) && (best == NULL || loop->helpers < best->helpers))
            best = loop;
    return best;
}

static void post(struct md_thread_pool *pool, struct loop *loop)
{
    md_mutex_lock(&pool->synced.lock);
    loop->before = pool->synced.last;
    *(loop->before != NULL ? &loop->before->after : &pool->synced.first) = loop;
    pool->synced.last = loop;
    atomic_fetch_add_explicit(&pool->posted, 1, memory_order_relaxed);
    size_t wanted = loop->slot_limit - 1, awake = pool->synced.looking;
    for (size_t i = 0; i < pool->synced.sleeping && awake < wanted && !is_crowded(pool, awake + 1); i++, awake++)
        (void)pthread_cond_signal(&pool->synced.work); /* cannot fail */
    md_mutex_unlock(&pool->synced.lock);
}

static void withdraw(struct md_thread_pool *pool, struct loop *loop)
{
    md_mutex_lock(&pool->synced.lock);
    *(loop->before != NULL ? &loop->before->after : &pool->synced.first) = loop->after;
    *(loop->after != NULL ? &loop->after->before : &pool->synced.last) = loop->before;
    md_mutex_unlock(&pool->synced.lock);
}

/* After withdraw. The helpers are each within one call of fn. */
static void wait_for_helpers(struct md_thread_pool *pool, struct loop *loop)
{
    int64_t until_us = 0;
    for (size_t looks = 0; atomic_load_explicit(&loop->helpers, memory_order_acquire) > 0; looks++) {
        pause_briefly();
        if (looks % LOOKS_PER_CLOCK != 0)
            continue;
        const int64_t now_us = md_clock_us();
        until_us = looks == 0 ? now_us + LOOK_US : until_us;
        if (now_us >= until_us)
            break;
    }
    if (atomic_load_explicit(&loop->helpers, memory_order_acquire) == 0)
        return;
    md_mutex_lock(&pool->synced.lock);
    loop->caller_sleeps = true;
    while (loop->helpers > 0)
        (void)md_condition_wait(&pool->synced.done, &pool->synced.lock, INT64_MAX); /* no limit: cannot time out */
    md_mutex_unlock(&pool->synced.lock);
}

void md_parallel_for(struct md_thread_pool *pool, size_t count, md_index_fn fn, void *context)
{
    if (pool == NULL || count < 2 || is_crowded(pool, 1)) {
        for (size_t i = 0; i < count; i++)
            fn(context, i, 0);
        return;
    }
    struct loop loop = { .fn = fn,
                         .context = context,
                         .count = count,
                         .slots_given = 1,
                         .slot_limit = count < pool->threads ? count : pool->threads };
    post(pool, &loop);
    for (size_t i; (i = atomic_fetch_add_explicit(&loop.next, 1, memory_order_relaxed)) < count;)
        fn(context, i, 0);
    withdraw(pool, &loop);
    wait_for_helpers(pool, &loop);
}

void md_thread_pool_enter(struct md_thread_pool *pool)
{
    if (pool != NULL)
        atomic_fetch_add_explicit(&pool->callers, 1, memory_order_relaxed);
}

void md_thread_pool_leave(struct md_thread_pool *pool)
{
    if (pool != NULL)
        atomic_fetch_sub_explicit(&pool->callers, 1, memory_order_relaxed);
}

/* ---- workers ---- */

/* Works with and returns with the lock held, and without it in between. */
static void help_locked(struct md_thread_pool *pool, struct loop *loop)
{
    const size_t slot = loop->slots_given++;
    atomic_fetch_add_explicit(&loop->helpers, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&pool->helping, 1, memory_order_relaxed);
    md_mutex_unlock(&pool->synced.lock);
    for (size_t i; (i = atomic_fetch_add_explicit(&loop->next, 1, memory_order_relaxed)) < loop->count;) {
        loop->fn(loop->context, i, slot);
        if (is_crowded(pool, 0))
            break;
    }
    md_mutex_lock(&pool->synced.lock);
    atomic_fetch_sub_explicit(&pool->helping, 1, memory_order_relaxed);
    const bool wake = loop->caller_sleeps;
    /* The last look at the loop: from 0 helpers on it may be gone. */
    if (atomic_fetch_sub_explicit(&loop->helpers, 1, memory_order_release) == 1 && wake)
        (void)pthread_cond_broadcast(&pool->synced.done); /* cannot fail */
}

/* Nothing to look for: nobody is inside, or those who are fill the threads. */
static bool is_quiet(struct md_thread_pool *pool)
{
    return atomic_load_explicit(&pool->callers, memory_order_relaxed) == 0 || is_crowded(pool, 1);
}

/* Looks for a loop without holding the lock, which is held before and after. False: there is none, time to sleep. */
static bool look_around_locked(struct md_thread_pool *pool)
{
    const size_t seen = atomic_load_explicit(&pool->posted, memory_order_relaxed);
    bool found = false;
    pool->synced.looking++;
    md_mutex_unlock(&pool->synced.lock);
    const int64_t until_us = md_clock_us() + LOOK_US;
    for (size_t looks = 1; !found && !is_quiet(pool); looks++) {
        pause_briefly();
        found = atomic_load_explicit(&pool->posted, memory_order_relaxed) != seen;
        if (looks % LOOKS_PER_CLOCK == 0 && md_clock_us() >= until_us)
            break;
    }
    md_mutex_lock(&pool->synced.lock);
    pool->synced.looking--;
    return found || atomic_load_explicit(&pool->posted, memory_order_relaxed) != seen;
}

static void *work(void *argument)
{
    struct md_thread_pool *pool = argument;
    md_mutex_lock(&pool->synced.lock);
    while (!pool->synced.stopping) {
        struct loop *loop = pick_locked(pool);
        if (loop != NULL) {
            help_locked(pool, loop);
        } else if (!look_around_locked(pool) && !pool->synced.stopping) {
            pool->synced.sleeping++;
            (void)md_condition_wait(&pool->synced.work, &pool->synced.lock, INT64_MAX); /* cannot time out */
            pool->synced.sleeping--;
        }
    }
    md_mutex_unlock(&pool->synced.lock);
    return NULL;
}

/* ---- life ---- */

static enum md_code start_worker(struct md_thread_pool *pool, struct md_error *error)
{
    char name[16];
    pthread_t *worker = &pool->workers[pool->started];
    if (pthread_create(worker, NULL, work, pool) != 0)
        return md_fail(error, MD_RESOURCE_EXHAUSTED, "cannot start thread %zu of %zu", pool->started + 2, pool->threads);
    (void)snprintf(name, sizeof name, "compute-%zu", pool->started + 1); /* fits */
    (void)pthread_setname_np(*worker, name);                             /* a nameless thread works as well */
    pool->started++;
    return MD_OK;
}

enum md_code md_thread_pool_create(const struct md_allocator *allocator, size_t threads,
                                   struct md_thread_pool **out_pool, struct md_error *error)
{
    if (threads < 1 || threads > MD_MAX_THREADS)
        return md_fail(error, MD_INVALID_ARGUMENT, "%zu threads, limits are 1 to %d", threads, (int)MD_MAX_THREADS);
    struct md_thread_pool *pool =
        md_allocate_zeroed(allocator, 1, sizeof *pool + (threads - 1) * sizeof pool->workers[0]);
    if (pool == NULL)
        return md_fail_memory(error, "thread pool");
    pool->allocator = allocator;
    pool->threads = threads;
    md_mutex_init(&pool->synced.lock);
    md_condition_init(&pool->synced.work);
    md_condition_init(&pool->synced.done);
    enum md_code code = MD_OK;
    while (code == MD_OK && pool->started < threads - 1)
        code = start_worker(pool, error);
    if (code == MD_OK)
        *out_pool = pool;
    else
        md_thread_pool_destroy(pool);
    return code;
}

void md_thread_pool_destroy(struct md_thread_pool *pool)
{
    if (pool == NULL)
        return;
    md_mutex_lock(&pool->synced.lock);
    pool->synced.stopping = true;
    (void)pthread_cond_broadcast(&pool->synced.work); /* cannot fail */
    md_mutex_unlock(&pool->synced.lock);
    for (size_t i = 0; i < pool->started; i++)
        (void)pthread_join(pool->workers[i], NULL); /* fails only for a thread that is not ours */
    (void)pthread_cond_destroy(&pool->synced.work);
    (void)pthread_cond_destroy(&pool->synced.done);
    md_mutex_cleanup(&pool->synced.lock);
    md_release(pool->allocator, pool);
}

size_t md_thread_pool_threads(const struct md_thread_pool *pool)
{
    return pool == NULL ? 1 : pool->threads;
}
