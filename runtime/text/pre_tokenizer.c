/* pre_tokenizer.c - see pre_tokenizer.h. A step goes over all pieces and makes the next ones. */
#include "pre_tokenizer.h"

#include "allocator.h"
#include "json_value.h"
#include "regex.h"
#include "unicode.h"
#include "working_memory.h"

#include <string.h>

struct md_pre_tokenizer_kind {
    const char *type;
    enum md_code (*read)(struct md_pre_tokenizer *pre_tokenizer, struct md_pre_tokenizer_step *step,
                         const struct md_json_value *json,
                         struct md_error *error); /* NULL: nothing to read */
    enum md_code (*apply)(const struct md_pre_tokenizer_step *step, struct md_working_memory *working,
                          struct md_error *error);
};

/* ---- splitting ---- */

typedef bool (*class_fn)(uint32_t code_point);

/* Feeds one piece: every character of the class matches by itself. */
static enum md_code feed_class(struct md_splitter *splitter, const char *text, struct md_piece piece,
                               class_fn is_in)
{
    size_t from = piece.start;
    for (size_t at = piece.start; at < piece.end;) {
        uint32_t code_point;
        size_t length = md_utf8_decode(text + at, &code_point);
        if (is_in(code_point)) {
            if (from < at)
                MD_TRY(md_splitter_feed(splitter, from, at, false));
            MD_TRY(md_splitter_feed(splitter, at, at + length, true));
            from = at + length;
        }
        at += length;
    }
    if (from < piece.end)
        MD_TRY(md_splitter_feed(splitter, from, piece.end, false));
    return md_splitter_finish(splitter);
}

static enum md_code split_by_class(struct md_working_memory *working, class_fn is_in,
                                   enum md_split_behavior behavior, struct md_error *error)
{
    struct md_splitter splitter = md_splitter_start(working, behavior, false, error);
    for (size_t i = 0; i < working->pieces.count; i++) {
        struct md_piece piece = md_pieces(&working->pieces)[i];
        if (piece.token != MD_NO_TOKEN)
            MD_TRY(md_working_memory_add_piece(working, piece.start, piece.end, piece.token, error));
        else
            MD_TRY(feed_class(&splitter, working->text.bytes, piece, is_in));
    }
    md_working_memory_take_pieces(working);
    return MD_OK;
}

static enum md_code apply_whitespace_split(const struct md_pre_tokenizer_step *step,
                                           struct md_working_memory *working, struct md_error *error)
{
    (void)step;
    return split_by_class(working, md_is_space, MD_SPLIT_REMOVED, error);
}

static enum md_code apply_punctuation(const struct md_pre_tokenizer_step *step,
                                      struct md_working_memory *working, struct md_error *error)
{
    return split_by_class(working, md_is_punctuation, step->behavior, error);
}

static enum md_code apply_digits(const struct md_pre_tokenizer_step *step, struct md_working_memory *working,
                                 struct md_error *error)
{
    return split_by_class(working, md_is_numeric, step->behavior, error);
}

/* Classes of characters between which a piece is cut; those of class 0 are dropped. */
typedef unsigned (*group_fn)(uint32_t code_point);
enum { GROUP_SPACE = 0, GROUP_WORD = 1, GROUP_OTHER = 2, GROUP_ALONE = 3 };

/* \w+|[^\w\s]+ */
static unsigned whitespace_group(uint32_t code_point)
{
    return md_is_word(code_point) ? GROUP_WORD : md_is_space(code_point) ? GROUP_SPACE : GROUP_OTHER;
}

/* Space is dropped, punctuation stands alone. */
static unsigned bert_group(uint32_t code_point)
{
    return md_is_space(code_point) ? GROUP_SPACE : md_is_punctuation(code_point) ? GROUP_ALONE : GROUP_WORD;
}

