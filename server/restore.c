/* restore.c - see restore.h. */
#include "restore.h"

#include "allocator.h"
#include "arena.h"
#include "log.h"
#include "model_manager.h"
#include "registry.h"
#include "repository.h"
#include "version_text.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { MAX_THREADS = 8 };

struct md_restore {
    struct md_restore_options options; /* immutable after create, as the list */
    struct md_arena arena;             /* names */
    struct md_lifecycle_request *list;
    size_t count;
    size_t capacity;
    size_t thread_count; /* the creating thread only */
    pthread_t threads[MAX_THREADS];
    atomic_size_t next;     /* relaxed: a ticket */
    atomic_size_t finished; /* acquire-release: who brings it to `count` sees all counters */
    atomic_size_t failed;   /* relaxed, see finished */
    atomic_bool stopping;   /* relaxed: a hint */
};

/* Adds a version that is not listed yet; its strings are the arena's or static. */
static enum md_code add(struct md_restore *restore, const struct md_lifecycle_request *request, struct md_error *error)
{
    for (size_t i = 0; i < restore->count; i++)
        if (restore->list[i].version == request->version && strcmp(restore->list[i].model, request->model) == 0)
            return MD_OK;
    if (restore->count == restore->capacity) {
        size_t capacity = restore->capacity == 0 ? 16 : restore->capacity * 2;
        struct md_lifecycle_request *grown =
            md_reallocate(restore->options.allocator, restore->list, restore->count * sizeof *grown,
                          capacity * sizeof *grown);
        if (grown == NULL)
            return md_fail_memory(error, "versions to load");
        restore->list = grown;
        restore->capacity = capacity;
    }
    restore->list[restore->count++] = *request;
    return MD_OK;
}

static enum md_code add_wanted(struct md_restore *restore, struct md_error *error)
{
    struct md_version_record *rows;
    size_t count;
    MD_TRY(md_registry_list_versions(restore->options.registry, NULL, &restore->arena, &rows, &count, error));
    for (size_t i = 0; i < count; i++)
        if (rows[i].desired) {
            const struct md_lifecycle_request request = { .model = rows[i].model, .version = rows[i].version,
                                                          .actor = "modeld", .action = "restore",
                                                          .precision = rows[i].precision };
            MD_TRY(add(restore, &request, error));
        }
    return MD_OK;
}

/* "name" or "name:version"; the highest version if none is named and the model exists. */
static enum md_code add_item(struct md_restore *restore, const char *item, size_t size,
                             struct md_error *error)
{
    char *name = md_arena_copy_string(&restore->arena, item, size);
    uint64_t version = 0, highest;
    const char *path;
    if (name == NULL)
        return md_fail_memory(error, "option \"load\"");
    char *colon = strchr(name, ':');
    if (colon != NULL) {
        *colon = '\0';
        enum md_code code = colon[1] == '\0' ? md_fail(error, MD_INVALID_ARGUMENT, "no version after \":\"")
                                             : md_version_parse(colon + 1, &version, error);
        if (code != MD_OK)
            return md_fail_prefix(error, code, "option \"load\", model \"%s\"", name);
    }
    enum md_code code = md_model_name_check(name, error);
    if (code != MD_OK)
        return md_fail_prefix(error, code, "option \"load\", item \"%s\"", name);
    if (version == 0 && md_repository_find_version(restore->options.repository, name, 0, &restore->arena,
                                                   &highest, &path, NULL) == MD_OK)
        version = highest; /* else the load itself says why not */
    const struct md_lifecycle_request request = { .model = name, .version = version, .actor = "option load",
                                                  .action = "load" };
    return add(restore, &request, error);
}

static enum md_code add_items(struct md_restore *restore, struct md_error *error)
{
    for (const char *item = restore->options.load; *item != '\0';) {
        size_t size = strcspn(item, ",");
        if (size > 0)
            MD_TRY(add_item(restore, item, size, error));
        item += size + (item[size] == ',' ? 1 : 0);
    }
    return MD_OK;
}

