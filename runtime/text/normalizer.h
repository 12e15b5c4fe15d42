/* normalizer.h - the steps that change text before it is split: tokenizer.json "normalizer".
 *
 * Read into a flat list (a Sequence and a BertNormalizer are several steps). Adding a kind is a row in
 * normalizer.c. Threads: immutable after read. */
#ifndef MD_NORMALIZER_H
#define MD_NORMALIZER_H

#include "span.h"
#include "status.h"
#include "text_buffer.h"

#include <stdbool.h>
#include <stddef.h>

struct md_allocator;
struct md_charsmap;
struct md_json_value;
struct md_normalizer_kind;
struct md_regex;
struct md_working_memory;

enum { MD_MAX_STEPS = 64, MD_MAX_STEP_NESTING = 8 };

struct md_normalizer_step {
    const struct md_normalizer_kind *kind;
    bool left;               /* Strip */
    bool right;
    bool compose;            /* NFC, NFD, NFKC, NFKD */
    bool compatibility;
    char *content;           /* Prepend, Replace; owned */
    size_t content_size;
    char *pattern;           /* Replace with a string; owned */
    size_t pattern_size;
    struct md_regex *regex;  /* Replace with a regular expression */
    struct md_charsmap *map; /* Precompiled; owned */
};

struct md_normalizer {
    const struct md_allocator *allocator;
    struct md_normalizer_step steps[MD_MAX_STEPS];
    size_t count;
};

/* json may be absent or null: no steps. UNIMPLEMENTED: a kind that is not known, with the path.
 * Release with md_normalizer_cleanup in any case. */
MD_NODISCARD enum md_code md_normalizer_read(const struct md_allocator *allocator,
                                             const struct md_json_value *json,
                                             struct md_normalizer *out_normalizer, struct md_error *error);
void md_normalizer_cleanup(struct md_normalizer *normalizer);
/* Changes every piece of working->text that is not a token; the pieces follow. */
MD_NODISCARD enum md_code md_normalizer_apply(const struct md_normalizer *normalizer,
                                              struct md_working_memory *working, struct md_error *error);

#endif
