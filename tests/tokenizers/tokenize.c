/* tokenize.c - encodes the texts of stdin with a tokenizer, for tests/tokenizers/compare.py.
 *
 * Usage: tokenize FILE [tokens]. stdin: texts, each a u32 of its bytes and the bytes. stdout: for each text a u32 of its tokens (or UINT32_MAX and a u32 of the
 * bytes of a message, and the message), then their ids, starts and ends in characters, each as an array of 32 bits, and the decoded text without special tokens,
 * a u32 of its bytes and the bytes.
 * "tokens": instead, the text of every id, each a u32 of its bytes and the bytes. */
#include "allocator.h"
#include "file.h"
#include "tokenizer.h"

#include <stdio.h>
#include <string.h>

enum { MAX_FILE = 256 << 20 };

static bool read_text(char **text, uint32_t *size, size_t *capacity)
{
    if (fread(size, sizeof *size, 1, stdin) != 1)
        return false;
    if (*size >= *capacity) {
        char *grown = md_reallocate(md_process_allocator(), *text, 0, *size * 2 + 64);
        if (grown == NULL)
            return false;
        *text = grown;
        *capacity = *size * 2 + 64;
    }
    return fread(*text, 1, *size, stdin) == *size;
}

static void write_block(const void *bytes, size_t size, size_t count)
{
    (void)fwrite(bytes, size, count, stdout); /* the reader sees what is missing */
}

static void write_encoding(struct md_encoding *encoding, const struct md_decoding *decoding, struct md_span text)
{
    uint32_t count = (uint32_t)encoding->count;
    md_encoding_count_characters(text, encoding->starts, count);
    md_encoding_count_characters(text, encoding->ends, count);
    write_block(&count, sizeof count, 1);
    write_block(encoding->ids, sizeof *encoding->ids, count);
    write_block(encoding->starts, sizeof *encoding->starts, count);
    write_block(encoding->ends, sizeof *encoding->ends, count);
    uint32_t size = (uint32_t)decoding->text.size;
    write_block(&size, sizeof size, 1);
    write_block(decoding->text.bytes, 1, size);
}

static void write_failure(const struct md_error *error)
{
    uint32_t head[2] = { UINT32_MAX, (uint32_t)strlen(error->message) };
    write_block(head, sizeof head, 1);
    write_block(error->message, 1, head[1]);
}

static void encode_all(const struct md_tokenizer *tokenizer)
{
    struct md_encoding encoding;
    struct md_decoding decoding;
    struct md_error error;
    char *text = NULL;
    uint32_t size;
    size_t capacity = 0;
    md_encoding_init(&encoding, md_process_allocator());
    md_decoding_init(&decoding, md_process_allocator());
    while (read_text(&text, &size, &capacity)) {
        struct md_span span = { text, size };
        if (md_tokenizer_encode(tokenizer, span, (struct md_span){ NULL, 0 }, 0, &encoding, &error) == MD_OK &&
            md_tokenizer_decode(tokenizer, encoding.ids, encoding.count, true, &decoding, &error) == MD_OK)
            write_encoding(&encoding, &decoding, span);
        else
            write_failure(&error);
    }
    md_encoding_cleanup(&encoding);
    md_decoding_cleanup(&decoding);
    md_release(md_process_allocator(), text);
}

static void write_tokens(const struct md_tokenizer *tokenizer)
{
    for (size_t id = 0; id < md_tokenizer_vocabulary_size(tokenizer); id++) {
        struct md_span token = md_tokenizer_token(tokenizer, (int32_t)id);
        uint32_t size = (uint32_t)token.size;
        write_block(&size, sizeof size, 1);
        write_block(token.bytes == NULL ? "" : token.bytes, 1, size);
    }
}

int main(int argc, char **argv)
{
    struct md_tokenizer *tokenizer = NULL;
    struct md_error error;
    char *json;
    size_t size;
    if (argc < 2)
        return 2;
    enum md_code code = md_file_read(md_process_allocator(), argv[1], MAX_FILE, &json, &size, &error);
    if (code == MD_OK) {
        code = md_tokenizer_create(md_process_allocator(), json, size, &tokenizer, &error);
        md_release(md_process_allocator(), json);
    }
    if (code != MD_OK) {
        fprintf(stderr, "%s: %s\n", argv[1], error.message);
        return 1;
    }
    if (argc > 2)
        write_tokens(tokenizer);
    else
        encode_all(tokenizer);
    md_tokenizer_destroy(tokenizer);
    return fflush(stdout) == 0 ? 0 : 1;
}
