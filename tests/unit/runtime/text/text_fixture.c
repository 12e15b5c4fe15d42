/* text_fixture.c - see text_fixture.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "text_fixture.h"

#include <stdio.h>
#include <string.h>

enum md_code create_from(const struct md_allocator *allocator, const char *json,
                         struct md_tokenizer **out_tokenizer, struct md_error *error)
{
    char text[8192];
    size_t size = strlen(json);
    assert_true(size < sizeof text);
    for (size_t i = 0; i < size; i++)
        text[i] = json[i] == '\'' ? '"' : json[i];
    return md_tokenizer_create(allocator, text, size, out_tokenizer, error);
}

struct md_tokenizer *create(const char *json)
{
    struct md_tokenizer *tokenizer = NULL;
    struct md_error error = { "" };
    if (create_from(md_process_allocator(), json, &tokenizer, &error) != MD_OK)
        fail_msg("%s", error.message);
    return tokenizer;
}

struct md_tokenizer *create_with(const char *model, const char *rest)
{
    char json[8192];
    int size = snprintf(json, sizeof json, "{'model':%s%s%s}", model, rest[0] == '\0' ? "" : ",", rest);
    assert_true(size > 0 && (size_t)size < sizeof json);
    return create(json);
}

const char *encoded_pair(const struct md_tokenizer *tokenizer, const char *text, const char *pair,
                         size_t max_tokens)
{
    static char result[4096];
    struct md_encoding encoding;
    struct md_error error = { "" };
    struct md_span second = { NULL, 0 };
    if (pair != NULL)
        second = md_span_of(pair);
    md_encoding_init(&encoding, md_process_allocator());
    result[0] = '\0';
    enum md_code code =
        md_tokenizer_encode(tokenizer, md_span_of(text), second, max_tokens, &encoding, &error);
    size_t used = 0;
    if (code != MD_OK)
        (void)snprintf(result, sizeof result, "ERROR %s", error.message);
    for (size_t i = 0; i < encoding.count && code == MD_OK && used < sizeof result; i++) {
        int size =
            encoding.special[i]
                ? snprintf(result + used, sizeof result - used, "%s(%d)", i == 0 ? "" : " ", encoding.ids[i])
                : snprintf(result + used, sizeof result - used, "%s%d:%u-%u", i == 0 ? "" : " ",
                           encoding.ids[i], encoding.starts[i], encoding.ends[i]);
        used += (size_t)size;
    }
    md_encoding_cleanup(&encoding);
    return result;
}

const char *encoded(const struct md_tokenizer *tokenizer, const char *text)
{
    return encoded_pair(tokenizer, text, NULL, 0);
}
