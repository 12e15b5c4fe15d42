/* decoder.c - see decoder.h. The rules are those of the reference library, its oddities included. */
#include "decoder.h"

#include "allocator.h"
#include "byte_alphabet.h"
#include "json_value.h"
#include "unicode.h"
#include "utf8.h"

#include <string.h>

#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

/* One string of a list. */
struct part {
    size_t start;
    size_t size;
};

struct md_decoder_kind {
    const char *type;
    enum md_code (*read)(struct md_decoder *decoder, struct md_decoder_step *step, const struct md_json_value *json,
                         struct md_error *error); /* NULL: nothing to read */
    /* Reads memory->lists[0], writes lists[1]. */
    enum md_code (*apply)(const struct md_decoder_step *step, struct md_decoder_memory *memory, struct md_error *error);
};

/* ---- lists ---- */

static struct part part_at(const struct md_decoder_memory *memory, size_t index)
{
    return ((const struct part *)memory->lists[0].parts.items)[index];
}

static struct md_span text_at(const struct md_decoder_memory *memory, size_t index)
{
    struct part part = part_at(memory, index);
    return (struct md_span){ (const char *)memory->lists[0].bytes.items + part.start, part.size };
}

static size_t count_of(const struct md_decoder_memory *memory)
{
    return memory->lists[0].parts.count;
}

static void append_to(struct md_decoder_memory *memory, struct md_decoded_list *list, struct md_span text)
{
    if (text.size == 0)
        return;
    if (!md_array_reserve(memory->allocator, &list->bytes, text.size, 1)) {
        memory->failed = true;
        return;
    }
    memcpy((char *)list->bytes.items + list->bytes.count, text.bytes, text.size);
    list->bytes.count += text.size;
}

/* What was appended since the last end is one string. */
static void end_part(struct md_decoder_memory *memory, struct md_decoded_list *list)
{
    if (!md_array_reserve(memory->allocator, &list->parts, 1, sizeof(struct part))) {
        memory->failed = true;
        return;
    }
    struct part *parts = list->parts.items;
    size_t start = list->parts.count == 0 ? 0 : parts[list->parts.count - 1].start + parts[list->parts.count - 1].size;
    parts[list->parts.count++] = (struct part){ start, list->bytes.count - start };
}

static void put(struct md_decoder_memory *memory, struct md_span text)
{
    append_to(memory, &memory->lists[1], text);
}

static void end(struct md_decoder_memory *memory)
{
    end_part(memory, &memory->lists[1]);
}

static void put_string(struct md_decoder_memory *memory, const char *text)
{
    put(memory, md_span_of(text));
}

/* Where in lists[1] the string that is under way starts. */
static struct md_span open_part(const struct md_decoder_memory *memory)
{
    const struct md_decoded_list *list = &memory->lists[1];
    const struct part *parts = list->parts.items;
    size_t start = list->parts.count == 0 ? 0 : parts[list->parts.count - 1].start + parts[list->parts.count - 1].size;
    return (struct md_span){ (const char *)list->bytes.items + start, list->bytes.count - start };
}

/* Puts `to` in place of every `from` in the string that is under way; `to` is not longer. */
static void replace_open(struct md_decoder_memory *memory, struct md_span from, const char *to)
{
    struct md_span open = open_part(memory);
    size_t to_size = strlen(to);
    if (from.size == 0 || open.size < from.size)
        return;
    char *out = (char *)memory->lists[1].bytes.items + (memory->lists[1].bytes.count - open.size);
    const char *at = open.bytes;
    const char *limit = open.bytes + open.size;
    const char *found;
    while ((found = memmem(at, (size_t)(limit - at), from.bytes, from.size)) != NULL) {
        memmove(out, at, (size_t)(found - at));
        out += found - at;
        memcpy(out, to, to_size);
        out += to_size;
        at = found + from.size;
    }
    memmove(out, at, (size_t)(limit - at));
    memory->lists[1].bytes.count -= (size_t)(at - out);
}

