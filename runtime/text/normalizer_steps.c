/* normalizer_steps.c - what the kinds of normalization steps do to a text; see normalizer_steps.h. */
#include "normalizer_steps.h"

#include "charsmap.h"
#include "unicode.h"
#include "working_memory.h"

#include <string.h>

typedef bool (*keep_fn)(uint32_t code_point);

static void keep_only(struct md_text_edit *edit, keep_fn keep)
{
    while (edit->at < edit->in.size) {
        uint32_t code_point;
        size_t length = md_utf8_decode(edit->in.bytes + edit->at, &code_point);
        if (keep(code_point))
            md_text_edit_copy(edit, length);
        else
            md_text_edit_skip(edit, length);
        if (edit->out->failed)
            return;
    }
}

static bool is_not_mark(uint32_t code_point)
{
    return !md_is_mark(code_point);
}

static bool is_not_nonspacing(uint32_t code_point)
{
    return !md_is_nonspacing_mark(code_point);
}

enum md_code md_normalize_strip_accents(const struct md_normalizer_step *step, struct md_text_edit *edit,
                                        struct md_working_memory *working, struct md_error *error)
{
    (void)step, (void)working, (void)error;
    keep_only(edit, is_not_mark);
    return MD_OK;
}

enum md_code md_normalize_strip_nonspacing(const struct md_normalizer_step *step, struct md_text_edit *edit,
                                           struct md_working_memory *working, struct md_error *error)
{
    (void)step, (void)working, (void)error;
    keep_only(edit, is_not_nonspacing);
    return MD_OK;
}

void md_normalize_ascii_same(struct md_text_buffer *text)
{
    (void)text;
}

/* BERT's cleaning: controls go, white space becomes ' '. */
enum md_code md_normalize_clean_text(const struct md_normalizer_step *step, struct md_text_edit *edit,
                                     struct md_working_memory *working, struct md_error *error)
{
    (void)step, (void)working, (void)error;
    while (edit->at < edit->in.size && !edit->out->failed) {
        uint32_t code_point;
        size_t length = md_utf8_decode(edit->in.bytes + edit->at, &code_point);
        if (code_point == 0xFFFD || md_is_control(code_point))
            md_text_edit_skip(edit, length);
        else if (md_is_space(code_point))
            md_text_edit_replace(edit, ' ');
        else
            md_text_edit_copy(edit, length);
    }
    return MD_OK;
}

void md_normalize_ascii_clean_text(struct md_text_buffer *text)
{
    size_t kept = 0;
    for (size_t i = 0; i < text->size; i++) {
        unsigned char byte = (unsigned char)text->bytes[i];
        if (byte < ' ' || byte == 0x7F) {
            if (byte != '\t' && byte != '\n' && byte != '\r')
                continue;
            byte = ' ';
        }
        text->bytes[kept] = (char)byte;
        text->origins[kept++] = text->origins[i];
    }
    text->size = kept;
}

enum md_code md_normalize_space_cjk(const struct md_normalizer_step *step, struct md_text_edit *edit,
                                    struct md_working_memory *working, struct md_error *error)
{
    (void)step, (void)working, (void)error;
    while (edit->at < edit->in.size && !edit->out->failed) {
        uint32_t code_point;
        size_t length = md_utf8_decode(edit->in.bytes + edit->at, &code_point);
        if (!md_is_cjk_ideograph(code_point)) {
            md_text_edit_copy(edit, length);
            continue;
        }
        md_text_edit_replace(edit, ' ');
        md_text_edit_add(edit, code_point);
        md_text_edit_add(edit, ' ');
    }
    return MD_OK;
}

enum md_code md_normalize_lowercase(const struct md_normalizer_step *step, struct md_text_edit *edit,
                                    struct md_working_memory *working, struct md_error *error)
{
    (void)step, (void)working, (void)error;
    while (edit->at < edit->in.size && !edit->out->failed) {
        uint32_t code_point;
        uint32_t lower[2];
        (void)md_utf8_decode(edit->in.bytes + edit->at, &code_point); /* replace knows the length */
        size_t count = md_lowercase(code_point, lower);
        md_text_edit_replace(edit, lower[0]);
        if (count > 1)
            md_text_edit_add(edit, lower[1]);
    }
    return MD_OK;
}