static enum md_code group_piece(struct md_working_memory *working, struct md_piece piece, group_fn group_of,
                                struct md_error *error)
{
    const char *text = working->text.bytes;
    size_t from = piece.start;
    unsigned last = GROUP_SPACE;
    for (size_t at = piece.start; at < piece.end;) {
        uint32_t code_point;
        size_t length = md_utf8_decode(text + at, &code_point);
        unsigned group = group_of(code_point);
        if (group != last || group == GROUP_ALONE) {
            if (last != GROUP_SPACE)
                MD_TRY(md_working_memory_add_piece(working, from, at, MD_NO_TOKEN, error));
            from = at;
            last = group;
        }
        at += length;
    }
    return last == GROUP_SPACE ? MD_OK
                               : md_working_memory_add_piece(working, from, piece.end, MD_NO_TOKEN, error);
}

static enum md_code split_by_group(struct md_working_memory *working, group_fn group_of,
                                   struct md_error *error)
{
    for (size_t i = 0; i < working->pieces.count; i++) {
        struct md_piece piece = md_pieces(&working->pieces)[i];
        if (piece.token != MD_NO_TOKEN)
            MD_TRY(md_working_memory_add_piece(working, piece.start, piece.end, piece.token, error));
        else
            MD_TRY(group_piece(working, piece, group_of, error));
    }
    md_working_memory_take_pieces(working);
    return MD_OK;
}

static enum md_code apply_bert(const struct md_pre_tokenizer_step *step, struct md_working_memory *working,
                               struct md_error *error)
{
    (void)step;
    return split_by_group(working, bert_group, error);
}

static enum md_code apply_whitespace(const struct md_pre_tokenizer_step *step,
                                     struct md_working_memory *working, struct md_error *error)
{
    (void)step;
    return split_by_group(working, whitespace_group, error);
}

/* The next match of a Split's pattern in `text`, from `from` on. */
static enum md_code find_pattern(const struct md_pre_tokenizer_step *step, struct md_working_memory *working,
                                 struct md_span text, size_t from, size_t previous_end, bool *out_found,
                                 size_t *out_start, size_t *out_end, struct md_error *error)
{
    if (step->regex != NULL)
        return md_regex_next(step->regex, text, from, previous_end, &working->match, out_found, out_start,
                             out_end, error);
    const char *match = memmem(text.bytes + from, text.size - from, step->pattern, step->pattern_size);
    *out_found = match != NULL;
    if (match != NULL) {
        *out_start = (size_t)(match - text.bytes);
        *out_end = *out_start + step->pattern_size;
    }
    return MD_OK;
}

static enum md_code feed_pattern(const struct md_pre_tokenizer_step *step, struct md_splitter *splitter,
                                 struct md_working_memory *working, struct md_piece piece,
                                 struct md_error *error)
{
    struct md_span text = { working->text.bytes + piece.start, piece.end - piece.start };
    size_t previous_end = SIZE_MAX;
    size_t at = 0;
    for (;;) {
        bool found;
        size_t start = 0;
        size_t end = 0;
        MD_TRY(find_pattern(step, working, text, at, previous_end, &found, &start, &end, error));
        if (!found)
            break;
        if (at != start)
            MD_TRY(md_splitter_feed(splitter, piece.start + at, piece.start + start, false));
        MD_TRY(md_splitter_feed(splitter, piece.start + start, piece.start + end, true));
        at = end;
        previous_end = end;
    }
    if (at != text.size)
        MD_TRY(md_splitter_feed(splitter, piece.start + at, piece.end, false));
    return md_splitter_finish(splitter);
}

static enum md_code split_words(md_word_fn word, struct md_working_memory *working, struct md_piece piece,
                                struct md_error *error)
{
    const char *text = working->text.bytes;
    for (size_t at = piece.start; at < piece.end;) {
        size_t end = at + word((struct md_span){ text + at, piece.end - at });
        MD_TRY(md_working_memory_add_piece(working, at, end, MD_NO_TOKEN, error));
        at = end;
    }
    return MD_OK;
}

