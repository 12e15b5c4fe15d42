/* decoder.h - tokens back into text: tokenizer.json "decoder".
 *
 * Each step makes a list of strings of the one before it; at the end they are joined. Read into a flat list (a Sequence
 * is several steps). Adding a kind is a row in decoder.c. Threads: immutable after read. */
#ifndef MD_DECODER_H
#define MD_DECODER_H

#include "regex.h"
#include "span.h"
#include "status.h"
#include "working_memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct md_allocator;
struct md_decoder_kind;
struct md_json_value;

enum { MD_MAX_DECODER_STEPS = 16, MD_MAX_DECODER_NESTING = 8 };

struct md_decoder_step {
    const struct md_decoder_kind *kind;
    char *content;          /* Replace: what is put in; WordPiece: the prefix; BPEDecoder: the suffix; CTC: the padding */
    size_t content_size;
    char *pattern;          /* Replace, of a string; CTC: between words */
    size_t pattern_size;
    struct md_regex *regex; /* Replace, of a regular expression */
    uint32_t character;     /* Metaspace, Strip */
    size_t start;           /* Strip */
    size_t stop;
    bool cleanup;           /* WordPiece, CTC: no spaces before punctuation */
    bool keep_first;        /* Metaspace: the first token keeps its spaces */
};

struct md_decoder {
    const struct md_allocator *allocator;
    struct md_decoder_step steps[MD_MAX_DECODER_STEPS];
    size_t count;
};

/* json may be absent or null: no steps. UNIMPLEMENTED: a kind that is not known, with the path.
 * Release with md_decoder_cleanup in any case. */
MD_NODISCARD enum md_code md_decoder_read(const struct md_allocator *allocator, const struct md_json_value *json,
                                          struct md_decoder *out_decoder, struct md_error *error);
void md_decoder_cleanup(struct md_decoder *decoder);

/* Strings, one after the other. */
struct md_decoded_list {
    struct md_array bytes;
    struct md_array parts; /* of decoder.c: where each starts and ends */
};

/* What decoding works in; kept and used again. Threads: one at a time. */
struct md_decoder_memory {
    const struct md_allocator *allocator;
    struct md_decoded_list lists[2];
    struct md_array scratch; /* bytes */
    struct md_regex_match match;
    struct md_span text;     /* the result */
    bool failed;             /* memory ran out */
};
/* NULL: no memory. */
struct md_decoder_memory *md_decoder_memory_create(const struct md_allocator *allocator);
void md_decoder_memory_destroy(struct md_decoder_memory *memory); /* NULL is allowed */

/* Tokens go in one by one, after a start; then the steps run, and the text is memory->text. RESOURCE_EXHAUSTED: memory;
 * INVALID_ARGUMENT: a regular expression needs too many steps. */
void md_decoder_start(struct md_decoder_memory *memory);
void md_decoder_add(struct md_decoder_memory *memory, struct md_span token);
MD_NODISCARD enum md_code md_decoder_run(const struct md_decoder *decoder, struct md_decoder_memory *memory,
                                         struct md_error *error);

#endif
