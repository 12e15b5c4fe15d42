/* text_fixture.h - tokenizers for tests, made of a few words of JSON. Single quotes in the JSON stand for
 * double ones. */
#ifndef MD_TEXT_FIXTURE_H
#define MD_TEXT_FIXTURE_H

#include "md_test.h"
#include "tokenizer.h"

/* Creates a tokenizer from JSON with single quotes. */
enum md_code create_from(const struct md_allocator *allocator, const char *json,
                         struct md_tokenizer **out_tokenizer, struct md_error *error);
/* The same; fails the test if the JSON is refused. */
struct md_tokenizer *create(const char *json);
/* {'model': <model>, <rest>} */
struct md_tokenizer *create_with(const char *model, const char *rest);

/* "id:start-end id:start-end ..." of the text; special tokens are in parentheses; "ERROR message" if it is
 * refused. The buffer is static: one result at a time. */
const char *encoded(const struct md_tokenizer *tokenizer, const char *text);
const char *encoded_pair(const struct md_tokenizer *tokenizer, const char *text, const char *pair,
                         size_t max_tokens);

/* Words for WordLevel, with '[UNK]' as 0. */
#define WORD_LEVEL(vocab) "{'type':'WordLevel','unk_token':'[UNK]','vocab':{'[UNK]':0," vocab "}}"

#endif
