/* loaded_version.c - see loaded_version.h. */
#include "loaded_version.h"

#include "load_settings.h"
#include "session.h"
#include "task.h"

#include <stdio.h>

enum { MAX_PATH_BYTES = 4096 };

enum md_code md_loaded_version_open_session(const struct md_pool *pool, const struct md_allocator *allocator,
                                            const char *directory, enum md_precision precision,
                                            size_t packed_cache_from_bytes, struct md_session **out_session,
                                            struct md_error *error)
{
    const struct md_session_options options = { .precision = precision,
                                                 .thread_pool = md_pool_thread_pool(pool),
                                                 .packed_cache_from_bytes = packed_cache_from_bytes };
    char path[MAX_PATH_BYTES];
    int size = snprintf(path, sizeof path, "%s/model.onnx", directory);
    if (size < 0 || (size_t)size >= sizeof path)
        return md_fail(error, MD_INVALID_ARGUMENT, "path \"%s/model.onnx\" is longer than %zu bytes",
                       directory, sizeof path - 1);
    return md_session_open(allocator, path, &options, out_session, error);
}

/* What the load asks for, else what model.json says. */
static enum md_code choose_precision(struct md_loaded_version *version, const char *directory,
                                     const enum md_precision *wanted, struct md_error *error)
{
    struct md_load_settings settings;
    MD_TRY(md_load_settings_read(&version->counting.allocator, directory, &settings, error));
    enum md_precision precision = wanted != NULL ? *wanted : settings.precision;
    version->accuracy = (struct md_accuracy){
        .precision = precision,
        .source = wanted != NULL ? "load" : settings.has_precision ? "model.json" : "default",
        .bound = precision == MD_PRECISION_FP32 ? 0 : settings.max_precision_difference[precision],
        .bound_source = settings.has_bound ? "model.json" : "default",
    };
    return MD_OK;
}

static enum md_code build(struct md_loaded_version *version, const char *directory, const enum md_precision *precision,
                          struct md_error *error)
{
    const struct md_allocator *allocator = &version->counting.allocator;
    MD_TRY(choose_precision(version, directory, precision, error));
    MD_TRY(md_loaded_version_open_session(version->pool, allocator, directory, version->accuracy.precision,
                                          md_pool_packed_cache_from_bytes(version->pool), &version->session, error));
    version->mapped_bytes = md_session_mapped_bytes(version->session);
    return md_task_create(allocator, directory, version->session, &version->task, error);
}

enum md_code md_loaded_version_create(struct md_pool *pool, const struct md_allocator *allocator,
                                      const char *model, uint64_t number, const char *directory,
                                      const enum md_precision *precision,
                                      struct md_loaded_version **out_version, struct md_error *error)
{
    struct md_loaded_version *version = md_allocate_zeroed(allocator, 1, sizeof *version);
    if (version == NULL)
        return md_fail_memory(error, "loaded version");
    md_counting_allocator_init(&version->counting, allocator);
    md_mutex_init(&version->synced.lock);
    version->pool = pool;
    version->number = number;
    version->model = md_duplicate_string(&version->counting.allocator, model);
    enum md_code code =
        version->model == NULL ? md_fail_memory(error, "loaded version") : build(version, directory, precision, error);
    if (code == MD_OK)
        *out_version = version;
    else
        md_loaded_version_destroy(version);
    return code;
}

void md_loaded_version_empty(struct md_loaded_version *version)
{
    const struct md_allocator *allocator = &version->counting.allocator;
    for (size_t i = 0; i < version->synced.free_count; i++)
        md_run_destroy(version->synced.free_runs[i]);
    md_release(allocator, version->synced.free_runs);
    version->synced.free_runs = NULL;
    version->synced.free_count = 0;
    md_task_destroy(version->task);
    version->task = NULL;
    md_session_destroy(version->session);
    version->session = NULL;
}

void md_loaded_version_destroy(struct md_loaded_version *version)
{
    if (version == NULL)
        return;
    md_loaded_version_empty(version);
    md_mutex_cleanup(&version->synced.lock);
    md_release(&version->counting.allocator, version->model);
    md_release(version->counting.parent, version);
}

