/* added_tokens.h - tokens that are found in the text before the model sees it: tokenizer.json "added_tokens".
 *
 * Those with normalized false are looked for in the text as it came, the others in the normalized text (in
 * their normalized spelling). At each place the longest one wins. Threads: immutable after read. */
#ifndef MD_ADDED_TOKENS_H
#define MD_ADDED_TOKENS_H

#include "span.h"
#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct md_allocator;
struct md_json_value;
struct md_normalizer;
struct md_vocabulary;
struct md_working_memory;

struct md_added_token {
    char *content; /* owned; as it is looked for */
    size_t size;
    char *written; /* owned; as the file writes it */
    size_t written_size;
    int32_t id;
    uint32_t index; /* in the file */
    bool single_word; /* not inside a word */
    bool lstrip;      /* takes the white space before it along */
    bool rstrip;
    bool normalized;
    bool special; /* left out of decoded text */
};

/* The tokens of one of the two kinds, sorted by content. */
struct md_added_token_set {
    struct md_added_token *tokens;
    size_t count;
    uint64_t first_bytes[4]; /* bit set: a token starts with that byte */
};

struct md_added_tokens {
    const struct md_allocator *allocator;
    struct md_added_token_set raw;
    struct md_added_token_set normalized;
    const struct md_added_token **by_id; /* sorted by id */
    size_t id_limit; /* highest id + 1 */
};

/* json may be absent or null. INVALID_ARGUMENT: malformed, a content or an id twice, an id that contradicts
 * the vocabulary. Release with md_added_tokens_cleanup in any case. */
MD_NODISCARD enum md_code md_added_tokens_read(const struct md_allocator *allocator,
                                               const struct md_json_value *json,
                                               const struct md_vocabulary *vocabulary,
                                               const struct md_normalizer *normalizer,
                                               struct md_added_tokens *out_added, struct md_error *error);
/* NULL: no token has that id. */
const struct md_added_token *md_added_tokens_find(const struct md_added_tokens *added, int32_t id);
void md_added_tokens_cleanup(struct md_added_tokens *added);

/* Cuts the pieces of working->text at the tokens of the set. */
MD_NODISCARD enum md_code md_added_tokens_extract(const struct md_added_token_set *set,
                                                  struct md_working_memory *working, struct md_error *error);

#endif
