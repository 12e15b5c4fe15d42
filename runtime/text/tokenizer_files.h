/* tokenizer_files.h - the tokenizer of a model directory. Older files than tokenizer.json are written as one, so that one
 * reader reads all of them. */
#ifndef MD_TOKENIZER_FILES_H
#define MD_TOKENIZER_FILES_H

#include "span.h"
#include "status.h"

#include <stdbool.h>
#include <stddef.h>

struct md_allocator;
struct md_tokenizer;

/* True if the directory has one of: tokenizer.json; spiece.model, sentencepiece.bpe.model or tokenizer.model; vocab.txt
 * (lower case unless tokenizer_config.json says do_lower_case false). */
bool md_tokenizer_is_in(const char *directory);
/* Reads the first of them. As md_tokenizer_create, and NOT_FOUND: none is there. */
MD_NODISCARD enum md_code md_tokenizer_open(const struct md_allocator *allocator, const char *directory,
                                            struct md_tokenizer **out_tokenizer, struct md_error *error);

/* A vocab.txt of BERT's, a token a line. INVALID_ARGUMENT: not UTF-8, or without [UNK].
 * Of both: OK: *out_json is owned by the caller (md_release). RESOURCE_EXHAUSTED: memory. */
MD_NODISCARD enum md_code md_tokenizer_json_from_vocabulary(const struct md_allocator *allocator, struct md_span lines,
                                                            bool lowercase, char **out_json, size_t *out_size,
                                                            struct md_error *error);
/* A .model of sentencepiece's. The file does not say which special tokens go around a text, so none do.
 * INVALID_ARGUMENT: malformed. UNIMPLEMENTED: another algorithm than Unigram. */
MD_NODISCARD enum md_code md_tokenizer_json_from_sentencepiece(const struct md_allocator *allocator,
                                                               struct md_span model, char **out_json, size_t *out_size,
                                                               struct md_error *error);

#endif
