/* normalizer.c - see normalizer.h. */
#include "normalizer.h"

#include "allocator.h"
#include "charsmap.h"
#include "json_value.h"
#include "normalizer_steps.h"
#include "regex.h"
#include "unicode.h"
#include "working_memory.h"

#include <string.h>

/* How one kind of step works. `ascii`, if any, is the same for text that is all ASCII, in place and shorter
 * at most. */
struct md_normalizer_kind {
    const char *type;
    enum md_code (*read)(struct md_normalizer *normalizer, const struct md_json_value *json, size_t nesting,
                         struct md_error *error); /* adds the steps; NULL: never named in a file */
    enum md_code (*apply)(const struct md_normalizer_step *step, struct md_text_edit *edit,
                          struct md_working_memory *working, struct md_error *error);
    void (*ascii)(struct md_text_buffer *text);
};

enum step_kind {
    BERT,
    BYTE_LEVEL,
    CLEAN_TEXT,
    LOWERCASE,
    NFC,
    NFD,
    NFKC,
    NFKD,
    NMT,
    PRECOMPILED,
    PREPEND,
    REPLACE,
    SEQUENCE,
    SPACE_CJK,
    STRIP,
    STRIP_ACCENTS,
    STRIP_NONSPACING,
    KIND_COUNT
};
static const struct md_normalizer_kind kinds[KIND_COUNT];

static enum md_code add_step(struct md_normalizer *normalizer, enum step_kind kind,
                             const struct md_json_value *json, struct md_normalizer_step **out_step,
                             struct md_error *error)
{
    if (normalizer->count == MD_MAX_STEPS)
        return md_json_fail(json, error, MD_INVALID_ARGUMENT, "more than %d normalization steps",
                            MD_MAX_STEPS);
    struct md_normalizer_step *step = &normalizer->steps[normalizer->count++];
    *step = (struct md_normalizer_step){ .kind = &kinds[kind] };
    if (out_step != NULL)
        *out_step = step;
    return MD_OK;
}

/* ---- reading ---- */

static enum md_code read_any(struct md_normalizer *normalizer, const struct md_json_value *json,
                             size_t nesting, struct md_error *error);

#define READ_PLAIN(name, kind)                                                                               \
    static enum md_code read_##name(struct md_normalizer *normalizer, const struct md_json_value *json,      \
                                    size_t nesting, struct md_error *error)                                  \
    {                                                                                                        \
        (void)nesting;                                                                                       \
        return add_step(normalizer, kind, json, NULL, error);                                                \
    }
READ_PLAIN(byte_level, BYTE_LEVEL)
READ_PLAIN(lowercase, LOWERCASE)
READ_PLAIN(nmt, NMT)
READ_PLAIN(strip_accents, STRIP_ACCENTS)
#undef READ_PLAIN

static enum md_code add_form(struct md_normalizer *normalizer, const struct md_json_value *json,
                             enum step_kind kind, struct md_error *error)
{
    struct md_normalizer_step *step = NULL;
    MD_TRY(add_step(normalizer, kind, json, &step, error));
    step->compose = kind == NFC || kind == NFKC;
    step->compatibility = kind == NFKC || kind == NFKD;
    return MD_OK;
}

#define READ_FORM(name, kind)                                                                                \
    static enum md_code read_##name(struct md_normalizer *normalizer, const struct md_json_value *json,      \
                                    size_t nesting, struct md_error *error)                                  \
    {                                                                                                        \
        (void)nesting;                                                                                       \
        return add_form(normalizer, json, kind, error);                                                      \
    }
READ_FORM(nfc, NFC)
READ_FORM(nfd, NFD)
READ_FORM(nfkc, NFKC)
READ_FORM(nfkd, NFKD)
#undef READ_FORM

static enum md_code read_bert(struct md_normalizer *normalizer, const struct md_json_value *json,
                              size_t nesting, struct md_error *error)
{
    (void)nesting;
    bool clean_text;
    bool cjk;
    bool lowercase;
    bool strip_accents;
    MD_TRY(md_json_optional_bool(json, "clean_text", true, &clean_text, error));
    MD_TRY(md_json_optional_bool(json, "handle_chinese_chars", true, &cjk, error));
    MD_TRY(md_json_optional_bool(json, "lowercase", true, &lowercase, error));
    MD_TRY(md_json_optional_bool(json, "strip_accents", lowercase, &strip_accents, error));
    if (clean_text)
        MD_TRY(add_step(normalizer, CLEAN_TEXT, json, NULL, error));
    if (cjk)
        MD_TRY(add_step(normalizer, SPACE_CJK, json, NULL, error));
    if (strip_accents) {
        MD_TRY(add_form(normalizer, json, NFD, error));
        MD_TRY(add_step(normalizer, STRIP_NONSPACING, json, NULL, error));
    }
    return lowercase ? add_step(normalizer, LOWERCASE, json, NULL, error) : MD_OK;
}

