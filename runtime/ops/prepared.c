/* prepared.c - see prepared.h. */
#include "prepared.h"

#include "arena.h"

#include <string.h>

enum { FIRST_CAPACITY = 64 };

static enum md_code give_out(const struct md_configuration *configuration, const char *kind, size_t size,
                             void **out_bytes)
{
    struct md_prepared *prepared = configuration->prepared;
    const struct md_prepared_part *part = &prepared->parts[prepared->next];
    if (prepared->next == prepared->count || strcmp(part->kind, kind) != 0 || part->size != size)
        return md_fail(configuration->error, MD_INTERNAL, "part %zu of %zu is not the %zu bytes of \"%s\" wanted",
                       prepared->next, prepared->count, size, kind);
    prepared->next++;
    *out_bytes = (void *)(uintptr_t)part->bytes; /* the caller does not write to what is ready */
    return MD_OK;
}

static bool reserve(struct md_prepared *prepared, struct md_arena *arena)
{
    if (prepared->count < prepared->capacity)
        return true;
    size_t capacity = prepared->capacity == 0 ? FIRST_CAPACITY : prepared->capacity * 2;
    struct md_prepared_part *parts = md_arena_allocate_zeroed(arena, capacity, sizeof *parts);
    if (parts == NULL)
        return false;
    if (prepared->count > 0)
        memcpy(parts, prepared->parts, prepared->count * sizeof *parts);
    prepared->parts = parts;
    prepared->capacity = capacity;
    return true;
}

enum md_code md_prepared_take(const struct md_configuration *configuration, const char *kind, size_t size,
                              void **out_bytes, bool *out_ready)
{
    struct md_prepared *prepared = configuration->prepared;
    *out_ready = prepared != NULL && prepared->found;
    if (*out_ready)
        return give_out(configuration, kind, size, out_bytes);
    void *bytes = md_arena_allocate(configuration->arena, size);
    if (bytes == NULL || (prepared != NULL && !reserve(prepared, configuration->arena)))
        return md_fail_memory(configuration->error, "packed weights");
    if (prepared != NULL)
        prepared->parts[prepared->count++] = (struct md_prepared_part){ kind, bytes, size };
    *out_bytes = bytes;
    return MD_OK;
}

void md_constant_release(const struct md_configuration *configuration, size_t index)
{
    configuration->released[index] = true;
}
