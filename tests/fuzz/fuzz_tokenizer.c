/* fuzz_tokenizer.c - a tokenizer.json, a NUL, and a text that it encodes: alone, as a pair of itself, and truncated. */
#include "bounded_allocator.h"
#include "fuzz_entry.h"
#include "tokenizer.h"

#include <stdlib.h>
#include <string.h>

enum { MEMORY_LIMIT = 512 * 1024 * 1024, FEW_TOKENS = 5 };

static void check(const struct md_encoding *encoding, struct md_span text)
{
    for (size_t i = 0; i < encoding->count; i++)
        if (encoding->starts[i] > text.size || encoding->ends[i] > text.size || encoding->ids[i] < 0)
            abort();
}

static void encode(const struct md_tokenizer *tokenizer, struct md_encoding *encoding, struct md_span text)
{
    struct md_span none = { NULL, 0 };
    if (md_tokenizer_encode(tokenizer, text, none, 0, encoding, NULL) == MD_OK) {
        check(encoding, text);
        md_encoding_count_characters(text, encoding->starts, encoding->count);
    }
    if (md_tokenizer_encode(tokenizer, text, text, 0, encoding, NULL) == MD_OK)
        check(encoding, text);
    if (md_tokenizer_encode(tokenizer, text, none, FEW_TOKENS, encoding, NULL) == MD_OK && encoding->count > FEW_TOKENS)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *json = (const char *)data;
    const char *end = size == 0 ? NULL : memchr(json, '\0', size);
    struct md_span text = { "a b", 3 };
    size_t json_size = size;
    if (end != NULL) {
        json_size = (size_t)(end - json);
        text = (struct md_span){ end + 1, size - json_size - 1 };
    }
    struct md_bounded_allocator bounded;
    struct md_tokenizer *tokenizer;
    struct md_encoding encoding;
    md_bounded_allocator_init(&bounded, MEMORY_LIMIT);
    md_encoding_init(&encoding, &bounded.allocator);
    if (md_tokenizer_create(&bounded.allocator, json, json_size, &tokenizer, NULL) == MD_OK) {
        encode(tokenizer, &encoding, text);
        md_tokenizer_destroy(tokenizer);
    }
    md_encoding_cleanup(&encoding);
    if (bounded.live != 0)
        abort();
    return 0;
}