static enum md_code read_strip(struct md_normalizer *normalizer, const struct md_json_value *json,
                               size_t nesting, struct md_error *error)
{
    (void)nesting;
    struct md_normalizer_step *step = NULL;
    MD_TRY(add_step(normalizer, STRIP, json, &step, error));
    MD_TRY(md_json_optional_bool(json, "strip_left", true, &step->left, error));
    return md_json_optional_bool(json, "strip_right", true, &step->right, error);
}

static enum md_code copy_text(const struct md_allocator *allocator, struct md_span text, char **out_copy,
                              size_t *out_size, struct md_error *error)
{
    char *copy = md_allocate(allocator, text.size);
    if (copy == NULL)
        return md_fail_memory(error, "normalizer");
    if (text.size > 0)
        memcpy(copy, text.bytes, text.size);
    *out_copy = copy;
    *out_size = text.size;
    return MD_OK;
}

static enum md_code read_prepend(struct md_normalizer *normalizer, const struct md_json_value *json,
                                 size_t nesting, struct md_error *error)
{
    (void)nesting;
    struct md_normalizer_step *step = NULL;
    struct md_span text;
    struct md_json_value prepend = md_json_member(json, "prepend");
    MD_TRY(md_json_string(&prepend, &text, error));
    MD_TRY(add_step(normalizer, PREPEND, json, &step, error));
    return copy_text(normalizer->allocator, text, &step->content, &step->content_size, error);
}

static enum md_code read_replace(struct md_normalizer *normalizer, const struct md_json_value *json,
                                 size_t nesting, struct md_error *error)
{
    (void)nesting;
    struct md_normalizer_step *step = NULL;
    struct md_span content;
    struct md_json_value member = md_json_member(json, "content");
    MD_TRY(md_json_string(&member, &content, error));
    MD_TRY(add_step(normalizer, REPLACE, json, &step, error));
    MD_TRY(copy_text(normalizer->allocator, content, &step->content, &step->content_size, error));
    struct md_json_value pattern = md_json_member(json, "pattern");
    struct md_span text;
    bool is_regex;
    MD_TRY(md_json_pattern(&pattern, &text, &is_regex, error));
    if (!is_regex)
        return copy_text(normalizer->allocator, text, &step->pattern, &step->pattern_size, error);
    enum md_code code = md_regex_create(normalizer->allocator, text, &step->regex, error);
    return code == MD_INVALID_ARGUMENT ? md_json_prefix(&pattern, error, code) : code;
}

static enum md_code read_precompiled(struct md_normalizer *normalizer, const struct md_json_value *json,
                                     size_t nesting, struct md_error *error)
{
    (void)nesting;
    struct md_normalizer_step *step = NULL;
    struct md_span text;
    struct md_json_value map = md_json_member(json, "precompiled_charsmap");
    if (md_json_is_null(&map))
        return MD_OK; /* as sentencepiece models without normalization are written */
    MD_TRY(md_json_string(&map, &text, error));
    MD_TRY(add_step(normalizer, PRECOMPILED, json, &step, error));
    enum md_code code = md_charsmap_create_base64(normalizer->allocator, text, &step->map, error);
    return code == MD_INVALID_ARGUMENT ? md_json_prefix(&map, error, code) : code;
}

static enum md_code read_sequence(struct md_normalizer *normalizer, const struct md_json_value *json,
                                  size_t nesting, struct md_error *error)
{
    struct md_json_value list = md_json_member(json, "normalizers");
    MD_TRY(md_json_expect(&list, JSON_ARRAY, error));
    for (size_t i = 0; i < json_array_size(list.json); i++) {
        struct md_json_value item = md_json_element(&list, i);
        MD_TRY(read_any(normalizer, &item, nesting + 1, error));
    }
    return MD_OK;
}

/* Type, read, apply, ASCII in place. */
static const struct md_normalizer_kind kinds[KIND_COUNT] = {
    [BERT] = { "BertNormalizer", read_bert, NULL, NULL },
    [BYTE_LEVEL] = { "ByteLevel", read_byte_level, md_normalize_byte_level, NULL },
    [CLEAN_TEXT] = { "", NULL, md_normalize_clean_text, md_normalize_ascii_clean_text },
    [LOWERCASE] = { "Lowercase", read_lowercase, md_normalize_lowercase, md_normalize_ascii_lowercase },
    [NFC] = { "NFC", read_nfc, md_normalize_form, md_normalize_ascii_same },
    [NFD] = { "NFD", read_nfd, md_normalize_form, md_normalize_ascii_same },
    [NFKC] = { "NFKC", read_nfkc, md_normalize_form, md_normalize_ascii_same },
    [NFKD] = { "NFKD", read_nfkd, md_normalize_form, md_normalize_ascii_same },
    [NMT] = { "Nmt", read_nmt, md_normalize_nmt, NULL },
    [PRECOMPILED] = { "Precompiled", read_precompiled, md_normalize_precompiled, NULL },
    [PREPEND] = { "Prepend", read_prepend, md_normalize_prepend, NULL },
    [REPLACE] = { "Replace", read_replace, md_normalize_replace, NULL },
    [SEQUENCE] = { "Sequence", read_sequence, NULL, NULL },
    [SPACE_CJK] = { "", NULL, md_normalize_space_cjk, md_normalize_ascii_same },
    [STRIP] = { "Strip", read_strip, md_normalize_strip, NULL },
    [STRIP_ACCENTS] = { "StripAccents", read_strip_accents, md_normalize_strip_accents,
                        md_normalize_ascii_same },
    [STRIP_NONSPACING] = { "", NULL, md_normalize_strip_nonspacing, md_normalize_ascii_same },
};