static enum md_code apply_split(const struct md_pre_tokenizer_step *step, struct md_working_memory *working,
                                struct md_error *error)
{
    struct md_splitter splitter = md_splitter_start(working, step->behavior, step->invert, error);
    for (size_t i = 0; i < working->pieces.count; i++) {
        struct md_piece piece = md_pieces(&working->pieces)[i];
        if (piece.token != MD_NO_TOKEN)
            MD_TRY(md_working_memory_add_piece(working, piece.start, piece.end, piece.token, error));
        else if (step->word != NULL)
            MD_TRY(split_words(step->word, working, piece, error));
        else
            MD_TRY(feed_pattern(step, &splitter, working, piece, error));
    }
    md_working_memory_take_pieces(working);
    return MD_OK;
}

static enum md_code apply_fixed_length(const struct md_pre_tokenizer_step *step,
                                       struct md_working_memory *working, struct md_error *error)
{
    for (size_t i = 0; i < working->pieces.count; i++) {
        struct md_piece piece = md_pieces(&working->pieces)[i];
        size_t from = piece.start;
        size_t characters = 0;
        for (size_t at = piece.start; at < piece.end && piece.token == MD_NO_TOKEN;) {
            at += md_utf8_length(working->text.bytes[at]);
            if (++characters % step->length == 0) {
                MD_TRY(md_working_memory_add_piece(working, from, at, MD_NO_TOKEN, error));
                from = at;
            }
        }
        MD_TRY(md_working_memory_add_piece(working, from, piece.end, piece.token, error));
    }
    md_working_memory_take_pieces(working);
    return MD_OK;
}

/* ---- reading ---- */

static enum md_code read_byte_level(struct md_pre_tokenizer *pre_tokenizer,
                                    struct md_pre_tokenizer_step *step, const struct md_json_value *json,
                                    struct md_error *error)
{
    (void)pre_tokenizer;
    MD_TRY(md_json_optional_bool(json, "add_prefix_space", true, &step->add_prefix_space, error));
    return md_json_optional_bool(json, "use_regex", true, &step->use_regex, error);
}

static enum md_code read_character(const struct md_json_value *json, const char *key, uint32_t *out_character,
                                   struct md_error *error)
{
    struct md_json_value member = md_json_member(json, key);
    struct md_span text;
    MD_TRY(md_json_string(&member, &text, error));
    if (text.size == 0 || md_utf8_decode(text.bytes, out_character) != text.size)
        return md_json_fail(&member, error, MD_INVALID_ARGUMENT, "expected one character, found \"%s\"",
                            text.bytes);
    return MD_OK;
}

static enum md_code read_scheme(struct md_pre_tokenizer_step *step, const struct md_json_value *json,
                                struct md_error *error)
{
    static const char *const names[] = { "always", "first", "never" };
    struct md_span name;
    bool add_prefix_space;
    MD_TRY(md_json_optional_string(json, "prepend_scheme", "always", &name, error));
    MD_TRY(md_json_optional_bool(json, "add_prefix_space", true, &add_prefix_space, error));
    struct md_json_value member = md_json_member(json, "prepend_scheme");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!md_span_equal(name, md_span_of(names[i])))
            continue;
        step->scheme = (enum md_prepend_scheme)i;
        if (add_prefix_space || step->scheme == MD_PREPEND_NEVER)
            return MD_OK;
        return md_json_fail(&member, error, MD_INVALID_ARGUMENT,
                            "\"%s\" contradicts add_prefix_space, which is false", names[i]);
    }
    return md_json_fail(&member, error, MD_INVALID_ARGUMENT, "\"%s\" is not known", name.bytes);
}

static enum md_code read_metaspace(struct md_pre_tokenizer *pre_tokenizer, struct md_pre_tokenizer_step *step,
                                   const struct md_json_value *json, struct md_error *error)
{
    (void)pre_tokenizer;
    MD_TRY(read_character(json, "replacement", &step->character, error));
    MD_TRY(md_json_optional_bool(json, "split", true, &step->split, error));
    return read_scheme(step, json, error);
}