static enum md_code add_repository(struct md_restore *restore, struct md_error *error)
{
    const char *repository = restore->options.repository;
    const char *const *models;
    size_t model_count;
    MD_TRY(md_repository_list_models(repository, &restore->arena, &models, &model_count, error));
    for (size_t i = 0; i < model_count; i++) {
        uint64_t *versions;
        size_t count;
        MD_TRY(md_repository_list_versions(repository, models[i], &restore->arena, &versions, &count, error));
        for (size_t v = 0; v < count; v++) {
            const struct md_lifecycle_request request = { .model = models[i], .version = versions[v],
                                                          .actor = "option load-all", .action = "load" };
            MD_TRY(add(restore, &request, error));
        }
    }
    return MD_OK;
}

enum md_code md_restore_create(const struct md_restore_options *options, struct md_restore **out_restore,
                               struct md_error *error)
{
    struct md_restore *restore = md_allocate_zeroed(options->allocator, 1, sizeof *restore);
    if (restore == NULL)
        return md_fail_memory(error, "restore");
    restore->options = *options;
    md_arena_init(&restore->arena, options->allocator, 0);
    enum md_code code = add_wanted(restore, error);
    if (code == MD_OK)
        code = add_items(restore, error);
    if (code == MD_OK && options->load_all)
        code = add_repository(restore, error);
    if (code != MD_OK) {
        md_restore_destroy(restore);
        return code;
    }
    *out_restore = restore;
    return MD_OK;
}

/* False: the load failed. */
static bool load_one(struct md_restore *restore, const struct md_lifecycle_request *request)
{
    struct md_arena arena;
    struct md_error error;
    struct md_catalogue_state state;
    struct md_catalogue *catalogue = md_model_manager_catalogue(restore->options.manager);
    uint64_t version;
    md_arena_init(&arena, restore->options.allocator, 0);
    enum md_code code = md_model_manager_load(restore->options.manager, request, &arena, &version, &error);
    md_arena_cleanup(&arena);
    /* When not even the failure could be written, the row says what it said before; the catalogue must not
     * say LOADING for ever. ABORTED: somebody else loads it. */
    if (code != MD_OK && code != MD_ABORTED &&
        md_catalogue_find(catalogue, request->model, request->version, &state) &&
        state.state == MD_VERSION_LOADING)
        md_catalogue_set(catalogue, request->model, request->version, MD_VERSION_FAILED, error.message);
    return code == MD_OK || code == MD_ABORTED;
}

static void *work(void *owner)
{
    struct md_restore *restore = owner;
    for (;;) {
        size_t index = atomic_fetch_add_explicit(&restore->next, 1, memory_order_relaxed);
        if (index >= restore->count || atomic_load_explicit(&restore->stopping, memory_order_relaxed))
            return NULL;
        if (!load_one(restore, &restore->list[index]))
            atomic_fetch_add_explicit(&restore->failed, 1, memory_order_relaxed);
        size_t finished = atomic_fetch_add_explicit(&restore->finished, 1, memory_order_acq_rel) + 1;
        if (finished == restore->count) {
            size_t failed = atomic_load_explicit(&restore->failed, memory_order_relaxed);
            restore->options.on_done(restore->options.owner, finished - failed, failed);
        }
    }
}

enum md_code md_restore_start(struct md_restore *restore, struct md_error *error)
{
    size_t wanted = restore->options.thread_count;
    if (wanted > MAX_THREADS)
        wanted = MAX_THREADS;
    if (restore->count == 0)
        restore->options.on_done(restore->options.owner, 0, 0);
    for (size_t i = 0; i < wanted && i < restore->count; i++) {
        if (pthread_create(&restore->threads[i], NULL, work, restore) != 0)
            return i > 0 ? MD_OK
                         : md_fail(error, MD_RESOURCE_EXHAUSTED, "cannot start a thread that loads models");
        restore->thread_count++;
    }
    return MD_OK;
}

void md_restore_destroy(struct md_restore *restore)
{
    if (restore == NULL)
        return;
    atomic_store_explicit(&restore->stopping, true, memory_order_relaxed);
    for (size_t i = 0; i < restore->thread_count; i++)
        (void)pthread_join(restore->threads[i], NULL); /* fails only for a thread that is not ours */
    md_release(restore->options.allocator, restore->list);
    md_arena_cleanup(&restore->arena);
    md_release(restore->options.allocator, restore);
}