/* ---- runs ---- */

/* Counts one more run and makes room for giving it back, so that giving back never fails. */
static bool reserve_run_locked(struct md_loaded_version *version)
{
    md_mutex_assert_held(&version->synced.lock);
    if (version->synced.run_count == version->synced.capacity) {
        size_t capacity = version->synced.capacity == 0 ? 8 : version->synced.capacity * 2;
        struct md_run **runs =
            md_reallocate(&version->counting.allocator, version->synced.free_runs,
                          version->synced.free_count * sizeof *runs, capacity * sizeof *runs);
        if (runs == NULL)
            return false;
        version->synced.free_runs = runs;
        version->synced.capacity = capacity;
    }
    version->synced.run_count++;
    return true;
}

enum md_code md_loaded_version_take_run(struct md_loaded_version *version, struct md_run **out_run,
                                        struct md_error *error)
{
    struct md_run *run = NULL;
    md_mutex_lock(&version->synced.lock);
    bool found = version->synced.free_count > 0;
    bool reserved = found || reserve_run_locked(version);
    if (found)
        run = version->synced.free_runs[--version->synced.free_count];
    md_mutex_unlock(&version->synced.lock);
    if (!reserved)
        return md_fail_memory(error, "run");
    if (!found) {
        enum md_code code = md_run_create(version->session, &run, error);
        if (code != MD_OK) {
            md_mutex_lock(&version->synced.lock);
            version->synced.run_count--;
            md_mutex_unlock(&version->synced.lock);
            return code;
        }
    }
    md_run_set_limits(run, NULL, INT64_MAX); /* the last user's are none of the next one's business */
    *out_run = run;
    return MD_OK;
}

void md_loaded_version_return_run(struct md_loaded_version *version, struct md_run *run)
{
    md_mutex_lock(&version->synced.lock);
    version->synced.free_runs[version->synced.free_count++] = run; /* reserve_run_locked made room */
    md_mutex_unlock(&version->synced.lock);
}

struct md_batch_queue *md_loaded_version_queue(struct md_loaded_version *version)
{
    return &version->queue;
}

struct md_version_counters *md_loaded_version_counters(struct md_loaded_version *version)
{
    return &version->counters;
}

atomic_int *md_loaded_version_proofs(struct md_loaded_version *version)
{
    return &version->proofs;
}

enum { LEAST_BYTES = 64, MEAN_OF = 8 };

void md_loaded_version_learn(struct md_loaded_version *version, size_t request_bytes, int64_t elapsed_us)
{
    const uint64_t bytes = request_bytes > LEAST_BYTES ? request_bytes : LEAST_BYTES;
    const uint64_t now = (uint64_t)(elapsed_us > 0 ? elapsed_us : 0) * 1000 / bytes + 1;
    const uint64_t before = atomic_load_explicit(&version->ns_per_byte, memory_order_relaxed);
    const uint64_t mean = before == 0 ? now : (before * (MEAN_OF - 1) + now) / MEAN_OF;
    atomic_store_explicit(&version->ns_per_byte, (uint_least32_t)(mean < UINT32_MAX ? mean : UINT32_MAX),
                          memory_order_relaxed);
}

/* ---- what it is ---- */

const char *md_loaded_version_model(const struct md_loaded_version *version)
{
    return version->model;
}

uint64_t md_loaded_version_number(const struct md_loaded_version *version)
{
    return version->number;
}

const struct md_session *md_loaded_version_session(const struct md_loaded_version *version)
{
    return version->session;
}

const struct md_task *md_loaded_version_task(const struct md_loaded_version *version)
{
    return version->task;
}

struct md_accuracy md_loaded_version_accuracy(const struct md_loaded_version *version)
{
    return version->accuracy;
}

size_t md_loaded_version_memory_bytes(const struct md_loaded_version *version)
{
    return atomic_load_explicit(&version->counting.live_bytes, memory_order_relaxed) + version->mapped_bytes;
}
