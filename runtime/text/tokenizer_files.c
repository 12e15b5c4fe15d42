/* tokenizer_files.c - see tokenizer_files.h. sentencepiece's messages are read by hand: three of them, eight fields. */
#include "tokenizer_files.h"

#include "allocator.h"
#include "file.h"
#include "json_value.h"
#include "tokenizer.h"
#include "utf8.h"
#include "vocabulary.h"
#include "working_memory.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- writing JSON ---- */

struct writer {
    const struct md_allocator *allocator;
    struct md_array bytes;
    bool failed;
};

static void put(struct writer *writer, const char *bytes, size_t size)
{
    if (writer->failed || !md_array_reserve(writer->allocator, &writer->bytes, size, 1)) {
        writer->failed = true;
        return;
    }
    memcpy((char *)writer->bytes.items + writer->bytes.count, bytes, size);
    writer->bytes.count += size;
}

static void put_text(struct writer *writer, const char *text)
{
    put(writer, text, strlen(text));
}

static MD_PRINTF(2, 3) void put_format(struct writer *writer, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    put(writer, text, size < 0 ? 0 : (size_t)size); /* numbers alone: it fits */
}

static void put_string(struct writer *writer, struct md_span text)
{
    put_text(writer, "\"");
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char)text.bytes[i];
        if (byte < ' ' || byte == '"' || byte == '\\')
            put_format(writer, "\\u%04x", byte);
        else
            put(writer, text.bytes + i, 1);
    }
    put_text(writer, "\"");
}

static void put_base64(struct writer *writer, struct md_span bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < bytes.size; i += 3) {
        uint32_t bits = 0;
        size_t left = bytes.size - i < 3 ? bytes.size - i : 3;
        for (size_t k = 0; k < 3; k++)
            bits = bits << 8 | (k < left ? (unsigned char)bytes.bytes[i + k] : 0);
        for (size_t k = 0; k <= left; k++)
            put(writer, &digits[bits >> (18 - 6 * k) & 63], 1);
    }
}

static void put_added(struct writer *writer, struct md_span content, int64_t id, bool special, bool *first)
{
    put_format(writer, "%s{\"id\":%" PRId64 ",\"special\":%s,\"normalized\":false,\"content\":", *first ? "" : ",", id,
               special ? "true" : "false");
    put_string(writer, content);
    put_text(writer, "}");
    *first = false;
}

static enum md_code finish(struct writer *writer, enum md_code code, char **out_json, size_t *out_size,
                           struct md_error *error)
{
    if (code == MD_OK && writer->failed)
        code = md_fail_memory(error, "tokenizer");
    if (code != MD_OK) {
        md_release(writer->allocator, writer->bytes.items);
        return code;
    }
    *out_json = writer->bytes.items;
    *out_size = writer->bytes.count;
    return MD_OK;
}

/* ---- vocab.txt ---- */

/* The line that starts at *at, without its end; *at goes to the next one. */
static struct md_span next_line(struct md_span lines, size_t *at)
{
    const char *start = lines.bytes + *at;
    const char *end = memchr(start, '\n', lines.size - *at);
    size_t size = end == NULL ? lines.size - *at : (size_t)(end - start);
    *at += size + (end != NULL);
    if (size > 0 && start[size - 1] == '\r')
        size--;
    return (struct md_span){ start, size };
}

static const char *const bert_tokens[] = { "[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]" };
enum { UNK, CLS, SEP, BERT_TOKENS = sizeof bert_tokens / sizeof bert_tokens[0] };

/* Ids of BERT's own tokens; -1: not there. */
static void find_bert_tokens(struct md_span lines, int64_t ids[BERT_TOKENS])
{
    for (size_t i = 0; i < BERT_TOKENS; i++)
        ids[i] = -1;
    int64_t id = 0;
    for (size_t at = 0; at < lines.size; id++) {
        struct md_span line = next_line(lines, &at);
        for (size_t i = 0; i < BERT_TOKENS; i++)
            if (md_span_equal(line, md_span_of(bert_tokens[i])))
                ids[i] = id;
    }
}