static enum md_code read_any(struct md_normalizer *normalizer, const struct md_json_value *json,
                             size_t nesting, struct md_error *error)
{
    if (nesting > MD_MAX_STEP_NESTING)
        return md_json_fail(json, error, MD_INVALID_ARGUMENT, "nested more than %d deep",
                            MD_MAX_STEP_NESTING);
    MD_TRY(md_json_expect(json, JSON_OBJECT, error));
    struct md_json_value type = md_json_member(json, "type");
    struct md_span name;
    MD_TRY(md_json_string(&type, &name, error));
    for (size_t i = 0; i < KIND_COUNT; i++)
        if (kinds[i].read != NULL && md_span_equal(name, md_span_of(kinds[i].type)))
            return kinds[i].read(normalizer, json, nesting, error);
    return md_json_fail(&type, error, MD_UNIMPLEMENTED, "normalizer \"%s\" is not implemented", name.bytes);
}

enum md_code md_normalizer_read(const struct md_allocator *allocator, const struct md_json_value *json,
                                struct md_normalizer *out_normalizer, struct md_error *error)
{
    *out_normalizer = (struct md_normalizer){ .allocator = allocator };
    return md_json_is_null(json) ? MD_OK : read_any(out_normalizer, json, 0, error);
}

void md_normalizer_cleanup(struct md_normalizer *normalizer)
{
    for (size_t i = 0; i < normalizer->count; i++) {
        md_release(normalizer->allocator, normalizer->steps[i].content);
        md_release(normalizer->allocator, normalizer->steps[i].pattern);
        md_regex_destroy(normalizer->steps[i].regex);
        md_charsmap_destroy(normalizer->steps[i].map);
    }
    normalizer->count = 0;
}

/* ---- running ---- */

/* Runs all steps over one piece; the result is in *out_result. */
static enum md_code apply_steps(const struct md_normalizer *normalizer, struct md_working_memory *working,
                                struct md_text_view in, struct md_text_buffer **out_result,
                                struct md_error *error)
{
    struct md_text_buffer *current = &working->between[0];
    struct md_text_buffer *other = &working->between[1];
    md_text_buffer_clear(current);
    struct md_text_edit first = { .in = in, .out = current };
    md_text_edit_copy(&first, in.size);
    bool ascii = md_ascii_prefix(in.bytes, in.size) == in.size;
    for (size_t i = 0; i < normalizer->count && !current->failed; i++) {
        const struct md_normalizer_step *step = &normalizer->steps[i];
        if (ascii && step->kind->ascii != NULL) {
            step->kind->ascii(current);
            continue;
        }
        struct md_text_edit edit = { .in = md_text_buffer_view(current, 0, current->size), .out = other };
        edit.in.start = in.start;
        md_text_buffer_clear(other);
        MD_TRY(step->kind->apply(step, &edit, working, error));
        struct md_text_buffer *swapped = current;
        current = other;
        other = swapped;
        ascii = md_ascii_prefix(current->bytes, current->size) == current->size;
    }
    *out_result = current;
    return current->failed ? md_fail_memory(error, "normalized text") : MD_OK;
}

enum md_code md_normalizer_apply(const struct md_normalizer *normalizer, struct md_working_memory *working,
                                 struct md_error *error)
{
    if (normalizer->count == 0)
        return MD_OK;
    struct md_text_buffer *out = &working->next_text;
    md_text_buffer_clear(out);
    for (size_t i = 0; i < working->pieces.count; i++) {
        struct md_piece piece = md_pieces(&working->pieces)[i];
        struct md_text_view view = md_text_buffer_view(&working->text, piece.start, piece.end);
        if (piece.token == MD_NO_TOKEN) {
            struct md_text_buffer *result;
            MD_TRY(apply_steps(normalizer, working, view, &result, error));
            view = md_text_buffer_view(result, 0, result->size);
        }
        size_t start = out->size;
        struct md_text_edit edit = { .in = view, .out = out };
        md_text_edit_copy(&edit, view.size);
        MD_TRY(md_working_memory_add_piece(working, start, out->size, piece.token, error));
    }
    return md_working_memory_take_text(working, error);
}
