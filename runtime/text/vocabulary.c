/* vocabulary.c - see vocabulary.h. */
#include "vocabulary.h"

#include "allocator.h"
#include "json_text.h"
#include "json_value.h"

#include <string.h>

/* FNV's low bits are weak for short tokens. */
static size_t slot_of(const struct md_vocabulary *vocabulary, uint32_t hash)
{
    return (hash ^ hash >> 15) & vocabulary->slot_mask;
}

int32_t md_vocabulary_find_hashed(const struct md_vocabulary *vocabulary, uint32_t hash,
                                  struct md_span prefix, const char *bytes, size_t size)
{
    if (vocabulary->count == 0)
        return MD_NO_ID;
    for (size_t slot = slot_of(vocabulary, hash);; slot = (slot + 1) & vocabulary->slot_mask) {
        struct md_vocabulary_slot found = vocabulary->slots[slot];
        if (found.entry == 0)
            return MD_NO_ID;
        if (found.hash != hash)
            continue;
        const struct md_vocabulary_entry *entry = &vocabulary->entries[found.entry - 1];
        if (entry->size != prefix.size + size)
            continue;
        const char *text = vocabulary->text + entry->offset;
        if ((prefix.size == 0 || memcmp(text, prefix.bytes, prefix.size) == 0) &&
            memcmp(text + prefix.size, bytes, size) == 0)
            return entry->id;
    }
}

int32_t md_vocabulary_find(const struct md_vocabulary *vocabulary, const char *bytes, size_t size)
{
    uint32_t hash = md_vocabulary_hash(md_vocabulary_hash_start(), bytes, size);
    return md_vocabulary_find_hashed(vocabulary, hash, (struct md_span){ NULL, 0 }, bytes, size);
}

struct md_span md_vocabulary_token(const struct md_vocabulary *vocabulary, int32_t id)
{
    if (id < 0 || (size_t)id >= vocabulary->id_limit || vocabulary->by_id[id] == 0)
        return (struct md_span){ NULL, 0 };
    const struct md_vocabulary_entry *entry = &vocabulary->entries[vocabulary->by_id[id] - 1];
    return (struct md_span){ vocabulary->text + entry->offset, entry->size };
}

/* ---- filling ---- */

enum md_code md_vocabulary_start(struct md_vocabulary *vocabulary, const struct md_allocator *allocator,
                                 size_t text_capacity, struct md_error *error)
{
    *vocabulary = (struct md_vocabulary){ .allocator = allocator };
    if (text_capacity > UINT32_MAX)
        return md_fail(error, MD_INVALID_ARGUMENT, "a vocabulary of %zu bytes, limit is %u", text_capacity, UINT32_MAX);
    vocabulary->text = md_allocate(allocator, text_capacity);
    vocabulary->text_capacity = text_capacity;
    return vocabulary->text != NULL ? MD_OK : md_fail_memory(error, "vocabulary");
}

char *md_vocabulary_next(const struct md_vocabulary *vocabulary)
{
    return vocabulary->text + vocabulary->text_size;
}

static enum md_code reserve_entry(struct md_vocabulary *vocabulary, struct md_error *error)
{
    if (vocabulary->count < vocabulary->capacity)
        return MD_OK;
    if (vocabulary->count > MD_MAX_TOKEN_ID)
        return md_fail(error, MD_INVALID_ARGUMENT, "more than %d tokens", MD_MAX_TOKEN_ID + 1);
    size_t item = sizeof *vocabulary->entries;
    size_t capacity = vocabulary->capacity == 0 ? 256 : vocabulary->capacity * 2;
    void *entries =
        md_reallocate(vocabulary->allocator, vocabulary->entries, vocabulary->count * item, capacity * item);
    if (entries == NULL)
        return md_fail_memory(error, "vocabulary");
    vocabulary->entries = entries;
    vocabulary->capacity = capacity;
    return MD_OK;
}

enum md_code md_vocabulary_add(struct md_vocabulary *vocabulary, struct md_span token, int32_t id,
                               struct md_error *error)
{
    MD_TRY(reserve_entry(vocabulary, error));
    char *text = md_vocabulary_next(vocabulary);
    if (token.size > 0 && token.bytes != text)
        memcpy(text, token.bytes, token.size);
    uint32_t hash = md_vocabulary_hash(md_vocabulary_hash_start(), text, token.size);
    vocabulary->entries[vocabulary->count++] =
        (struct md_vocabulary_entry){ (uint32_t)vocabulary->text_size, (uint32_t)token.size, hash, id };
    vocabulary->text_size += token.size;
    if ((size_t)id >= vocabulary->id_limit)
        vocabulary->id_limit = (size_t)id + 1;
    if (token.size > vocabulary->longest)
        vocabulary->longest = token.size;
    return MD_OK;
}

/* Gives what was reserved too much back; for both it is fine if that fails. */
static void shrink(struct md_vocabulary *vocabulary)
{
    const struct md_allocator *allocator = vocabulary->allocator;
    char *text = md_reallocate(allocator, vocabulary->text, vocabulary->text_size, vocabulary->text_size);
    if (text != NULL) {
        vocabulary->text = text;
        vocabulary->text_capacity = vocabulary->text_size;
    }
    size_t bytes = vocabulary->count * sizeof *vocabulary->entries;
    void *entries = md_reallocate(allocator, vocabulary->entries, bytes, bytes);
    if (entries != NULL) {
        vocabulary->entries = entries;
        vocabulary->capacity = vocabulary->count;
    }
}

