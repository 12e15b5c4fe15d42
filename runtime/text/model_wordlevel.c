/* model_wordlevel.c - WordLevel: a word is a token, or unknown. */
#include "model.h"

#include "working_memory.h"

static enum md_code wordlevel_read(const struct md_allocator *allocator, const struct md_json_value *json,
                                   const struct md_json_cut *cut, struct md_token_model *model,
                                   struct md_error *error)
{
    return md_token_model_read_vocabulary(allocator, json, cut, "<unk>", model, error);
}

static enum md_code wordlevel_tokenize(const struct md_token_model *model, struct md_working_memory *working,
                                       struct md_piece piece, struct md_error *error)
{
    int32_t id =
        md_vocabulary_find(&model->vocabulary, working->text.bytes + piece.start, piece.end - piece.start);
    if (id == MD_NO_ID)
        return md_token_model_add_unknown(model, working, piece, error);
    return md_working_memory_add_token(working, id, piece.start, piece.end, error);
}

const struct md_token_model_kind md_token_model_wordlevel = { "WordLevel", wordlevel_read,
                                                              wordlevel_tokenize };
