/* model_wordpiece.c - WordPiece: the longest token that the word starts with, then the longest that the rest
 * starts with (written with a prefix such as "##"), and so on; a word with a rest that no token starts is
 * unknown.
 *
 * The hashes of all prefixes of the rest are built in one pass; only lengths up to the longest token are
 * tried. */
#include "model.h"

#include "json_value.h"
#include "unicode.h"
#include "working_memory.h"

enum { MAX_TOKEN_BYTES = 1024, DEFAULT_WORD_CHARACTERS = 100 };

static enum md_code wordpiece_read(const struct md_allocator *allocator, const struct md_json_value *json,
                                   struct md_token_model *model, struct md_error *error)
{
    int64_t max_characters;
    MD_TRY(md_token_model_read_vocabulary(allocator, json, "[UNK]", model, error));
    MD_TRY(md_token_model_read_string(allocator, json, "continuing_subword_prefix", "##", &model->prefix,
                                      &model->prefix_size, error));
    MD_TRY(md_json_optional_integer(json, "max_input_chars_per_word", 0, INT64_MAX,
                                    DEFAULT_WORD_CHARACTERS, &max_characters, error));
    model->max_characters = (size_t)max_characters;
    if (model->vocabulary.longest > MAX_TOKEN_BYTES)
        return md_json_fail(json, error, MD_UNIMPLEMENTED, "a token of %zu bytes; WordPiece has at most %d",
                            model->vocabulary.longest, MAX_TOKEN_BYTES);
    return MD_OK;
}

/* Length of the longest token, with `prefix`, that `text` starts with; 0: none. */
static size_t longest_token(const struct md_token_model *model, struct md_span prefix, const char *text,
                            size_t size, int32_t *out_id)
{
    uint32_t hashes[MAX_TOKEN_BYTES];
    uint16_t ends[MAX_TOKEN_BYTES]; /* where each character of the word ends */
    uint32_t hash = md_vocabulary_hash_start();
    size_t limit = model->vocabulary.longest - (prefix.size < model->vocabulary.longest ? prefix.size : 0);
    size_t count = 0;
    for (size_t i = 0; i < prefix.size; i++)
        hash = md_vocabulary_hash_step(hash, prefix.bytes[i]);
    for (size_t at = 0; at < size && at < limit;) {
        size_t end = at + md_utf8_length(text[at]);
        while (at < end)
            hash = md_vocabulary_hash_step(hash, text[at++]);
        hashes[count] = hash;
        ends[count++] = (uint16_t)end;
    }
    while (count-- > 0) {
        *out_id = md_vocabulary_find_hashed(&model->vocabulary, hashes[count], prefix, text, ends[count]);
        if (*out_id != MD_NO_ID)
            return ends[count];
    }
    return 0;
}

static enum md_code wordpiece_tokenize(const struct md_token_model *model, struct md_working_memory *working,
                                       struct md_piece piece, struct md_error *error)
{
    const char *text = working->text.bytes;
    size_t first_token = working->tokens.count;
    if (piece.end - piece.start > model->max_characters &&
        md_utf8_count(text + piece.start, piece.end - piece.start) > model->max_characters)
        return md_token_model_add_unknown(model, working, piece, error);
    for (size_t at = piece.start; at < piece.end;) {
        struct md_span prefix = { model->prefix, at == piece.start ? 0 : model->prefix_size };
        int32_t id;
        size_t length = longest_token(model, prefix, text + at, piece.end - at, &id);
        if (length == 0) {
            working->tokens.count = first_token;
            return md_token_model_add_unknown(model, working, piece, error);
        }
        MD_TRY(md_working_memory_add_token(working, id, at, at + length, error));
        at += length;
    }
    return MD_OK;
}

const struct md_token_model_kind md_token_model_wordpiece = { "WordPiece", wordpiece_read,
                                                              wordpiece_tokenize };
