/* model_wordpiece.c - WordPiece: the longest token that the word starts with, then the longest that the rest
 * starts with (written with a prefix such as "##"), and so on; a word with a rest that no token starts is
 * unknown. */
#include "model.h"

#include "json_value.h"
#include "unicode.h"
#include "working_memory.h"

enum { DEFAULT_WORD_CHARACTERS = 100 };

static enum md_code wordpiece_read(const struct md_allocator *allocator, const struct md_json_value *json,
                                   const struct md_json_cut *cut, struct md_token_model *model,
                                   struct md_error *error)
{
    int64_t max_characters;
    MD_TRY(md_token_model_read_vocabulary(allocator, json, cut, "[UNK]", model, error));
    MD_TRY(md_token_model_read_string(allocator, json, "continuing_subword_prefix", "##", &model->prefix,
                                      &model->prefix_size, error));
    MD_TRY(md_json_optional_integer(json, "max_input_chars_per_word", 0, INT64_MAX,
                                    DEFAULT_WORD_CHARACTERS, &max_characters, error));
    model->max_characters = (size_t)max_characters;
    MD_TRY(md_trie_create(allocator, &model->vocabulary, &model->trie, error));
    model->prefix_node = md_trie_find(&model->trie, (struct md_span){ model->prefix, model->prefix_size });
    return MD_OK;
}

static enum md_code wordpiece_tokenize(const struct md_token_model *model, struct md_working_memory *working,
                                       struct md_piece piece, struct md_error *error)
{
    const char *text = working->text.bytes;
    size_t first_token = working->tokens.count;
    bool can_continue = model->prefix_node != MD_TRIE_NONE || model->prefix_size == 0;
    if (piece.end - piece.start > model->max_characters &&
        md_utf8_count(text + piece.start, piece.end - piece.start) > model->max_characters)
        return md_token_model_add_unknown(model, working, piece, error);
    for (size_t at = piece.start; at < piece.end;) {
        uint32_t node = at == piece.start ? MD_TRIE_ROOT : model->prefix_node;
        size_t length = 0;
        int32_t id;
        if (at == piece.start || can_continue)
            length = md_trie_longest(&model->trie, node, (struct md_span){ text + at, piece.end - at }, &id);
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
