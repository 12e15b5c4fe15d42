/* tokenizer.h - text into token ids, by a Hugging Face tokenizer.json.
 *
 * Format: the JSON that the `tokenizers` library writes (version 1.0). This build knows the models and steps listed in
 * text/README.md; others are refused at create with their names (UNIMPLEMENTED).
 * Threads: immutable after create; any number of threads may encode at once, each with its own encoding. */
#ifndef MD_TOKENIZER_H
#define MD_TOKENIZER_H

#include "span.h"
#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct md_allocator;
struct md_tokenizer;

/* One encoded text. Arrays belong to the encoding and are used again by the next md_tokenizer_encode. */
struct md_encoding {
    const struct md_allocator *allocator;
    size_t count;          /* tokens, special tokens included */
    size_t capacity;
    int32_t *ids;
    int32_t *type_ids;     /* 0 for the first text, 1 for the second of a pair */
    uint8_t *special;      /* 1 for tokens that the post-processor added */
    uint32_t *starts;      /* byte offsets into the text that the token came from; 0,0 for special tokens */
    uint32_t *ends;
    bool truncated;        /* tokens were cut to fit the limit */
    void *working_memory;  /* of the tokenizer */
};
void md_encoding_init(struct md_encoding *encoding, const struct md_allocator *allocator);
void md_encoding_cleanup(struct md_encoding *encoding);

/* json is borrowed for the call only. OK: *out_tokenizer is owned by the caller (md_tokenizer_destroy).
 * INVALID_ARGUMENT: malformed, with the JSON path. UNIMPLEMENTED: a part this build lacks, named. */
MD_NODISCARD enum md_code md_tokenizer_create(const struct md_allocator *allocator, const char *json, size_t size,
                                              struct md_tokenizer **out_tokenizer, struct md_error *error);
void md_tokenizer_destroy(struct md_tokenizer *tokenizer); /* NULL is allowed */

/* Encodes `text` (and `pair`, unless its bytes are NULL) with the special tokens of the post-processor.
 * max_tokens: upper limit besides tokenizer.json's own (0: only that one).
 * INVALID_ARGUMENT: not UTF-8, with the byte offset. RESOURCE_EXHAUSTED: memory. */
MD_NODISCARD enum md_code md_tokenizer_encode(const struct md_tokenizer *tokenizer, struct md_span text,
                                              struct md_span pair, size_t max_tokens, struct md_encoding *encoding,
                                              struct md_error *error);

/* Text made of tokens. Its memory is used again by the next md_tokenizer_decode. */
struct md_decoding {
    const struct md_allocator *allocator;
    struct md_span text;  /* valid until the next decode */
    void *working_memory; /* of the tokenizer */
};
void md_decoding_init(struct md_decoding *decoding, const struct md_allocator *allocator);
void md_decoding_cleanup(struct md_decoding *decoding);

/* Decodes ids as tokenizer.json's decoder says; without one, tokens with spaces between them. An id that no token has is
 * left out, and with skip_special so are special tokens. INVALID_ARGUMENT: a regular expression needs too many steps.
 * RESOURCE_EXHAUSTED: memory. */
MD_NODISCARD enum md_code md_tokenizer_decode(const struct md_tokenizer *tokenizer, const int32_t *ids, size_t count,
                                              bool skip_special, struct md_decoding *decoding, struct md_error *error);

/* Turns byte offsets of an encoding of `text` into offsets in characters (code points), in place. */
void md_encoding_count_characters(struct md_span text, uint32_t *offsets, size_t count);

/* The text of a token as the file writes it, borrowed until the tokenizer is destroyed; bytes NULL: no such id. */
struct md_span md_tokenizer_token(const struct md_tokenizer *tokenizer, int32_t id);
size_t md_tokenizer_vocabulary_size(const struct md_tokenizer *tokenizer); /* highest id + 1 */
int32_t md_tokenizer_pad_id(const struct md_tokenizer *tokenizer);         /* 0 when the file names none */

#endif