static void write_bert(struct writer *writer, struct md_span lines, bool lowercase, const int64_t ids[BERT_TOKENS])
{
    bool first = true;
    put_text(writer, "{\"added_tokens\":[");
    for (size_t i = 0; i < BERT_TOKENS; i++)
        if (ids[i] >= 0)
            put_added(writer, md_span_of(bert_tokens[i]), ids[i], true, &first);
    put_format(writer, "],\"normalizer\":{\"type\":\"BertNormalizer\",\"lowercase\":%s},", lowercase ? "true" : "false");
    put_text(writer, "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"decoder\":{\"type\":\"WordPiece\"},");
    if (ids[CLS] >= 0 && ids[SEP] >= 0)
        put_format(writer, "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",%" PRId64 "],\"cls\":[\"[CLS]\",%"
                   PRId64 "]},", ids[SEP], ids[CLS]);
    put_text(writer, "\"model\":{\"type\":\"WordPiece\",\"vocab\":{");
    int64_t id = 0;
    for (size_t at = 0; at < lines.size; id++) {
        put_text(writer, id == 0 ? "" : ",");
        put_string(writer, next_line(lines, &at));
        put_format(writer, ":%" PRId64, id);
    }
    put_text(writer, "}}}");
}

enum md_code md_tokenizer_json_from_vocabulary(const struct md_allocator *allocator, struct md_span lines,
                                               bool lowercase, char **out_json, size_t *out_size,
                                               struct md_error *error)
{
    int64_t ids[BERT_TOKENS];
    struct writer writer = { .allocator = allocator };
    size_t valid = md_utf8_valid_prefix(lines.bytes, lines.size);
    if (valid != lines.size)
        return md_fail(error, MD_INVALID_ARGUMENT, "vocab.txt: not UTF-8 at byte %zu", valid);
    find_bert_tokens(lines, ids);
    if (ids[UNK] < 0)
        return md_fail(error, MD_INVALID_ARGUMENT, "vocab.txt: no line is [UNK]");
    write_bert(&writer, lines, lowercase, ids);
    return finish(&writer, MD_OK, out_json, out_size, error);
}

/* ---- sentencepiece ---- */

enum { PIECE_UNKNOWN = 2, PIECE_CONTROL = 3, PIECE_USER_DEFINED = 4, MODEL_UNIGRAM = 1 };

struct field {
    uint64_t number;
    uint64_t value;       /* of a varint or a fixed field */
    struct md_span bytes; /* of a field with a length */
};

