/* post_processor.h - what is put around and between the tokens of the texts: tokenizer.json "post_processor".
 *
 * All kinds become two templates (for one text and for a pair) and trims of offsets. Adding a kind is a row
 * in post_processor.c. Threads: immutable after read. */
#ifndef MD_POST_PROCESSOR_H
#define MD_POST_PROCESSOR_H

#include "span.h"
#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct md_json_value;
struct md_token;

enum { MD_MAX_TEMPLATE = 64, MD_MAX_TRIMS = 4, MD_MAX_POST_PROCESSOR_NESTING = 8 };

enum md_template_part_kind { MD_TEMPLATE_SPECIAL, MD_TEMPLATE_FIRST, MD_TEMPLATE_SECOND };

struct md_template_part {
    enum md_template_part_kind kind;
    int32_t id; /* of a special token */
    int32_t type_id;
};

struct md_template {
    struct md_template_part parts[MD_MAX_TEMPLATE];
    size_t count;
    size_t special_count;
};

struct md_post_processor {
    struct md_template single;
    struct md_template pair;
    bool has_template;                    /* read from the file, not the default */
    bool trim_adds_prefix[MD_MAX_TRIMS]; /* one per trim: whether a first space was added by the pre-tokenizer
                                          */
    size_t trim_count;
};

/* json may be absent or null. UNIMPLEMENTED: a kind that is not known, with the path. */
MD_NODISCARD enum md_code md_post_processor_read(const struct md_json_value *json,
                                                 struct md_post_processor *out_processor,
                                                 struct md_error *error);
/* Takes the spaces out of a token's offsets into `text`; first: it is the first token of it. */
void md_post_processor_trim(const struct md_post_processor *processor, struct md_span text,
                            struct md_token *token, bool first);

#endif