static enum md_code read_punctuation(struct md_pre_tokenizer *pre_tokenizer,
                                     struct md_pre_tokenizer_step *step, const struct md_json_value *json,
                                     struct md_error *error)
{
    (void)pre_tokenizer;
    step->behavior = MD_SPLIT_ISOLATED;
    struct md_json_value behavior = md_json_member(json, "behavior");
    return md_json_is_null(&behavior) ? MD_OK : md_split_behavior_read(&behavior, &step->behavior, error);
}

static enum md_code read_digits(struct md_pre_tokenizer *pre_tokenizer, struct md_pre_tokenizer_step *step,
                                const struct md_json_value *json, struct md_error *error)
{
    (void)pre_tokenizer;
    bool individual;
    MD_TRY(md_json_optional_bool(json, "individual_digits", false, &individual, error));
    step->behavior = individual ? MD_SPLIT_ISOLATED : MD_SPLIT_CONTIGUOUS;
    return MD_OK;
}

static enum md_code copy_pattern(const struct md_allocator *allocator, struct md_span text,
                                 struct md_pre_tokenizer_step *step, struct md_error *error)
{
    step->pattern = md_allocate(allocator, text.size);
    if (step->pattern == NULL)
        return md_fail_memory(error, "pre-tokenizer");
    memcpy(step->pattern, text.bytes, text.size);
    step->pattern_size = text.size;
    return MD_OK;
}

static enum md_code read_split(struct md_pre_tokenizer *pre_tokenizer, struct md_pre_tokenizer_step *step,
                               const struct md_json_value *json, struct md_error *error)
{
    struct md_json_value behavior = md_json_member(json, "behavior");
    MD_TRY(md_split_behavior_read(&behavior, &step->behavior, error));
    MD_TRY(md_json_optional_bool(json, "invert", false, &step->invert, error));
    struct md_json_value pattern = md_json_member(json, "pattern");
    struct md_span text;
    bool is_regex;
    MD_TRY(md_json_pattern(&pattern, &text, &is_regex, error));
    if (!is_regex)
        return copy_pattern(pre_tokenizer->allocator, text, step, error);
    if (step->behavior == (step->invert ? MD_SPLIT_REMOVED : MD_SPLIT_ISOLATED))
        step->word = md_known_pattern_find(text);
    enum md_code code = md_regex_create(pre_tokenizer->allocator, text, &step->regex, error);
    return code == MD_INVALID_ARGUMENT ? md_json_prefix(&pattern, error, code) : code;
}

static enum md_code read_delimiter(struct md_pre_tokenizer *pre_tokenizer, struct md_pre_tokenizer_step *step,
                                   const struct md_json_value *json, struct md_error *error)
{
    MD_TRY(read_character(json, "delimiter", &step->character, error));
    char bytes[MD_MAX_UTF8];
    struct md_span text = { bytes, md_utf8_encode(step->character, bytes) };
    step->behavior = MD_SPLIT_REMOVED;
    return copy_pattern(pre_tokenizer->allocator, text, step, error);
}

static enum md_code read_fixed_length(struct md_pre_tokenizer *pre_tokenizer,
                                      struct md_pre_tokenizer_step *step, const struct md_json_value *json,
                                      struct md_error *error)
{
    (void)pre_tokenizer;
    int64_t length;
    MD_TRY(md_json_optional_integer(json, "length", 1, INT32_MAX, 5, &length, error));
    step->length = (size_t)length;
    return MD_OK;
}