void md_normalize_ascii_lowercase(struct md_text_buffer *text)
{
    for (size_t i = 0; i < text->size; i++)
        if (text->bytes[i] >= 'A' && text->bytes[i] <= 'Z')
            text->bytes[i] = (char)(text->bytes[i] + 32);
}

static bool nmt_removes(uint32_t c)
{
    return (c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
}

static bool nmt_blanks(uint32_t c)
{
    return c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 || (c >= 0x200B && c <= 0x200F) ||
           c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
}

enum md_code md_normalize_nmt(const struct md_normalizer_step *step, struct md_text_edit *edit,
                              struct md_working_memory *working, struct md_error *error)
{
    (void)step, (void)working, (void)error;
    while (edit->at < edit->in.size && !edit->out->failed) {
        uint32_t code_point;
        size_t length = md_utf8_decode(edit->in.bytes + edit->at, &code_point);
        if (nmt_removes(code_point))
            md_text_edit_skip(edit, length);
        else if (nmt_blanks(code_point))
            md_text_edit_replace(edit, ' ');
        else
            md_text_edit_copy(edit, length);
    }
    return MD_OK;
}

enum md_code md_normalize_byte_level(const struct md_normalizer_step *step, struct md_text_edit *edit,
                                     struct md_working_memory *working, struct md_error *error)
{
    (void)step, (void)working, (void)error;
    md_text_edit_bytes(edit);
    return MD_OK;
}

enum md_code md_normalize_precompiled(const struct md_normalizer_step *step, struct md_text_edit *edit,
                                      struct md_working_memory *working, struct md_error *error)
{
    (void)working, (void)error;
    md_charsmap_apply(step->map, edit);
    return MD_OK;
}

enum md_code md_normalize_strip(const struct md_normalizer_step *step, struct md_text_edit *edit,
                                struct md_working_memory *working, struct md_error *error)
{
    (void)working, (void)error;
    size_t start = 0;
    size_t end = edit->in.size;
    uint32_t code_point;
    while (step->left && start < end) {
        size_t length = md_utf8_decode(edit->in.bytes + start, &code_point);
        if (!md_is_space(code_point))
            break;
        start += length;
    }
    while (step->right && end > start) {
        size_t length = md_utf8_decode_last(edit->in.bytes, end, &code_point);
        if (!md_is_space(code_point))
            break;
        end -= length;
    }
    md_text_edit_skip(edit, start);
    md_text_edit_copy(edit, end - start);
    return MD_OK;
}

enum md_code md_normalize_prepend(const struct md_normalizer_step *step, struct md_text_edit *edit,
                                  struct md_working_memory *working, struct md_error *error)
{
    (void)working, (void)error;
    if (edit->in.size == 0)
        return MD_OK;
    md_text_edit_insert(edit, step->content, step->content_size, edit->in.origins[0]);
    md_text_edit_copy(edit, edit->in.size);
    return MD_OK;
}

/* The content has the origin of the last character of what it stands for. */
static void replace_match(const struct md_normalizer_step *step, struct md_text_edit *edit, size_t start,
                          size_t end)
{
    md_text_edit_copy(edit, start - edit->at);
    md_text_edit_skip(edit, end - start);
    struct md_origin origin = { edit->in.start, edit->in.start };
    if (end > 0)
        origin = edit->in.origins[end - 1];
    md_text_edit_insert(edit, step->content, step->content_size, origin);
}

enum md_code md_normalize_replace(const struct md_normalizer_step *step, struct md_text_edit *edit,
                                  struct md_working_memory *working, struct md_error *error)
{
    struct md_span text = { edit->in.bytes, edit->in.size };
    size_t previous_end = SIZE_MAX;
    while (text.size > 0 && !edit->out->failed) {
        size_t start;
        size_t end;
        if (step->regex != NULL) {
            bool found;
            MD_TRY(md_regex_next(step->regex, text, edit->at, previous_end, &working->match, &found, &start,
                                 &end, error));
            if (!found)
                break;
        } else {
            const char *match =
                memmem(text.bytes + edit->at, text.size - edit->at, step->pattern, step->pattern_size);
            if (match == NULL)
                break;
            start = (size_t)(match - text.bytes);
            end = start + step->pattern_size;
        }
        replace_match(step, edit, start, end);
        previous_end = end;
    }
    if (!edit->out->failed)
        md_text_edit_copy(edit, edit->in.size - edit->at);
    return MD_OK;
}
