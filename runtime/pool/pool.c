/* pool.c - see pool.h.
 *
 *   load -> [visible] -- replaced or unloaded --> [draining] -- last pin gone --> destroyed, waiters woken
 *
 * Both lists and the reference counts are under one lock, which is held for a few instructions; building and
 * destroying a version happen without it. */
#include "loaded_version.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

struct md_pool {
    const struct md_allocator *allocator;
    struct md_thread_pool *thread_pool;     /* borrowed, or NULL */
    size_t packed_cache_from_bytes;         /* immutable after the first load */
    struct {                                /* touch only with synced.lock held */
        struct md_mutex lock;
        pthread_cond_t drained;             /* signalled when a version has left `draining` */
        struct md_loaded_version *visible;
        struct md_loaded_version *draining; /* out of sight, pinned or being destroyed */
        uint64_t last_serial;
    } synced;
};

/* ---- lists ---- */

/* The link that points to the version, or to NULL at the end. */
static struct md_loaded_version **find_link_locked(struct md_pool *pool, const char *model, uint64_t number)
{
    md_mutex_assert_held(&pool->synced.lock);
    struct md_loaded_version **link = &pool->synced.visible;
    while (*link != NULL && ((*link)->number != number || strcmp((*link)->model, model) != 0))
        link = &(*link)->next;
    return link;
}

static struct md_loaded_version *find_highest_locked(struct md_pool *pool, const char *model)
{
    md_mutex_assert_held(&pool->synced.lock);
    struct md_loaded_version *highest = NULL;
    for (struct md_loaded_version *v = pool->synced.visible; v != NULL; v = v->next)
        if (strcmp(v->model, model) == 0 && (highest == NULL || v->number > highest->number))
            highest = v;
    return highest;
}

/* Takes the version at *link out of sight. Its visible reference is now the caller's to drop. */
static struct md_loaded_version *hide_locked(struct md_pool *pool, struct md_loaded_version **link)
{
    md_mutex_assert_held(&pool->synced.lock);
    struct md_loaded_version *version = *link;
    *link = version->next;
    version->next = pool->synced.draining;
    pool->synced.draining = version;
    return version;
}

static bool is_draining_locked(struct md_pool *pool, uint64_t serial)
{
    md_mutex_assert_held(&pool->synced.lock);
    struct md_loaded_version *version = pool->synced.draining;
    while (version != NULL && version->serial != serial)
        version = version->next;
    return version != NULL;
}

/* ---- references ---- */

/* Gives back what a version holds, then takes it out of `draining` and wakes those who wait for that. */
static void finish(struct md_pool *pool, struct md_loaded_version *version)
{
    md_loaded_version_empty(version);
    (void)malloc_trim(0); /* freed blocks go back to the system now, not when the heap shrinks by chance */
    md_mutex_lock(&pool->synced.lock);
    struct md_loaded_version **link = &pool->synced.draining;
    while (*link != version)
        link = &(*link)->next;
    *link = version->next;
    (void)pthread_cond_broadcast(&pool->synced.drained); /* cannot fail */
    md_mutex_unlock(&pool->synced.lock);
    md_loaded_version_destroy(version); /* memory of the pool's allocator, which outlives the pool */
}

static void drop_reference(struct md_pool *pool, struct md_loaded_version *version)
{
    md_mutex_lock(&pool->synced.lock);
    bool last = --version->references == 0;
    md_mutex_unlock(&pool->synced.lock);
    if (last)
        finish(pool, version);
}

/* Waits until the version of that serial number has gone. False: the deadline came first. */
static bool wait_until_gone_locked(struct md_pool *pool, uint64_t serial, int64_t deadline_us)
{
    md_mutex_assert_held(&pool->synced.lock);
    while (is_draining_locked(pool, serial))
        if (md_condition_wait(&pool->synced.drained, &pool->synced.lock, deadline_us) == ETIMEDOUT)
            return !is_draining_locked(pool, serial);
    return true;
}

/* ---- life ---- */

void md_pool_keep_packed_caches(struct md_pool *pool, size_t from_bytes)
{
    pool->packed_cache_from_bytes = from_bytes;
}

size_t md_pool_packed_cache_from_bytes(const struct md_pool *pool)
{
    return pool->packed_cache_from_bytes;
}

enum md_code md_pool_create(const struct md_allocator *allocator, struct md_thread_pool *thread_pool,
                            struct md_pool **out_pool, struct md_error *error)
{
    struct md_pool *pool = md_allocate_zeroed(allocator, 1, sizeof *pool);
    if (pool == NULL)
        return md_fail_memory(error, "pool");
    pool->allocator = allocator;
    pool->thread_pool = thread_pool;
    md_mutex_init(&pool->synced.lock);
    md_condition_init(&pool->synced.drained);
    *out_pool = pool;
    return MD_OK;
}

struct md_thread_pool *md_pool_thread_pool(const struct md_pool *pool)
{
    return pool->thread_pool;
}

void md_pool_destroy(struct md_pool *pool)
{
    if (pool == NULL)
        return;
    md_mutex_lock(&pool->synced.lock);
    while (pool->synced.visible != NULL) {
        struct md_loaded_version *version = hide_locked(pool, &pool->synced.visible);
        md_mutex_unlock(&pool->synced.lock);
        drop_reference(pool, version);
        md_mutex_lock(&pool->synced.lock);
    }
    while (pool->synced.draining != NULL) /* another thread is in finish */
        (void)md_condition_wait(&pool->synced.drained, &pool->synced.lock, INT64_MAX);
    md_mutex_unlock(&pool->synced.lock);
    (void)pthread_cond_destroy(&pool->synced.drained); /* nobody waits */
    md_mutex_cleanup(&pool->synced.lock);
    md_release(pool->allocator, pool);
}

