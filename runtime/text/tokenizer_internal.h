/* tokenizer_internal.h - what a tokenizer is made of; shared by tokenizer.c and tokenizer_json.c. */
#ifndef MD_TOKENIZER_INTERNAL_H
#define MD_TOKENIZER_INTERNAL_H

#include "added_tokens.h"
#include "decoder.h"
#include "model.h"
#include "normalizer.h"
#include "post_processor.h"
#include "pre_tokenizer.h"
#include "tokenizer.h"
#include "truncation.h"

struct md_tokenizer {
    const struct md_allocator *allocator;
    struct md_token_model model;
    struct md_normalizer normalizer;
    struct md_added_tokens added;
    struct md_pre_tokenizer pre_tokenizer;
    struct md_post_processor post_processor;
    struct md_decoder decoder;
    struct md_truncation truncation;
    int32_t pad_id;
};

/* Fills a zeroed tokenizer; md_tokenizer_destroy follows in any case. */
MD_NODISCARD enum md_code md_tokenizer_read(struct md_tokenizer *tokenizer, const char *json, size_t size,
                                            struct md_error *error);

#endif
