/* model_catalogue.c - see model_catalogue.h. A sorted array would not pay: there are tens of versions, and a
 * request that finds its model loaded never asks here. */
#include "model_catalogue.h"

#include "allocator.h"
#include "mutex.h"
#include "nearest_name.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    char *model;                     /* owned */
    struct md_catalogue_state state; /* state.state 0: claimed, not known yet */
    const char *claim;               /* static text; NULL: free */
};

struct md_catalogue {
    const struct md_allocator *allocator; /* immutable */
    struct {
        struct md_mutex lock;
        struct entry *entries;
        size_t count;
        size_t capacity;
    } synced;
};

enum md_code md_catalogue_create(const struct md_allocator *allocator, struct md_catalogue **out_catalogue,
                                 struct md_error *error)
{
    struct md_catalogue *catalogue = md_allocate_zeroed(allocator, 1, sizeof *catalogue);
    if (catalogue == NULL)
        return md_fail_memory(error, "model catalogue");
    catalogue->allocator = allocator;
    md_mutex_init(&catalogue->synced.lock);
    *out_catalogue = catalogue;
    return MD_OK;
}

void md_catalogue_destroy(struct md_catalogue *catalogue)
{
    if (catalogue == NULL)
        return;
    for (size_t i = 0; i < catalogue->synced.count; i++)
        md_release(catalogue->allocator, catalogue->synced.entries[i].model);
    md_release(catalogue->allocator, catalogue->synced.entries);
    md_mutex_cleanup(&catalogue->synced.lock);
    md_release(catalogue->allocator, catalogue);
}

static struct entry *find_locked(struct md_catalogue *catalogue, const char *model, uint64_t version)
{
    md_mutex_assert_held(&catalogue->synced.lock);
    for (size_t i = 0; i < catalogue->synced.count; i++) {
        struct entry *entry = &catalogue->synced.entries[i];
        if (entry->state.version == version && strcmp(entry->model, model) == 0)
            return entry;
    }
    return NULL;
}

/* NULL when there is no memory. */
static struct entry *add_locked(struct md_catalogue *catalogue, const char *model, uint64_t version)
{
    size_t count = catalogue->synced.count;
    if (count == catalogue->synced.capacity) {
        size_t capacity = count == 0 ? 16 : count * 2;
        struct entry *grown = md_reallocate(catalogue->allocator, catalogue->synced.entries,
                                            count * sizeof *grown, capacity * sizeof *grown);
        if (grown == NULL)
            return NULL;
        catalogue->synced.entries = grown;
        catalogue->synced.capacity = capacity;
    }
    struct entry *entry = &catalogue->synced.entries[count];
    *entry =
        (struct entry){ .model = md_duplicate_string(catalogue->allocator, model), .state.version = version };
    if (entry->model == NULL)
        return NULL;
    catalogue->synced.count++;
    return entry;
}

enum md_code md_catalogue_claim(struct md_catalogue *catalogue, const char *model, uint64_t version,
                                const char *what, struct md_error *error)
{
    const char *busy = NULL;
    md_mutex_lock(&catalogue->synced.lock);
    struct entry *entry = find_locked(catalogue, model, version);
    if (entry == NULL)
        entry = add_locked(catalogue, model, version);
    else
        busy = entry->claim;
    if (entry != NULL && busy == NULL)
        entry->claim = what;
    md_mutex_unlock(&catalogue->synced.lock);
    if (busy != NULL)
        return md_fail(error, MD_ABORTED, "model \"%s\" version %" PRIu64 " %s", model, version, busy);
    return entry == NULL ? md_fail_memory(error, "model catalogue") : MD_OK;
}

void md_catalogue_release(struct md_catalogue *catalogue, const char *model, uint64_t version)
{
    md_mutex_lock(&catalogue->synced.lock);
    struct entry *entry = find_locked(catalogue, model, version);
    if (entry != NULL)
        entry->claim = NULL;
    md_mutex_unlock(&catalogue->synced.lock);
}

void md_catalogue_set(struct md_catalogue *catalogue, const char *model, uint64_t version,
                      enum md_version_state state, const char *reason)
{
    md_mutex_lock(&catalogue->synced.lock);
    struct entry *entry = find_locked(catalogue, model, version);
    if (entry != NULL) {
        entry->state.state = state;
        (void)snprintf(entry->state.reason, sizeof entry->state.reason, "%s",
                       reason == NULL ? "" : reason); /* cut: documented */
    }
    md_mutex_unlock(&catalogue->synced.lock);
}