static void clean_open(struct md_decoder_memory *memory)
{
    static const char *const pairs[][2] = { { " .", "." }, { " ?", "?" }, { " !", "!" }, { " ,", "," }, { " ' ", "'" },
                                            { " n't", "n't" }, { " 'm", "'m" }, { " do not", " don't" }, { " 's", "'s" },
                                            { " 've", "'ve" }, { " 're", "'re" } };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        replace_open(memory, md_span_of(pairs[i][0]), pairs[i][1]);
}

/* ---- bytes ---- */

/* Length of what stands for one U+FFFD at the start of bytes that are not UTF-8: the longest start of a sequence. */
static size_t broken_length(const unsigned char *bytes, size_t size)
{
    size_t wanted = bytes[0] < 0xC2 || bytes[0] > 0xF4 ? 1 : bytes[0] < 0xE0 ? 2 : bytes[0] < 0xF0 ? 3 : 4;
    size_t length = 1;
    for (; length < wanted && length < size; length++) {
        unsigned char low = 0x80;
        unsigned char high = 0xBF;
        if (length == 1) {
            low = bytes[0] == 0xE0 ? 0xA0 : bytes[0] == 0xF0 ? 0x90 : 0x80;
            high = bytes[0] == 0xED ? 0x9F : bytes[0] == 0xF4 ? 0x8F : 0xBF;
        }
        if (bytes[length] < low || bytes[length] > high)
            break;
    }
    return length;
}

static void put_lossy(struct md_decoder_memory *memory, const char *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t valid = md_utf8_valid_prefix(bytes + at, size - at);
        put(memory, (struct md_span){ bytes + at, valid });
        at += valid;
        if (at == size)
            break;
        put_string(memory, REPLACEMENT);
        at += broken_length((const unsigned char *)bytes + at, size - at);
    }
}

static bool alphabet_byte(uint32_t code_point, char *out_byte)
{
    if (code_point > 323)
        return false;
    for (unsigned byte = 0; byte < 256; byte++)
        if (md_byte_character((unsigned char)byte) == code_point) {
            *out_byte = (char)byte;
            return true;
        }
    return false;
}

/* The token as bytes, in place; false: a character is not of the alphabet, and nothing has changed. */
static bool to_bytes(struct md_span token, char *out, size_t *out_size)
{
    size_t size = 0;
    for (size_t at = 0; at < token.size;) {
        uint32_t code_point;
        at += md_utf8_decode(token.bytes + at, &code_point);
        if (!alphabet_byte(code_point, &out[size++]))
            return false;
    }
    *out_size = size;
    return true;
}

static enum md_code apply_byte_level(const struct md_decoder_step *step, struct md_decoder_memory *memory,
                                     struct md_error *error)
{
    (void)step;
    size_t total = memory->lists[0].bytes.count;
    memory->scratch.count = 0;
    if (!md_array_reserve(memory->allocator, &memory->scratch, total + 1, 1))
        return md_fail_memory(error, "decoded text");
    char *bytes = memory->scratch.items;
    size_t size = 0;
    for (size_t i = 0; i < count_of(memory); i++) {
        struct md_span token = text_at(memory, i);
        size_t length;
        if (!to_bytes(token, bytes + size, &length)) {
            memcpy(bytes + size, token.bytes, token.size);
            length = token.size;
        }
        size += length;
    }
    put_lossy(memory, bytes, size);
    end(memory);
    return MD_OK;
}

/* "<0xE2>" */
static bool byte_token(struct md_span token, char *out_byte)
{
    static const char digits[] = "0123456789abcdef";
    if (token.size != 6 || memcmp(token.bytes, "<0x", 3) != 0 || token.bytes[5] != '>')
        return false;
    const char *high = memchr(digits, token.bytes[3] | 32, sizeof digits - 1);
    const char *low = memchr(digits, token.bytes[4] | 32, sizeof digits - 1);
    if (high == NULL || low == NULL || token.bytes[3] < '0' || token.bytes[4] < '0')
        return false;
    *out_byte = (char)((high - digits) << 4 | (low - digits));
    return true;
}

