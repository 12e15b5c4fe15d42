/* vocabulary.c - see vocabulary.h. */
#include "vocabulary.h"

#include "allocator.h"
#include "json_value.h"

#include <string.h>

/* FNV's low bits are weak for short tokens. */
static size_t slot_of(const struct md_vocabulary *vocabulary, uint32_t hash)
{
    return (hash ^ hash >> 15) & vocabulary->slot_mask;
}

static uint32_t hash_of(const char *bytes, size_t size)
{
    uint32_t hash = md_vocabulary_hash_start();
    for (size_t i = 0; i < size; i++)
        hash = md_vocabulary_hash_step(hash, bytes[i]);
    return hash;
}

int32_t md_vocabulary_find_hashed(const struct md_vocabulary *vocabulary, uint32_t hash,
                                  struct md_span prefix, const char *bytes, size_t size)
{
    if (vocabulary->count == 0)
        return MD_NO_ID;
    for (size_t slot = slot_of(vocabulary, hash);; slot = (slot + 1) & vocabulary->slot_mask) {
        uint32_t index = vocabulary->slots[slot];
        if (index == 0)
            return MD_NO_ID;
        const struct md_vocabulary_entry *entry = &vocabulary->entries[index - 1];
        if (entry->hash != hash || entry->size != prefix.size + size)
            continue;
        const char *text = vocabulary->text + entry->offset;
        if ((prefix.size == 0 || memcmp(text, prefix.bytes, prefix.size) == 0) &&
            memcmp(text + prefix.size, bytes, size) == 0)
            return entry->id;
    }
}

int32_t md_vocabulary_find(const struct md_vocabulary *vocabulary, const char *bytes, size_t size)
{
    return md_vocabulary_find_hashed(vocabulary, hash_of(bytes, size), (struct md_span){ NULL, 0 }, bytes,
                                     size);
}

struct md_span md_vocabulary_token(const struct md_vocabulary *vocabulary, int32_t id)
{
    if (id < 0 || (size_t)id >= vocabulary->id_limit || vocabulary->by_id[id] == 0)
        return (struct md_span){ NULL, 0 };
    const struct md_vocabulary_entry *entry = &vocabulary->entries[vocabulary->by_id[id] - 1];
    return (struct md_span){ vocabulary->text + entry->offset, entry->size };
}

/* Sizes, types and ranges, before anything is allocated. */
static enum md_code measure(const struct md_json_value *json, struct md_vocabulary *vocabulary,
                            struct md_error *error)
{
    MD_TRY(md_json_expect(json, JSON_OBJECT, error));
    size_t bytes = 0;
    const char *key;
    json_t *item;
    json_object_foreach((json_t *)(uintptr_t)json->json, key, item) { /* the macro wants a mutable object */
        struct md_json_value value = { .json = item, .parent = json, .key = key };
        int64_t id;
        MD_TRY(md_json_integer(&value, 0, MD_MAX_TOKEN_ID, &id, error));
        if ((size_t)id >= vocabulary->id_limit)
            vocabulary->id_limit = (size_t)id + 1;
        bytes += strlen(key);
        vocabulary->capacity++;
    }
    if (bytes > UINT32_MAX || vocabulary->capacity > MD_MAX_TOKEN_ID)
        return md_json_fail(json, error, MD_INVALID_ARGUMENT, "%zu tokens of %zu bytes, limits are %d and %u",
                            vocabulary->capacity, bytes, MD_MAX_TOKEN_ID, UINT32_MAX);
    vocabulary->text_size = bytes;
    return MD_OK;
}

static enum md_code allocate(struct md_vocabulary *vocabulary, struct md_error *error)
{
    size_t slots = 16;
    while (slots < vocabulary->capacity * 2)
        slots *= 2;
    const struct md_allocator *allocator = vocabulary->allocator;
    vocabulary->slot_mask = slots - 1;
    vocabulary->text = md_allocate(allocator, vocabulary->text_size);
    vocabulary->entries = md_allocate_zeroed(allocator, vocabulary->capacity, sizeof *vocabulary->entries);
    vocabulary->slots = md_allocate_zeroed(allocator, slots, sizeof *vocabulary->slots);
    vocabulary->by_id = md_allocate_zeroed(allocator, vocabulary->id_limit, sizeof *vocabulary->by_id);
    if (vocabulary->text == NULL || vocabulary->entries == NULL || vocabulary->slots == NULL ||
        vocabulary->by_id == NULL)
        return md_fail_memory(error, "vocabulary");
    return MD_OK;
}

static enum md_code fill(const struct md_json_value *json, struct md_vocabulary *vocabulary,
                         struct md_error *error)
{
    size_t offset = 0;
    const char *key;
    json_t *item;
    json_object_foreach((json_t *)(uintptr_t)json->json, key, item) { /* the macro wants a mutable object */
        size_t size = strlen(key);
        int32_t id = (int32_t)json_integer_value(item); /* measure has checked it */
        if (vocabulary->by_id[id] != 0) {
            struct md_span other = md_vocabulary_token(vocabulary, id);
            struct md_json_value value = { .json = item, .parent = json, .key = key };
            return md_json_fail(&value, error, MD_INVALID_ARGUMENT, "id %d is also that of \"%.*s\"", id,
                                (int)(other.size < 100 ? other.size : 100), other.bytes);
        }
        memcpy(vocabulary->text + offset, key, size);
        uint32_t hash = hash_of(key, size);
        vocabulary->entries[vocabulary->count++] =
            (struct md_vocabulary_entry){ (uint32_t)offset, (uint32_t)size, hash, id };
        vocabulary->by_id[id] = (uint32_t)vocabulary->count;
        size_t slot = slot_of(vocabulary, hash);
        while (vocabulary->slots[slot] != 0)
            slot = (slot + 1) & vocabulary->slot_mask;
        vocabulary->slots[slot] = (uint32_t)vocabulary->count;
        if (size > vocabulary->longest)
            vocabulary->longest = size;
        offset += size;
    }
    return MD_OK;
}

enum md_code md_vocabulary_read(const struct md_allocator *allocator, const struct md_json_value *json,
                                struct md_vocabulary *out_vocabulary, struct md_error *error)
{
    struct md_vocabulary vocabulary = { .allocator = allocator };
    enum md_code code = measure(json, &vocabulary, error);
    if (code == MD_OK)
        code = allocate(&vocabulary, error);
    if (code == MD_OK)
        code = fill(json, &vocabulary, error);
    if (code == MD_OK)
        *out_vocabulary = vocabulary;
    else
        md_vocabulary_cleanup(&vocabulary);
    return code;
}

void md_vocabulary_cleanup(struct md_vocabulary *vocabulary)
{
    if (vocabulary->allocator == NULL)
        return;
    md_release(vocabulary->allocator, vocabulary->text);
    md_release(vocabulary->allocator, vocabulary->entries);
    md_release(vocabulary->allocator, vocabulary->slots);
    md_release(vocabulary->allocator, vocabulary->by_id);
    *vocabulary = (struct md_vocabulary){ 0 };
}
