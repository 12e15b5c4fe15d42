/* model.c - see model.h. */
#include "model.h"

#include "allocator.h"
#include "json_text.h"
#include "json_value.h"
#include "working_memory.h"

#include <stdio.h>
#include <string.h>

static const struct md_token_model_kind *const kinds[] = {
    &md_token_model_bpe,
    &md_token_model_unigram,
    &md_token_model_wordlevel,
    &md_token_model_wordpiece,
};

/* Files from before "type" was written are told by what they have. */
static struct md_span guess_type(const struct md_json_value *json)
{
    struct md_json_value merges = md_json_member(json, "merges");
    struct md_json_value prefix = md_json_member(json, "continuing_subword_prefix");
    struct md_json_value unknown = md_json_member(json, "unk_id");
    if (merges.json != NULL)
        return md_span_of("BPE");
    if (unknown.json != NULL)
        return md_span_of("Unigram");
    return md_span_of(prefix.json != NULL ? "WordPiece" : "WordLevel");
}

enum md_code md_token_model_read(const struct md_allocator *allocator, const struct md_json_value *json,
                                 const struct md_json_cut *cut, struct md_token_model *out_model,
                                 struct md_error *error)
{
    *out_model = (struct md_token_model){ .allocator = allocator, .unknown_id = MD_NO_ID };
    MD_TRY(md_json_expect(json, JSON_OBJECT, error));
    struct md_json_value type = md_json_member(json, "type");
    struct md_span name;
    if (md_json_is_null(&type))
        name = guess_type(json);
    else
        MD_TRY(md_json_string(&type, &name, error));
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (md_span_equal(name, md_span_of(kinds[i]->type))) {
            out_model->kind = kinds[i];
            return kinds[i]->read(allocator, json, cut, out_model, error);
        }
    return md_json_fail(&type, error, MD_UNIMPLEMENTED, "model \"%s\" is not implemented", name.bytes);
}

void md_token_model_cleanup(struct md_token_model *model)
{
    md_vocabulary_cleanup(&model->vocabulary);
    md_release(model->allocator, model->unknown_token);
    md_release(model->allocator, model->prefix);
    md_release(model->allocator, model->suffix);
    md_release(model->allocator, model->merges);
    md_release(model->allocator, model->scores);
    md_trie_cleanup(&model->trie);
    *model = (struct md_token_model){ .allocator = model->allocator };
}

enum md_code md_token_model_read_string(const struct md_allocator *allocator,
                                        const struct md_json_value *json, const char *key, const char *absent,
                                        char **out_text, size_t *out_size, struct md_error *error)
{
    struct md_span text;
    MD_TRY(md_json_optional_string(json, key, absent, &text, error));
    if (text.bytes == NULL)
        return MD_OK;
    *out_text = md_allocate(allocator, text.size + 1);
    if (*out_text == NULL)
        return md_fail_memory(error, key);
    memcpy(*out_text, text.bytes, text.size + 1); /* both sources end in a NUL */
    if (out_size != NULL)
        *out_size = text.size;
    return MD_OK;
}

enum md_code md_token_model_read_vocabulary(const struct md_allocator *allocator,
                                            const struct md_json_value *json, const struct md_json_cut *cut,
                                            const char *default_unknown, struct md_token_model *model,
                                            struct md_error *error)
{
    struct md_json_value vocab = md_json_member(json, "vocab");
    MD_TRY(md_vocabulary_read(allocator, cut->vocab, &vocab, &model->vocabulary, error));
    size_t size = 0;
    MD_TRY(md_token_model_read_string(allocator, json, "unk_token", default_unknown, &model->unknown_token,
                                      &size, error));
    if (model->unknown_token != NULL)
        model->unknown_id = md_vocabulary_find(&model->vocabulary, model->unknown_token, size);
    return MD_OK;
}

void md_token_model_find_bytes(struct md_token_model *model)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        char token[8];
        int size = snprintf(token, sizeof token, "<0x%02X>", byte);
        model->byte_ids[byte] = md_vocabulary_find(&model->vocabulary, token, (size_t)size);
    }
}

enum md_code md_token_model_add_unknown(const struct md_token_model *model, struct md_working_memory *working,
                                        struct md_piece piece, struct md_error *error)
{
    if (model->unknown_id == MD_NO_ID) {
        size_t size = piece.end - piece.start;
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "\"%.*s\" is not in the vocabulary, and neither is the unknown token \"%s\"",
                       (int)(size < 100 ? size : 100), working->text.bytes + piece.start,
                       model->unknown_token == NULL ? "" : model->unknown_token);
    }
    return md_working_memory_add_token(working, model->unknown_id, piece.start, piece.end, error);
}
