/* bench_tokenizer.c - a tokenizer.json, driven through stdin (bench_driver.h).
 *
 * Usage: bench_tokenizer FILE. Commands:
 *     texts FILE    the texts that are encoded, each a u32 of its bytes and the bytes; "ok TOKENS"
 *     time COUNT    encodes all texts COUNT times, offsets in characters included; "ok MEDIAN" in nanoseconds
 *     load COUNT    makes the tokenizer COUNT times; "ok MEDIAN" in nanoseconds */
#include "allocator.h"
#include "bench_driver.h"
#include "file.h"
#include "tokenizer.h"

#include <stdio.h>
#include <string.h>

enum { MAX_FILE = 256 << 20 };

struct bench {
    char *json; /* owned */
    size_t json_size;
    char *texts; /* owned */
    size_t texts_size;
    size_t tokens; /* of the last run */
    struct md_tokenizer *tokenizer;
    struct md_encoding encoding;
};

static enum md_code encode_all(void *owner, struct md_error *error)
{
    struct bench *bench = owner;
    uint32_t size;
    bench->tokens = 0;
    for (size_t at = 0; at + sizeof size <= bench->texts_size; at += size) {
        memcpy(&size, bench->texts + at, sizeof size);
        at += sizeof size;
        struct md_span text = { bench->texts + at, size };
        struct md_encoding *encoding = &bench->encoding;
        MD_TRY(md_tokenizer_encode(bench->tokenizer, text, (struct md_span){ NULL, 0 }, 0, encoding, error));
        md_encoding_count_characters(text, encoding->starts, encoding->count);
        md_encoding_count_characters(text, encoding->ends, encoding->count);
        bench->tokens += encoding->count;
    }
    return MD_OK;
}

static enum md_code load(void *owner, struct md_error *error)
{
    struct bench *bench = owner;
    md_tokenizer_destroy(bench->tokenizer);
    bench->tokenizer = NULL;
    return md_tokenizer_create(md_process_allocator(), bench->json, bench->json_size, &bench->tokenizer, error);
}

static enum md_code set_texts(void *owner, char *words, char *out_text, size_t text_size, struct md_error *error)
{
    struct bench *bench = owner;
    md_release(md_process_allocator(), bench->texts);
    bench->texts = NULL;
    MD_TRY(md_file_read(md_process_allocator(), words, MAX_FILE, &bench->texts, &bench->texts_size, error));
    MD_TRY(encode_all(bench, error));
    (void)snprintf(out_text, text_size, "%zu", bench->tokens); /* fits */
    return MD_OK;
}

static enum md_code time_texts(void *owner, char *words, char *out_text, size_t text_size, struct md_error *error)
{
    return md_bench_time(words, encode_all, owner, out_text, text_size, error);
}

static enum md_code time_load(void *owner, char *words, char *out_text, size_t text_size, struct md_error *error)
{
    return md_bench_time(words, load, owner, out_text, text_size, error);
}

static enum md_code start(struct bench *bench, const char *path, struct md_error *error)
{
    md_encoding_init(&bench->encoding, md_process_allocator());
    MD_TRY(md_file_read(md_process_allocator(), path, MAX_FILE, &bench->json, &bench->json_size, error));
    return load(bench, error);
}

int main(int argc, char **argv)
{
    static const struct md_bench_command commands[] = {
        { "texts", set_texts }, { "time", time_texts }, { "load", time_load }, { NULL, NULL }
    };
    static struct bench bench;
    struct md_error error = { .message = "" };
    if (argc != 2) {
        fprintf(stderr, "usage: bench_tokenizer FILE\n");
        return 2;
    }
    int status = md_bench_drive(start(&bench, argv[1], &error), &error, commands, &bench);
    md_encoding_cleanup(&bench.encoding);
    md_tokenizer_destroy(bench.tokenizer);
    md_release(md_process_allocator(), bench.json);
    md_release(md_process_allocator(), bench.texts);
    return status;
}