/* ---- loading ---- */

/* Makes the version visible; the one that it replaces goes when its pins have gone. */
static void publish(struct md_pool *pool, struct md_loaded_version *version)
{
    struct md_loaded_version *replaced = NULL;
    md_mutex_lock(&pool->synced.lock);
    struct md_loaded_version **link = find_link_locked(pool, version->model, version->number);
    if (*link != NULL)
        replaced = hide_locked(pool, link);
    version->references = 1;
    version->serial = ++pool->synced.last_serial;
    version->next = pool->synced.visible;
    pool->synced.visible = version;
    md_mutex_unlock(&pool->synced.lock);
    if (replaced != NULL)
        drop_reference(pool, replaced);
}

enum md_code md_pool_load(struct md_pool *pool, const char *model, uint64_t version, const char *directory,
                          const struct md_pool_load_options *options, struct md_error *error)
{
    if (version == 0)
        return md_fail(error, MD_INVALID_ARGUMENT, "model \"%s\": version 0; versions count from 1", model);
    static const struct md_pool_load_options defaults = { .precision = NULL };
    if (options == NULL)
        options = &defaults;
    struct md_loaded_version *loaded = NULL;
    MD_TRY(md_loaded_version_create(pool, pool->allocator, model, version, directory, options->precision, &loaded,
                                    error));
    if (options->on_warming != NULL)
        options->on_warming(options->owner);
    enum md_code code = md_loaded_version_warm_up(loaded, error);
    if (code == MD_OK && loaded->accuracy.precision != MD_PRECISION_FP32) {
        code = md_loaded_version_check_accuracy(loaded, directory, error);
        (void)malloc_trim(0); /* as in finish: of the FP32 session */
    }
    if (code == MD_OK) {
        publish(pool, loaded);
        return MD_OK;
    }
    md_loaded_version_destroy(loaded);
    (void)malloc_trim(0); /* as in finish */
    return code;
}

/* ---- finding ---- */

/* "model "x" version 3 is not loaded; loaded: 1, 2" */
static enum md_code fail_not_loaded_locked(struct md_pool *pool, const char *model, uint64_t number,
                                           struct md_error *error)
{
    md_mutex_assert_held(&pool->synced.lock);
    char versions[256] = "";
    size_t used = 0;
    for (struct md_loaded_version *v = pool->synced.visible; v != NULL && used < sizeof versions;
         v = v->next) {
        if (strcmp(v->model, model) != 0)
            continue;
        int size = snprintf(versions + used, sizeof versions - used, used == 0 ? "%" PRIu64 : ", %" PRIu64,
                            v->number);
        used += size < 0 ? sizeof versions : (size_t)size;
    }
    if (used == 0)
        return md_fail(error, MD_NOT_FOUND, "model \"%s\" is not loaded", model);
    return md_fail(error, MD_NOT_FOUND, "model \"%s\" version %" PRIu64 " is not loaded; loaded: %s", model,
                   number, versions);
}

enum md_code md_pool_unload(struct md_pool *pool, const char *model, uint64_t version, int64_t deadline_us,
                            struct md_error *error)
{
    md_mutex_lock(&pool->synced.lock);
    struct md_loaded_version **link = find_link_locked(pool, model, version);
    if (*link == NULL) {
        enum md_code code = fail_not_loaded_locked(pool, model, version, error);
        md_mutex_unlock(&pool->synced.lock);
        return code;
    }
    struct md_loaded_version *hidden = hide_locked(pool, link);
    uint64_t serial = hidden->serial;
    md_mutex_unlock(&pool->synced.lock);
    drop_reference(pool, hidden);
    md_mutex_lock(&pool->synced.lock);
    bool gone = wait_until_gone_locked(pool, serial, deadline_us);
    md_mutex_unlock(&pool->synced.lock);
    if (gone)
        return MD_OK;
    return md_fail(error, MD_DEADLINE_EXCEEDED,
                   "model \"%s\" version %" PRIu64 " takes no more requests, but still has some to finish",
                   model, version);
}

enum md_code md_pool_pin(struct md_pool *pool, const char *model, uint64_t version,
                         struct md_loaded_version **out_version, struct md_error *error)
{
    enum md_code code = MD_OK;
    md_mutex_lock(&pool->synced.lock);
    struct md_loaded_version *found =
        version == 0 ? find_highest_locked(pool, model) : *find_link_locked(pool, model, version);
    if (found != NULL) {
        found->references++;
        *out_version = found;
    } else {
        code = fail_not_loaded_locked(pool, model, version, error);
    }
    md_mutex_unlock(&pool->synced.lock);
    return code;
}

void md_loaded_version_unpin(struct md_loaded_version *version)
{
    drop_reference(version->pool, version);
}

bool md_pool_is_quick(struct md_pool *pool, const char *model, uint64_t version, size_t request_bytes, int64_t max_us)
{
    struct md_loaded_version *found;
    if (md_pool_pin(pool, model, version, &found, NULL) != MD_OK)
        return false;
    const uint64_t mean = atomic_load_explicit(&found->ns_per_byte, memory_order_relaxed);
    md_loaded_version_unpin(found);
    return mean > 0 && (double)mean * (double)request_bytes < (double)max_us * 1000.0;
}

size_t md_pool_count(struct md_pool *pool)
{
    size_t count = 0;
    md_mutex_lock(&pool->synced.lock);
    for (struct md_loaded_version *v = pool->synced.visible; v != NULL; v = v->next)
        count++;
    md_mutex_unlock(&pool->synced.lock);
    return count;
}