/* Bytes in a row are text if they are UTF-8, and that many U+FFFD if not. */
static void put_byte_run(struct md_decoder_memory *memory, size_t count)
{
    const char *bytes = memory->scratch.items;
    if (count > 0 && md_utf8_valid_prefix(bytes, count) == count) {
        put(memory, (struct md_span){ bytes, count });
        end(memory);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        put_string(memory, REPLACEMENT);
        end(memory);
    }
}

static enum md_code apply_byte_fallback(const struct md_decoder_step *step, struct md_decoder_memory *memory,
                                        struct md_error *error)
{
    (void)step;
    memory->scratch.count = 0;
    if (!md_array_reserve(memory->allocator, &memory->scratch, count_of(memory) + 1, 1))
        return md_fail_memory(error, "decoded text");
    size_t run = 0;
    for (size_t i = 0; i < count_of(memory); i++) {
        struct md_span token = text_at(memory, i);
        char byte;
        if (byte_token(token, &byte)) {
            ((char *)memory->scratch.items)[run++] = byte;
            continue;
        }
        put_byte_run(memory, run);
        run = 0;
        put(memory, token);
        end(memory);
    }
    put_byte_run(memory, run);
    return MD_OK;
}

/* ---- the others ---- */

static enum md_code apply_fuse(const struct md_decoder_step *step, struct md_decoder_memory *memory, struct md_error *error)
{
    (void)step, (void)error;
    for (size_t i = 0; i < count_of(memory); i++)
        put(memory, text_at(memory, i));
    end(memory);
    return MD_OK;
}

static enum md_code apply_wordpiece(const struct md_decoder_step *step, struct md_decoder_memory *memory,
                                    struct md_error *error)
{
    (void)error;
    for (size_t i = 0; i < count_of(memory); i++) {
        struct md_span token = text_at(memory, i);
        bool continues = token.size >= step->content_size && memcmp(token.bytes, step->content, step->content_size) == 0;
        if (i > 0 && continues)
            token = (struct md_span){ token.bytes + step->content_size, token.size - step->content_size };
        else if (i > 0)
            put_string(memory, " ");
        put(memory, token);
        if (step->cleanup)
            clean_open(memory);
        end(memory);
    }
    return MD_OK;
}

static enum md_code apply_metaspace(const struct md_decoder_step *step, struct md_decoder_memory *memory,
                                    struct md_error *error)
{
    (void)error;
    for (size_t i = 0; i < count_of(memory); i++) {
        struct md_span token = text_at(memory, i);
        for (size_t at = 0; at < token.size;) {
            uint32_t code_point;
            size_t length = md_utf8_decode(token.bytes + at, &code_point);
            if (code_point != step->character)
                put(memory, (struct md_span){ token.bytes + at, length });
            else if (i > 0 || step->keep_first)
                put_string(memory, " ");
            at += length;
        }
        end(memory);
    }
    return MD_OK;
}

static enum md_code apply_bpe(const struct md_decoder_step *step, struct md_decoder_memory *memory, struct md_error *error)
{
    (void)error;
    struct md_span suffix = { step->content, step->content_size };
    for (size_t i = 0; i < count_of(memory); i++) {
        put(memory, text_at(memory, i));
        replace_open(memory, suffix, i + 1 == count_of(memory) ? "" : " ");
        end(memory);
    }
    return MD_OK;
}

static enum md_code apply_strip(const struct md_decoder_step *step, struct md_decoder_memory *memory, struct md_error *error)
{
    (void)error;
    for (size_t i = 0; i < count_of(memory); i++) {
        struct md_span token = text_at(memory, i);
        uint32_t code_point;
        for (size_t cut = 0; cut < step->start && token.size > 0; cut++) {
            size_t length = md_utf8_decode(token.bytes, &code_point);
            if (code_point != step->character)
                break;
            token = (struct md_span){ token.bytes + length, token.size - length };
        }
        for (size_t cut = 0; cut < step->stop && token.size > 0; cut++) {
            size_t length = md_utf8_decode_last(token.bytes, token.size, &code_point);
            if (code_point != step->character)
                break;
            token.size -= length;
        }
        put(memory, token);
        end(memory);
    }
    return MD_OK;
}

