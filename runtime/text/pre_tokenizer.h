/* pre_tokenizer.h - the steps that split text into the words that the model sees: tokenizer.json
 * "pre_tokenizer".
 *
 * Read into a flat list (a Sequence is several steps). Adding a kind is a row in pre_tokenizer.c.
 * Threads: immutable after read. */
#ifndef MD_PRE_TOKENIZER_H
#define MD_PRE_TOKENIZER_H

#include "known_patterns.h"
#include "span.h"
#include "splitter.h"
#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct md_allocator;
struct md_json_value;
struct md_pre_tokenizer_kind;
struct md_regex;
struct md_working_memory;

enum { MD_MAX_PRE_TOKENIZERS = 64, MD_MAX_PRE_TOKENIZER_NESTING = 8 };

enum md_prepend_scheme { MD_PREPEND_ALWAYS, MD_PREPEND_FIRST, MD_PREPEND_NEVER };

struct md_pre_tokenizer_step {
    const struct md_pre_tokenizer_kind *kind;
    enum md_split_behavior behavior; /* Punctuation, Digits, Split */
    bool invert;                     /* Split */
    bool add_prefix_space;           /* ByteLevel */
    bool use_regex;                  /* ByteLevel */
    bool split;                      /* Metaspace */
    enum md_prepend_scheme scheme;   /* Metaspace */
    uint32_t character;              /* Metaspace, CharDelimiterSplit */
    size_t length;                   /* FixedLength */
    char *pattern;                   /* Split at a string; owned */
    size_t pattern_size;
    struct md_regex *regex;          /* Split at a regular expression */
    md_word_fn word;                 /* Split whose pieces are its matches, which cover the text; else NULL */
};

struct md_pre_tokenizer {
    const struct md_allocator *allocator;
    struct md_pre_tokenizer_step steps[MD_MAX_PRE_TOKENIZERS];
    size_t count;
};

/* json may be absent or null: no steps. UNIMPLEMENTED: a kind that is not known, with the path.
 * Release with md_pre_tokenizer_cleanup in any case. */
MD_NODISCARD enum md_code md_pre_tokenizer_read(const struct md_allocator *allocator,
                                                const struct md_json_value *json,
                                                struct md_pre_tokenizer *out_pre_tokenizer,
                                                struct md_error *error);
void md_pre_tokenizer_cleanup(struct md_pre_tokenizer *pre_tokenizer);
MD_NODISCARD enum md_code md_pre_tokenizer_apply(const struct md_pre_tokenizer *pre_tokenizer,
                                                 struct md_working_memory *working, struct md_error *error);

/* Of pre_tokenizer_rewrite.c: those that change the text, too. */
MD_NODISCARD enum md_code md_pre_tokenize_byte_level(const struct md_pre_tokenizer_step *step,
                                                     struct md_working_memory *working,
                                                     struct md_error *error);
MD_NODISCARD enum md_code md_pre_tokenize_metaspace(const struct md_pre_tokenizer_step *step,
                                                    struct md_working_memory *working,
                                                    struct md_error *error);

#endif
