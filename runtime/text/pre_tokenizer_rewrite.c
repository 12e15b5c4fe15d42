/* pre_tokenizer_rewrite.c - ByteLevel and Metaspace: pre-tokenizers that change the text as they split it. */
#include "pre_tokenizer.h"

#include "known_patterns.h"
#include "unicode.h"
#include "working_memory.h"

#include <string.h>

/* ---- ByteLevel ---- */

static enum md_code split_gpt2(struct md_working_memory *working, size_t start, size_t end,
                               struct md_error *error)
{
    const char *text = working->text.bytes;
    while (start < end) {
        size_t length = md_known_pattern_gpt2((struct md_span){ text + start, end - start });
        MD_TRY(md_working_memory_add_piece(working, start, start + length, MD_NO_TOKEN, error));
        start += length;
    }
    return MD_OK;
}

/* Puts a space before every piece that has none. */
static enum md_code add_prefix_spaces(struct md_working_memory *working, struct md_error *error)
{
    struct md_text_buffer *out = &working->next_text;
    md_text_buffer_clear(out);
    for (size_t i = 0; i < working->pieces.count; i++) {
        struct md_piece piece = md_pieces(&working->pieces)[i];
        struct md_text_edit edit = { .in = md_text_buffer_view(&working->text, piece.start, piece.end),
                                     .out = out };
        size_t start = out->size;
        if (piece.token == MD_NO_TOKEN && edit.in.bytes[0] != ' ')
            md_text_edit_insert(&edit, " ", 1, edit.in.origins[0]);
        md_text_edit_copy(&edit, edit.in.size);
        MD_TRY(md_working_memory_add_piece(working, start, out->size, piece.token, error));
    }
    return md_working_memory_take_text(working, error);
}

static enum md_code to_byte_alphabet(struct md_working_memory *working, struct md_error *error)
{
    struct md_text_buffer *out = &working->next_text;
    md_text_buffer_clear(out);
    for (size_t i = 0; i < working->pieces.count; i++) {
        struct md_piece *piece = &md_pieces(&working->pieces)[i];
        struct md_text_edit edit = { .in = md_text_buffer_view(&working->text, piece->start, piece->end),
                                     .out = out };
        piece->start = (uint32_t)out->size;
        if (piece->token == MD_NO_TOKEN)
            md_text_edit_bytes(&edit);
        else
            md_text_edit_copy(&edit, edit.in.size);
        piece->end = (uint32_t)out->size;
    }
    struct md_array pieces = working->pieces; /* changed in place: they stay */
    working->pieces = working->next_pieces;
    working->next_pieces = pieces;
    return md_working_memory_take_text(working, error);
}

enum md_code md_pre_tokenize_byte_level(const struct md_pre_tokenizer_step *step,
                                        struct md_working_memory *working, struct md_error *error)
{
    if (step->add_prefix_space)
        MD_TRY(add_prefix_spaces(working, error));
    if (step->use_regex) {
        for (size_t i = 0; i < working->pieces.count; i++) {
            struct md_piece piece = md_pieces(&working->pieces)[i];
            if (piece.token != MD_NO_TOKEN)
                MD_TRY(md_working_memory_add_piece(working, piece.start, piece.end, piece.token, error));
            else
                MD_TRY(split_gpt2(working, piece.start, piece.end, error));
        }
        md_working_memory_take_pieces(working);
    }
    return to_byte_alphabet(working, error);
}

/* ---- Metaspace ---- */

static bool starts_with(const struct md_text_view *view, uint32_t character)
{
    uint32_t first = 0;
    if (view->size > 0)
        (void)md_utf8_decode(view->bytes, &first); /* only the character is asked for */
    return view->size > 0 && (first == character || first == ' ');
}

static void rewrite_metaspace(const struct md_pre_tokenizer_step *step, struct md_text_edit *edit)
{
    bool prepend =
        step->scheme == MD_PREPEND_ALWAYS || (step->scheme == MD_PREPEND_FIRST && edit->in.start == 0);
    if (prepend && !starts_with(&edit->in, step->character)) {
        char bytes[MD_MAX_UTF8];
        md_text_edit_insert(edit, bytes, md_utf8_encode(step->character, bytes), edit->in.origins[0]);
    }
    while (edit->at < edit->in.size && !edit->out->failed) {
        const char *from = edit->in.bytes + edit->at;
        const char *space = memchr(from, ' ', edit->in.size - edit->at);
        md_text_edit_copy(edit, space == NULL ? edit->in.size - edit->at : (size_t)(space - from));
        if (space != NULL)
            md_text_edit_replace(edit, step->character);
    }
}

/* Pieces of out [start, end): every meta character starts one. */
static enum md_code split_metaspace(const struct md_pre_tokenizer_step *step,
                                    struct md_working_memory *working, size_t start, size_t end,
                                    struct md_error *error)
{
    const char *text = working->next_text.bytes;
    size_t from = start;
    for (size_t at = start; at < end && step->split;) {
        uint32_t code_point;
        size_t length = md_utf8_decode(text + at, &code_point);
        if (code_point == step->character) {
            MD_TRY(md_working_memory_add_piece(working, from, at, MD_NO_TOKEN, error));
            from = at;
        }
        at += length;
    }
    return md_working_memory_add_piece(working, from, end, MD_NO_TOKEN, error);
}

enum md_code md_pre_tokenize_metaspace(const struct md_pre_tokenizer_step *step,
                                       struct md_working_memory *working, struct md_error *error)
{
    struct md_text_buffer *out = &working->next_text;
    md_text_buffer_clear(out);
    for (size_t i = 0; i < working->pieces.count; i++) {
        struct md_piece piece = md_pieces(&working->pieces)[i];
        struct md_text_edit edit = { .in = md_text_buffer_view(&working->text, piece.start, piece.end),
                                     .out = out };
        size_t start = out->size;
        if (piece.token != MD_NO_TOKEN) {
            md_text_edit_copy(&edit, edit.in.size);
            MD_TRY(md_working_memory_add_piece(working, start, out->size, piece.token, error));
            continue;
        }
        rewrite_metaspace(step, &edit);
        if (out->failed)
            break;
        MD_TRY(split_metaspace(step, working, start, out->size, error));
    }
    return md_working_memory_take_text(working, error);
}