/* The slot of the entry's token, or a free one. */
static struct md_vocabulary_slot *slot_for(const struct md_vocabulary *vocabulary,
                                           const struct md_vocabulary_entry *entry)
{
    size_t at = slot_of(vocabulary, entry->hash);
    for (; vocabulary->slots[at].entry != 0; at = (at + 1) & vocabulary->slot_mask) {
        const struct md_vocabulary_entry *other = &vocabulary->entries[vocabulary->slots[at].entry - 1];
        if (other->hash == entry->hash && other->size == entry->size &&
            memcmp(vocabulary->text + other->offset, vocabulary->text + entry->offset, entry->size) == 0)
            break;
    }
    return &vocabulary->slots[at];
}

enum md_code md_vocabulary_finish(struct md_vocabulary *vocabulary, const struct md_vocabulary_entry **out_twice,
                                  struct md_error *error)
{
    size_t slots = 16;
    while (slots < vocabulary->count * 2)
        slots *= 2;
    shrink(vocabulary);
    const struct md_allocator *allocator = vocabulary->allocator;
    vocabulary->slot_mask = slots - 1;
    vocabulary->slots = md_allocate_zeroed(allocator, slots, sizeof *vocabulary->slots);
    vocabulary->by_id = md_allocate_zeroed(allocator, vocabulary->id_limit, sizeof *vocabulary->by_id);
    if (vocabulary->slots == NULL || vocabulary->by_id == NULL)
        return md_fail_memory(error, "vocabulary");
    *out_twice = NULL;
    for (size_t i = 0; i < vocabulary->count; i++) {
        const struct md_vocabulary_entry *entry = &vocabulary->entries[i];
        struct md_vocabulary_slot *slot = slot_for(vocabulary, entry);
        uint32_t *by_id = &vocabulary->by_id[entry->id];
        if (slot->entry != 0 || *by_id != 0)
            *out_twice = &vocabulary->entries[(slot->entry != 0 ? slot->entry : *by_id) - 1];
        *slot = (struct md_vocabulary_slot){ entry->hash, (uint32_t)i + 1 };
        *by_id = (uint32_t)i + 1;
    }
    return MD_OK;
}

/* ---- JSON ---- */

enum { MAX_SHOWN = 100 };

/* The token as the key of a path. */
static struct md_json_value value_of(const struct md_json_value *json, struct md_span token, char key[MAX_SHOWN + 1])
{
    size_t size = token.size < MAX_SHOWN ? token.size : MAX_SHOWN;
    memcpy(key, token.bytes, size);
    key[size] = '\0';
    return (struct md_json_value){ .parent = json, .key = key };
}

static enum md_code read_member(struct md_json_text *text, const struct md_json_value *json,
                                struct md_vocabulary *vocabulary, struct md_error *error)
{
    char key[MAX_SHOWN + 1];
    struct md_span token = { md_vocabulary_next(vocabulary), 0 };
    if (!md_json_text_string(text, md_vocabulary_next(vocabulary), &token.size))
        return md_json_fail(json, error, MD_INVALID_ARGUMENT, "token %zu has half a surrogate pair", vocabulary->count);
    md_json_text_colon(text);
    int64_t id;
    struct md_json_value value = value_of(json, token, key);
    MD_TRY(md_json_text_integer(text, &value, 0, MD_MAX_TOKEN_ID, &id, error));
    return md_vocabulary_add(vocabulary, token, (int32_t)id, error);
}

static enum md_code fail_twice(const struct md_vocabulary *vocabulary, const struct md_vocabulary_entry *twice,
                               const struct md_json_value *json, struct md_error *error)
{
    char key[MAX_SHOWN + 1];
    char other[MAX_SHOWN + 1];
    struct md_span first = { vocabulary->text + twice->offset, twice->size };
    struct md_span second = md_vocabulary_token(vocabulary, twice->id);
    if (md_vocabulary_find(vocabulary, first.bytes, first.size) != twice->id || md_span_equal(first, second)) {
        struct md_json_value value = value_of(json, first, key);
        return md_json_fail(&value, error, MD_INVALID_ARGUMENT, "twice");
    }
    struct md_json_value value = value_of(json, second, key);
    (void)value_of(json, first, other); /* for the copy that ends in a NUL */
    return md_json_fail(&value, error, MD_INVALID_ARGUMENT, "id %d is also that of \"%s\"", twice->id, other);
}

static enum md_code read_object(struct md_json_text *text, const struct md_json_value *json,
                                struct md_vocabulary *vocabulary, struct md_error *error)
{
    const struct md_vocabulary_entry *twice;
    md_json_text_enter(text);
    while (md_json_text_next(text))
        MD_TRY(read_member(text, json, vocabulary, error));
    MD_TRY(md_vocabulary_finish(vocabulary, &twice, error));
    return twice == NULL ? MD_OK : fail_twice(vocabulary, twice, json, error);
}

enum md_code md_vocabulary_read(const struct md_allocator *allocator, struct md_span text,
                                const struct md_json_value *json, struct md_vocabulary *out_vocabulary,
                                struct md_error *error)
{
    struct md_json_text at = md_json_text_of(text);
    if (md_json_text_peek(&at) != '{')
        return md_json_text_wrong_type(&at, json, "an object", error);
    struct md_vocabulary vocabulary;
    enum md_code code = md_vocabulary_start(&vocabulary, allocator, text.size, error);
    if (code == MD_OK)
        code = read_object(&at, json, &vocabulary, error);
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