static bool same_as_before(const struct md_decoder_memory *memory, size_t index)
{
    return index > 0 && md_span_equal(text_at(memory, index - 1), text_at(memory, index));
}

static enum md_code apply_ctc(const struct md_decoder_step *step, struct md_decoder_memory *memory, struct md_error *error)
{
    (void)error;
    for (size_t i = 0; i < count_of(memory); i++) {
        if (same_as_before(memory, i))
            continue;
        put(memory, text_at(memory, i));
        replace_open(memory, (struct md_span){ step->content, step->content_size }, "");
        if (step->cleanup) {
            clean_open(memory);
            replace_open(memory, (struct md_span){ step->pattern, step->pattern_size }, " ");
        }
        end(memory);
    }
    return MD_OK;
}

static enum md_code find_match(const struct md_decoder_step *step, struct md_decoder_memory *memory, struct md_span text,
                               size_t at, size_t previous_end, bool *out_found, size_t *out_start, size_t *out_end,
                               struct md_error *error)
{
    if (step->regex != NULL)
        return md_regex_next(step->regex, text, at, previous_end, &memory->match, out_found, out_start, out_end, error);
    const char *match = memmem(text.bytes + at, text.size - at, step->pattern, step->pattern_size);
    *out_found = match != NULL;
    if (match != NULL) {
        *out_start = (size_t)(match - text.bytes);
        *out_end = *out_start + step->pattern_size;
    }
    return MD_OK;
}

static enum md_code apply_replace(const struct md_decoder_step *step, struct md_decoder_memory *memory,
                                  struct md_error *error)
{
    for (size_t i = 0; i < count_of(memory); i++) {
        struct md_span text = text_at(memory, i);
        size_t previous_end = SIZE_MAX;
        size_t at = 0;
        while (text.size > 0) {
            bool found;
            size_t match_start = 0;
            size_t match_end = 0;
            MD_TRY(find_match(step, memory, text, at, previous_end, &found, &match_start, &match_end, error));
            if (!found)
                break;
            put(memory, (struct md_span){ text.bytes + at, match_start - at });
            put(memory, (struct md_span){ step->content, step->content_size });
            at = previous_end = match_end;
        }
        put(memory, (struct md_span){ text.bytes + at, text.size - at });
        end(memory);
    }
    return MD_OK;
}

/* ---- reading ---- */

static enum md_code copy_text(const struct md_allocator *allocator, struct md_span text, char **out_copy,
                              size_t *out_size, struct md_error *error)
{
    *out_copy = md_allocate(allocator, text.size);
    if (*out_copy == NULL)
        return md_fail_memory(error, "decoder");
    if (text.size > 0)
        memcpy(*out_copy, text.bytes, text.size);
    *out_size = text.size;
    return MD_OK;
}

static enum md_code read_content(struct md_decoder *decoder, struct md_decoder_step *step,
                                 const struct md_json_value *json, const char *key, const char *absent,
                                 struct md_error *error)
{
    struct md_span text;
    MD_TRY(md_json_optional_string(json, key, absent, &text, error));
    return copy_text(decoder->allocator, text, &step->content, &step->content_size, error);
}

static enum md_code read_character(const struct md_json_value *json, const char *key, const char *absent,
                                   uint32_t *out_character, struct md_error *error)
{
    struct md_span text;
    struct md_json_value member = md_json_member(json, key);
    MD_TRY(md_json_optional_string(json, key, absent, &text, error));
    if (text.size > 0 && md_utf8_decode(text.bytes, out_character) == text.size)
        return MD_OK;
    return md_json_fail(&member, error, MD_INVALID_ARGUMENT, "expected one character, found \"%s\"", text.bytes);
}

static enum md_code read_wordpiece(struct md_decoder *decoder, struct md_decoder_step *step,
                                   const struct md_json_value *json, struct md_error *error)
{
    MD_TRY(md_json_optional_bool(json, "cleanup", true, &step->cleanup, error));
    return read_content(decoder, step, json, "prefix", "##", error);
}