static int rank_of(enum md_version_state state)
{
    static const int ranks[] = {
        [MD_VERSION_READY] = 6,    [MD_VERSION_WARMING] = 5, [MD_VERSION_LOADING] = 4,
        [MD_VERSION_DRAINING] = 3, [MD_VERSION_FAILED] = 2,  [MD_VERSION_UNLOADED] = 1
    };
    return ranks[state];
}

static bool is_better(const struct md_catalogue_state *state, const struct md_catalogue_state *best)
{
    int rank = rank_of(state->state), best_rank = rank_of(best->state);
    return rank > best_rank || (rank == best_rank && state->version > best->version);
}

bool md_catalogue_find(struct md_catalogue *catalogue, const char *model, uint64_t version,
                       struct md_catalogue_state *out_state)
{
    const struct md_catalogue_state *best = NULL;
    md_mutex_lock(&catalogue->synced.lock);
    for (size_t i = 0; i < catalogue->synced.count; i++) {
        const struct entry *entry = &catalogue->synced.entries[i];
        if (entry->state.state == 0 || (version != 0 && version != entry->state.version) ||
            strcmp(entry->model, model) != 0)
            continue;
        if (best == NULL || is_better(&entry->state, best))
            best = &entry->state;
    }
    if (best != NULL && out_state != NULL)
        *out_state = *best;
    md_mutex_unlock(&catalogue->synced.lock);
    return best != NULL;
}

static int compare_versions(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

enum md_code md_catalogue_ready_versions(struct md_catalogue *catalogue, const char *model,
                                         struct md_arena *arena, uint64_t **out_versions, size_t *out_count,
                                         struct md_error *error)
{
    size_t count = 0;
    md_mutex_lock(&catalogue->synced.lock);
    uint64_t *versions = md_arena_allocate(arena, (catalogue->synced.count + 1) * sizeof *versions);
    for (size_t i = 0; versions != NULL && i < catalogue->synced.count; i++) {
        const struct entry *entry = &catalogue->synced.entries[i];
        if (entry->state.state == MD_VERSION_READY && strcmp(entry->model, model) == 0)
            versions[count++] = entry->state.version;
    }
    md_mutex_unlock(&catalogue->synced.lock);
    if (versions == NULL)
        return md_fail_memory(error, "versions");
    qsort(versions, count, sizeof *versions, compare_versions);
    *out_versions = versions;
    *out_count = count;
    return MD_OK;
}

enum md_code md_catalogue_list(struct md_catalogue *catalogue, struct md_arena *arena,
                               struct md_catalogue_entry **out_entries, size_t *out_count, struct md_error *error)
{
    size_t count = 0;
    bool is_copied = true;
    md_mutex_lock(&catalogue->synced.lock);
    struct md_catalogue_entry *entries =
        md_arena_allocate_zeroed(arena, catalogue->synced.count + 1, sizeof *entries);
    for (size_t i = 0; entries != NULL && i < catalogue->synced.count; i++) {
        const struct entry *entry = &catalogue->synced.entries[i];
        if (entry->state.state == 0)
            continue;
        entries[count].model = md_arena_copy_string(arena, entry->model, strlen(entry->model));
        entries[count].state = entry->state;
        is_copied = is_copied && entries[count++].model != NULL;
    }
    md_mutex_unlock(&catalogue->synced.lock);
    if (entries == NULL || !is_copied)
        return md_fail_memory(error, "versions");
    *out_entries = entries;
    *out_count = count;
    return MD_OK;
}

const char *md_catalogue_nearest(struct md_catalogue *catalogue, const char *name, struct md_arena *arena)
{
    size_t count = 0;
    md_mutex_lock(&catalogue->synced.lock);
    const char **names = md_arena_allocate(arena, (catalogue->synced.count + 1) * sizeof *names);
    for (size_t i = 0; names != NULL && i < catalogue->synced.count; i++)
        if (catalogue->synced.entries[i].state.state != 0)
            names[count++] = md_arena_copy_string(arena, catalogue->synced.entries[i].model,
                                                  strlen(catalogue->synced.entries[i].model));
    md_mutex_unlock(&catalogue->synced.lock);
    for (size_t i = 0; i < count; i++)
        if (names[i] == NULL)
            return NULL;
    return names == NULL ? NULL : md_nearest_name(name, names, count);
}
