/* vocabulary.h - tokens and their ids: a hash from bytes to id, and from id to bytes.
 *
 * The hash of a token can be built byte by byte, so a model that tries every prefix of a word hashes the word
 * once. Threads: immutable once it is filled. Memory: the allocator given at init. */
#ifndef MD_VOCABULARY_H
#define MD_VOCABULARY_H

#include "span.h"
#include "status.h"

#include <stddef.h>
#include <stdint.h>

struct md_allocator;
struct md_json_value;

enum { MD_MAX_TOKEN_ID = (1 << 24) - 1, MD_NO_ID = -1 };

struct md_vocabulary_entry {
    uint32_t offset; /* into text */
    uint32_t size;
    uint32_t hash;
    int32_t id;
};

struct md_vocabulary_slot {
    uint32_t hash;
    uint32_t entry; /* index + 1; 0: free */
};

struct md_vocabulary {
    const struct md_allocator *allocator;
    char *text; /* all tokens, one after the other */
    size_t text_size;
    size_t text_capacity;
    struct md_vocabulary_entry *entries;
    size_t count;
    size_t capacity;
    struct md_vocabulary_slot *slots;
    size_t slot_mask;
    uint32_t *by_id; /* entry index + 1; 0: no such id */
    size_t id_limit; /* highest id + 1 */
    size_t longest;  /* bytes of the longest token */
};

/* Reads the text of an object of token: id; `json` is for messages. INVALID_ARGUMENT: a wrong type, an id out of range,
 * a token or an id twice; with the path. On failure the vocabulary is empty; release with md_vocabulary_cleanup in any
 * case. */
MD_NODISCARD enum md_code md_vocabulary_read(const struct md_allocator *allocator, struct md_span text,
                                             const struct md_json_value *json, struct md_vocabulary *out_vocabulary,
                                             struct md_error *error);
void md_vocabulary_cleanup(struct md_vocabulary *vocabulary); /* a zeroed one is allowed */

/* Filling a vocabulary from elsewhere: start, with room for text_capacity bytes of all tokens together; add, with ids
 * up to MD_MAX_TOKEN_ID; finish. RESOURCE_EXHAUSTED: memory. */
MD_NODISCARD enum md_code md_vocabulary_start(struct md_vocabulary *vocabulary, const struct md_allocator *allocator,
                                              size_t text_capacity, struct md_error *error);
MD_NODISCARD enum md_code md_vocabulary_add(struct md_vocabulary *vocabulary, struct md_span token, int32_t id,
                                            struct md_error *error);
/* Where the next token may be written, before it is added from there. */
char *md_vocabulary_next(const struct md_vocabulary *vocabulary);
/* Of a token or an id that comes twice the later one holds; *out_twice is then an entry that does not, else NULL. */
MD_NODISCARD enum md_code md_vocabulary_finish(struct md_vocabulary *vocabulary,
                                               const struct md_vocabulary_entry **out_twice, struct md_error *error);

/* The id, or MD_NO_ID. */
int32_t md_vocabulary_find(const struct md_vocabulary *vocabulary, const char *bytes, size_t size);
/* bytes NULL: no such id. */
struct md_span md_vocabulary_token(const struct md_vocabulary *vocabulary, int32_t id);

/* FNV-1a, byte by byte; find with the hash of prefix + bytes, without gluing them together. */
static inline uint32_t md_vocabulary_hash_start(void)
{
    return 2166136261u;
}

static inline uint32_t md_vocabulary_hash_step(uint32_t hash, char byte)
{
    return (hash ^ (unsigned char)byte) * 16777619u;
}

static inline uint32_t md_vocabulary_hash(uint32_t hash, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        hash = md_vocabulary_hash_step(hash, bytes[i]);
    return hash;
}

int32_t md_vocabulary_find_hashed(const struct md_vocabulary *vocabulary, uint32_t hash,
                                  struct md_span prefix, const char *bytes, size_t size);

#endif