static const struct md_pre_tokenizer_kind kinds[] = {
    { "BertPreTokenizer",   NULL,              apply_bert },
    { "ByteLevel",          read_byte_level,   md_pre_tokenize_byte_level },
    { "CharDelimiterSplit", read_delimiter,    apply_split },
    { "Digits",             read_digits,       apply_digits },
    { "FixedLength",        read_fixed_length, apply_fixed_length },
    { "Metaspace",          read_metaspace,    md_pre_tokenize_metaspace },
    { "Punctuation",        read_punctuation,  apply_punctuation },
    { "Split",              read_split,        apply_split },
    { "Whitespace",         NULL,              apply_whitespace },
    { "WhitespaceSplit",    NULL,              apply_whitespace_split },
};

static enum md_code read_any(struct md_pre_tokenizer *pre_tokenizer, const struct md_json_value *json,
                             size_t nesting, struct md_error *error);

static enum md_code read_sequence(struct md_pre_tokenizer *pre_tokenizer, const struct md_json_value *json,
                                  size_t nesting, struct md_error *error)
{
    struct md_json_value list = md_json_member(json, "pretokenizers");
    MD_TRY(md_json_expect(&list, JSON_ARRAY, error));
    for (size_t i = 0; i < json_array_size(list.json); i++) {
        struct md_json_value item = md_json_element(&list, i);
        MD_TRY(read_any(pre_tokenizer, &item, nesting + 1, error));
    }
    return MD_OK;
}

static enum md_code read_any(struct md_pre_tokenizer *pre_tokenizer, const struct md_json_value *json,
                             size_t nesting, struct md_error *error)
{
    if (nesting > MD_MAX_PRE_TOKENIZER_NESTING)
        return md_json_fail(json, error, MD_INVALID_ARGUMENT, "nested more than %d deep",
                            MD_MAX_PRE_TOKENIZER_NESTING);
    MD_TRY(md_json_expect(json, JSON_OBJECT, error));
    struct md_json_value type = md_json_member(json, "type");
    struct md_span name;
    MD_TRY(md_json_string(&type, &name, error));
    if (md_span_equal(name, md_span_of("Sequence")))
        return read_sequence(pre_tokenizer, json, nesting, error);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (!md_span_equal(name, md_span_of(kinds[i].type)))
            continue;
        if (pre_tokenizer->count == MD_MAX_PRE_TOKENIZERS)
            return md_json_fail(json, error, MD_INVALID_ARGUMENT, "more than %d pre-tokenizers",
                                MD_MAX_PRE_TOKENIZERS);
        struct md_pre_tokenizer_step *step = &pre_tokenizer->steps[pre_tokenizer->count++];
        *step = (struct md_pre_tokenizer_step){ .kind = &kinds[i] };
        return kinds[i].read == NULL ? MD_OK : kinds[i].read(pre_tokenizer, step, json, error);
    }
    return md_json_fail(&type, error, MD_UNIMPLEMENTED, "pre-tokenizer \"%s\" is not implemented",
                        name.bytes);
}

enum md_code md_pre_tokenizer_read(const struct md_allocator *allocator, const struct md_json_value *json,
                                   struct md_pre_tokenizer *out_pre_tokenizer, struct md_error *error)
{
    *out_pre_tokenizer = (struct md_pre_tokenizer){ .allocator = allocator };
    return md_json_is_null(json) ? MD_OK : read_any(out_pre_tokenizer, json, 0, error);
}

void md_pre_tokenizer_cleanup(struct md_pre_tokenizer *pre_tokenizer)
{
    for (size_t i = 0; i < pre_tokenizer->count; i++) {
        md_release(pre_tokenizer->allocator, pre_tokenizer->steps[i].pattern);
        md_regex_destroy(pre_tokenizer->steps[i].regex);
    }
    pre_tokenizer->count = 0;
}

enum md_code md_pre_tokenizer_apply(const struct md_pre_tokenizer *pre_tokenizer,
                                    struct md_working_memory *working, struct md_error *error)
{
    for (size_t i = 0; i < pre_tokenizer->count; i++) {
        working->next_pieces.count = 0;
        MD_TRY(pre_tokenizer->steps[i].kind->apply(&pre_tokenizer->steps[i], working, error));
    }
    return MD_OK;
}