static enum md_code read_bpe(struct md_decoder *decoder, struct md_decoder_step *step, const struct md_json_value *json,
                             struct md_error *error)
{
    return read_content(decoder, step, json, "suffix", "</w>", error);
}

static enum md_code read_metaspace(struct md_decoder *decoder, struct md_decoder_step *step,
                                   const struct md_json_value *json, struct md_error *error)
{
    (void)decoder;
    struct md_span scheme;
    MD_TRY(md_json_optional_string(json, "prepend_scheme", "always", &scheme, error));
    step->keep_first = md_span_equal(scheme, md_span_of("never"));
    return read_character(json, "replacement", "\xE2\x96\x81", &step->character, error);
}

static enum md_code read_strip(struct md_decoder *decoder, struct md_decoder_step *step, const struct md_json_value *json,
                               struct md_error *error)
{
    (void)decoder;
    int64_t start;
    int64_t stop;
    MD_TRY(md_json_optional_integer(json, "start", 0, INT32_MAX, 0, &start, error));
    MD_TRY(md_json_optional_integer(json, "stop", 0, INT32_MAX, 0, &stop, error));
    step->start = (size_t)start;
    step->stop = (size_t)stop;
    return read_character(json, "content", " ", &step->character, error);
}

static enum md_code read_ctc(struct md_decoder *decoder, struct md_decoder_step *step, const struct md_json_value *json,
                             struct md_error *error)
{
    struct md_span delimiter;
    MD_TRY(md_json_optional_bool(json, "cleanup", true, &step->cleanup, error));
    MD_TRY(md_json_optional_string(json, "word_delimiter_token", "|", &delimiter, error));
    MD_TRY(copy_text(decoder->allocator, delimiter, &step->pattern, &step->pattern_size, error));
    return read_content(decoder, step, json, "pad_token", "<pad>", error);
}

static enum md_code read_replace(struct md_decoder *decoder, struct md_decoder_step *step,
                                 const struct md_json_value *json, struct md_error *error)
{
    struct md_json_value pattern = md_json_member(json, "pattern");
    struct md_span text;
    bool is_regex;
    MD_TRY(read_content(decoder, step, json, "content", "", error));
    MD_TRY(md_json_pattern(&pattern, &text, &is_regex, error));
    if (!is_regex)
        return copy_text(decoder->allocator, text, &step->pattern, &step->pattern_size, error);
    enum md_code code = md_regex_create(decoder->allocator, text, &step->regex, error);
    return code == MD_INVALID_ARGUMENT ? md_json_prefix(&pattern, error, code) : code;
}

static const struct md_decoder_kind kinds[] = {
    { "BPEDecoder",   read_bpe,       apply_bpe },
    { "ByteFallback", NULL,           apply_byte_fallback },
    { "ByteLevel",    NULL,           apply_byte_level },
    { "CTC",          read_ctc,       apply_ctc },
    { "Fuse",         NULL,           apply_fuse },
    { "Metaspace",    read_metaspace, apply_metaspace },
    { "Replace",      read_replace,   apply_replace },
    { "Strip",        read_strip,     apply_strip },
    { "WordPiece",    read_wordpiece, apply_wordpiece },
};

static enum md_code read_any(struct md_decoder *decoder, const struct md_json_value *json, size_t nesting,
                             struct md_error *error);

static enum md_code read_sequence(struct md_decoder *decoder, const struct md_json_value *json, size_t nesting,
                                  struct md_error *error)
{
    struct md_json_value list = md_json_member(json, "decoders");
    MD_TRY(md_json_expect(&list, JSON_ARRAY, error));
    for (size_t i = 0; i < json_array_size(list.json); i++) {
        struct md_json_value item = md_json_element(&list, i);
        MD_TRY(read_any(decoder, &item, nesting + 1, error));
    }
    return MD_OK;
}