static bool read_varint(struct md_span message, size_t *at, uint64_t *out_value)
{
    *out_value = 0;
    for (unsigned shift = 0; shift < 64 && *at < message.size; shift += 7) {
        unsigned char byte = (unsigned char)message.bytes[(*at)++];
        *out_value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

/* The field at *at; false: malformed. */
static bool read_field(struct md_span message, size_t *at, struct field *field)
{
    uint64_t key;
    *field = (struct field){ .number = 0 };
    if (!read_varint(message, at, &key))
        return false;
    field->number = key >> 3;
    if ((key & 7) == 0)
        return read_varint(message, at, &field->value);
    uint64_t size = (key & 7) == 1 ? 8 : 4;
    if ((key & 7) == 2 && !read_varint(message, at, &size))
        return false;
    if (((key & 7) != 1 && (key & 7) != 2 && (key & 7) != 5) || size > message.size - *at)
        return false;
    field->bytes = (struct md_span){ message.bytes + *at, (size_t)size };
    for (size_t i = 0; i < size && i < 8; i++)
        field->value |= (uint64_t)(unsigned char)message.bytes[*at + i] << 8 * i;
    *at += (size_t)size;
    return true;
}

struct piece {
    struct md_span text;
    float score;
    uint64_t type;
};

static bool read_piece(struct md_span message, struct piece *piece)
{
    struct field field;
    *piece = (struct piece){ .text = { "", 0 }, .type = 1 };
    for (size_t at = 0; at < message.size;) {
        if (!read_field(message, &at, &field))
            return false;
        uint32_t bits = (uint32_t)field.value;
        if (field.number == 1)
            piece->text = field.bytes;
        else if (field.number == 2)
            memcpy(&piece->score, &bits, sizeof bits);
        else if (field.number == 3)
            piece->type = field.value;
    }
    return md_utf8_valid_prefix(piece->text.bytes, piece->text.size) == piece->text.size &&
           piece->score - piece->score == 0; /* finite */
}

/* What is not a piece. */
struct settings {
    uint64_t model_type;
    bool byte_fallback;
    bool add_dummy_prefix;
    bool remove_extra_spaces;
    struct md_span charsmap;
    int64_t unknown_id;
};

static bool read_settings(struct md_span message, bool is_normalizer, struct settings *settings)
{
    struct field field;
    for (size_t at = 0; at < message.size;) {
        if (!read_field(message, &at, &field))
            return false;
        if (!is_normalizer && field.number == 3)
            settings->model_type = field.value;
        else if (!is_normalizer && field.number == 35)
            settings->byte_fallback = field.value != 0;
        else if (is_normalizer && field.number == 2)
            settings->charsmap = field.bytes;
        else if (is_normalizer && field.number == 3)
            settings->add_dummy_prefix = field.value != 0;
        else if (is_normalizer && field.number == 4)
            settings->remove_extra_spaces = field.value != 0;
    }
    return true;
}

static void write_normalizer(struct writer *writer, const struct settings *settings)
{
    put_text(writer, "],\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[");
    if (settings->charsmap.size > 0) {
        put_text(writer, "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"");
        put_base64(writer, settings->charsmap);
        put_text(writer, settings->remove_extra_spaces ? "\"}," : "\"}");
    }
    if (settings->remove_extra_spaces)
        put_text(writer, "{\"type\":\"Strip\"},{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},\"content\":\" \"}");
    put_format(writer, "]},\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\\u2581\",\"prepend_scheme\":\"%s\"},",
               settings->add_dummy_prefix ? "always" : "never");
    put_format(writer, "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"ByteFallback\"},{\"type\":\"Metaspace\","
               "\"replacement\":\"\\u2581\",\"prepend_scheme\":\"%s\"}]},", settings->add_dummy_prefix ? "always" : "never");
}

/* All pieces: those that are found in the text beforehand, or the vocabulary. False: malformed. */
static bool write_pieces(struct writer *writer, struct md_span model, bool added, struct settings *settings)
{
    int64_t id = 0;
    bool first = true;
    struct field field;
    struct piece piece;
    for (size_t at = 0; at < model.size;) {
        if (!read_field(model, &at, &field))
            return false;
        if (field.number != 1)
            continue;
        if (!read_piece(field.bytes, &piece) || id > MD_MAX_TOKEN_ID)
            return false;
        if (piece.type == PIECE_UNKNOWN)
            settings->unknown_id = id;
        if (added && (piece.type == PIECE_CONTROL || piece.type == PIECE_USER_DEFINED))
            put_added(writer, piece.text, id, piece.type == PIECE_CONTROL, &first);
        if (!added) {
            put_text(writer, id == 0 ? "[" : ",[");
            put_string(writer, piece.text);
            put_format(writer, ",%.9g]", (double)piece.score);
        }
        id++;
    }
    return true;
}

static enum md_code write_model(struct writer *writer, struct md_span model, struct md_error *error)
{
    struct settings settings = { .model_type = MODEL_UNIGRAM, .add_dummy_prefix = true, .remove_extra_spaces = true,
                                 .unknown_id = -1 };
    struct field field;
    bool fine = true;
    for (size_t at = 0; at < model.size && fine;) {
        fine = read_field(model, &at, &field);
        if (fine && (field.number == 2 || field.number == 3))
            fine = read_settings(field.bytes, field.number == 3, &settings);
    }
    if (fine && settings.model_type != MODEL_UNIGRAM)
        return md_fail(error, MD_UNIMPLEMENTED, "a sentencepiece model of type %" PRIu64 "; this build reads Unigram (%d)",
                       settings.model_type, MODEL_UNIGRAM);
    put_text(writer, "{\"added_tokens\":[");
    fine = fine && write_pieces(writer, model, true, &settings);
    write_normalizer(writer, &settings);
    put_format(writer, "\"model\":{\"type\":\"Unigram\",\"byte_fallback\":%s,", settings.byte_fallback ? "true" : "false");
    if (settings.unknown_id >= 0)
        put_format(writer, "\"unk_id\":%" PRId64 ",", settings.unknown_id);
    put_text(writer, "\"vocab\":[");
    fine = fine && write_pieces(writer, model, false, &settings);
    put_text(writer, "]}}");
    return fine ? MD_OK : md_fail(error, MD_INVALID_ARGUMENT, "not a sentencepiece model");
}

enum md_code md_tokenizer_json_from_sentencepiece(const struct md_allocator *allocator, struct md_span model,
                                                  char **out_json, size_t *out_size, struct md_error *error)
{
    struct writer writer = { .allocator = allocator };
    return finish(&writer, write_model(&writer, model, error), out_json, out_size, error);
}

/* ---- directories ---- */

enum { MAX_PATH_BYTES = 4096, MAX_FILE_BYTES = 256 << 20 };

static enum md_code from_sentencepiece(const struct md_allocator *allocator, const char *directory, struct md_span file,
                                       char **out_json, size_t *out_size, struct md_error *error)
{
    (void)directory;
    return md_tokenizer_json_from_sentencepiece(allocator, file, out_json, out_size, error);
}

static enum md_code join(char path[MAX_PATH_BYTES], const char *directory, const char *name, struct md_error *error)
{
    int size = snprintf(path, MAX_PATH_BYTES, "%s/%s", directory, name);
    if (size > 0 && size < MAX_PATH_BYTES)
        return MD_OK;
    return md_fail(error, MD_INVALID_ARGUMENT, "path of more than %d bytes", (int)MAX_PATH_BYTES);
}

static enum md_code read_do_lower_case(const struct md_allocator *allocator, const char *directory, bool *out_lowercase,
                                       struct md_error *error)
{
    char path[MAX_PATH_BYTES];
    char *bytes;
    size_t size;
    json_t *parsed;
    *out_lowercase = true;
    MD_TRY(join(path, directory, "tokenizer_config.json", error));
    if (!md_file_exists(path))
        return MD_OK;
    MD_TRY(md_file_read(allocator, path, MAX_FILE_BYTES, &bytes, &size, error));
    enum md_code code = md_json_parse("tokenizer_config.json", bytes, size, &parsed, error);
    md_release(allocator, bytes);
    if (code != MD_OK)
        return code;
    struct md_json_value root = { .json = parsed, .key = "tokenizer_config.json" };
    code = md_json_optional_bool(&root, "do_lower_case", true, out_lowercase, error);
    json_decref(parsed);
    return code;
}

static enum md_code from_vocabulary(const struct md_allocator *allocator, const char *directory, struct md_span file,
                                    char **out_json, size_t *out_size, struct md_error *error)
{
    bool lowercase;
    MD_TRY(read_do_lower_case(allocator, directory, &lowercase, error));
    return md_tokenizer_json_from_vocabulary(allocator, file, lowercase, out_json, out_size, error);
}

static const struct {
    const char *name;
    enum md_code (*to_json)(const struct md_allocator *allocator, const char *directory, struct md_span file,
                            char **out_json, size_t *out_size, struct md_error *error); /* NULL: it is one */
} files[] = {
    { "tokenizer.json",          NULL },
    { "spiece.model",            from_sentencepiece },
    { "sentencepiece.bpe.model", from_sentencepiece },
    { "tokenizer.model",         from_sentencepiece },
    { "vocab.txt",               from_vocabulary },
};
enum { FILE_COUNT = sizeof files / sizeof files[0] };

/* The index of the first file that is there; FILE_COUNT: none. */
static size_t find_file(const char *directory, char path[MAX_PATH_BYTES])
{
    for (size_t i = 0; i < FILE_COUNT; i++)
        if (join(path, directory, files[i].name, NULL) == MD_OK && md_file_exists(path))
            return i;
    return FILE_COUNT;
}

bool md_tokenizer_is_in(const char *directory)
{
    char path[MAX_PATH_BYTES];
    return find_file(directory, path) < FILE_COUNT;
}

enum md_code md_tokenizer_open(const struct md_allocator *allocator, const char *directory,
                               struct md_tokenizer **out_tokenizer, struct md_error *error)
{
    char path[MAX_PATH_BYTES];
    char *bytes;
    char *json = NULL;
    size_t size;
    size_t index = find_file(directory, path);
    if (index == FILE_COUNT)
        return md_fail(error, MD_NOT_FOUND, "\"%s\" has no tokenizer.json", directory);
    MD_TRY(md_file_read(allocator, path, MAX_FILE_BYTES, &bytes, &size, error));
    enum md_code code = MD_OK;
    if (files[index].to_json != NULL)
        code = files[index].to_json(allocator, directory, (struct md_span){ bytes, size }, &json, &size, error);
    if (code == MD_OK)
        code = md_tokenizer_create(allocator, json != NULL ? json : bytes, size, out_tokenizer, error);
    md_release(allocator, bytes);
    md_release(allocator, json);
    return code;
}
