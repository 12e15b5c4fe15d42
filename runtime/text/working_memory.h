/* working_memory.h - everything that one md_tokenizer_encode writes to; kept in the encoding and used again,
 * so that encoding allocates nothing once the memory has grown to the size of the texts.
 *
 *   original text --(added tokens)--> pieces --(normalizer)--> text + pieces --(added tokens,
 * pre-tokenizers)--> pieces
 *   --(model)--> tokens
 *
 * Threads: one at a time. */
#ifndef MD_WORKING_MEMORY_H
#define MD_WORKING_MEMORY_H

#include "regex.h"
#include "status.h"
#include "text_buffer.h"

struct md_working_memory;

enum { MD_NO_TOKEN = -1 };

/* A part of the text: an added token, or text that is still to be split and given to the model. */
struct md_piece {
    uint32_t start; /* bytes in working->text */
    uint32_t end;
    int32_t token;  /* id of an added token, or MD_NO_TOKEN */
};

struct md_token {
    int32_t id;
    uint32_t start; /* bytes in the original text */
    uint32_t end;
    uint32_t
        leading_spaces; /* of the token's own text; counted only for a post-processor that trims offsets */
    uint32_t trailing_spaces;
};

/* One growing array. */
struct md_array {
    void *items;
    size_t count;
    size_t capacity;
};

struct md_working_memory {
    const struct md_allocator *allocator;
    struct md_text_buffer text;       /* what pieces refer to */
    struct md_text_buffer next_text;  /* of the step that is under way */
    struct md_text_buffer between[2]; /* between two normalizers */
    struct md_array pieces;           /* struct md_piece */
    struct md_array next_pieces;
    struct md_array tokens;           /* struct md_token */
    struct md_array symbols;          /* of model_bpe.c */
    struct md_array merges;           /* of model_bpe.c: a heap */
    struct md_array steps;            /* of model_unigram.c */
    struct md_array decomposed;       /* these three: of normalizer_forms.c */
    struct md_array sorted;
    struct md_array marks;
    struct md_regex_match match;
    size_t max_tokens;                /* the model may stop once it has so many; SIZE_MAX: no limit */
};

/* NULL: no memory. */
struct md_working_memory *md_working_memory_create(const struct md_allocator *allocator);
void md_working_memory_destroy(struct md_working_memory *working); /* NULL is allowed */

/* Room for `extra` more items of item_size bytes; false: no memory. */
bool md_array_reserve(const struct md_allocator *allocator, struct md_array *array, size_t extra,
                      size_t item_size);

static inline struct md_piece *md_pieces(const struct md_array *array)
{
    return array->items;
}

static inline struct md_token *md_tokens(const struct md_array *array)
{
    return array->items;
}

/* Adds a piece to next_pieces unless it is empty. RESOURCE_EXHAUSTED: memory. */
MD_NODISCARD enum md_code md_working_memory_add_piece(struct md_working_memory *working, size_t start,
                                                      size_t end, int32_t token, struct md_error *error);
/* A token over bytes [start, end) of working->text. */
MD_NODISCARD enum md_code md_working_memory_add_token(struct md_working_memory *working, int32_t id,
                                                      size_t start, size_t end, struct md_error *error);
/* next_pieces become the pieces (and next_text the text). */
void md_working_memory_take_pieces(struct md_working_memory *working);
MD_NODISCARD enum md_code md_working_memory_take_text(struct md_working_memory *working,
                                                      struct md_error *error);

#endif