static enum md_code read_any(struct md_decoder *decoder, const struct md_json_value *json, size_t nesting,
                             struct md_error *error)
{
    if (nesting > MD_MAX_DECODER_NESTING)
        return md_json_fail(json, error, MD_INVALID_ARGUMENT, "nested more than %d deep", MD_MAX_DECODER_NESTING);
    MD_TRY(md_json_expect(json, JSON_OBJECT, error));
    struct md_json_value type = md_json_member(json, "type");
    struct md_span name;
    MD_TRY(md_json_string(&type, &name, error));
    if (md_span_equal(name, md_span_of("Sequence")))
        return read_sequence(decoder, json, nesting, error);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (!md_span_equal(name, md_span_of(kinds[i].type)))
            continue;
        if (decoder->count == MD_MAX_DECODER_STEPS)
            return md_json_fail(json, error, MD_INVALID_ARGUMENT, "more than %d decoders", MD_MAX_DECODER_STEPS);
        struct md_decoder_step *step = &decoder->steps[decoder->count++];
        *step = (struct md_decoder_step){ .kind = &kinds[i] };
        return kinds[i].read == NULL ? MD_OK : kinds[i].read(decoder, step, json, error);
    }
    return md_json_fail(&type, error, MD_UNIMPLEMENTED, "decoder \"%s\" is not implemented", name.bytes);
}

enum md_code md_decoder_read(const struct md_allocator *allocator, const struct md_json_value *json,
                             struct md_decoder *out_decoder, struct md_error *error)
{
    *out_decoder = (struct md_decoder){ .allocator = allocator };
    return md_json_is_null(json) ? MD_OK : read_any(out_decoder, json, 0, error);
}

void md_decoder_cleanup(struct md_decoder *decoder)
{
    for (size_t i = 0; i < decoder->count; i++) {
        md_release(decoder->allocator, decoder->steps[i].content);
        md_release(decoder->allocator, decoder->steps[i].pattern);
        md_regex_destroy(decoder->steps[i].regex);
    }
    decoder->count = 0;
}

/* ---- running ---- */

struct md_decoder_memory *md_decoder_memory_create(const struct md_allocator *allocator)
{
    struct md_decoder_memory *memory = md_allocate_zeroed(allocator, 1, sizeof *memory);
    if (memory == NULL)
        return NULL;
    memory->allocator = allocator;
    md_regex_match_init(&memory->match, allocator);
    return memory;
}

void md_decoder_memory_destroy(struct md_decoder_memory *memory)
{
    if (memory == NULL)
        return;
    for (size_t i = 0; i < 2; i++) {
        md_release(memory->allocator, memory->lists[i].bytes.items);
        md_release(memory->allocator, memory->lists[i].parts.items);
    }
    md_release(memory->allocator, memory->scratch.items);
    md_regex_match_cleanup(&memory->match);
    md_release(memory->allocator, memory);
}

static void clear(struct md_decoded_list *list)
{
    list->bytes.count = 0;
    list->parts.count = 0;
}

void md_decoder_start(struct md_decoder_memory *memory)
{
    memory->failed = false;
    memory->text = (struct md_span){ "", 0 };
    clear(&memory->lists[0]);
    clear(&memory->lists[1]);
}

void md_decoder_add(struct md_decoder_memory *memory, struct md_span token)
{
    append_to(memory, &memory->lists[0], token);
    end_part(memory, &memory->lists[0]);
}

enum md_code md_decoder_run(const struct md_decoder *decoder, struct md_decoder_memory *memory, struct md_error *error)
{
    for (size_t i = 0; i < decoder->count && !memory->failed; i++) {
        MD_TRY(decoder->steps[i].kind->apply(&decoder->steps[i], memory, error));
        struct md_decoded_list swapped = memory->lists[0];
        memory->lists[0] = memory->lists[1];
        memory->lists[1] = swapped;
        clear(&memory->lists[1]);
    }
    if (memory->failed)
        return md_fail_memory(error, "decoded text");
    if (memory->lists[0].bytes.count > 0)
        memory->text = (struct md_span){ memory->lists[0].bytes.items, memory->lists[0].bytes.count };
    return MD_OK;
}
