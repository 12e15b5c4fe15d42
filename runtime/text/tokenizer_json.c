/* tokenizer_json.c - the top level of tokenizer.json; each section is read by its own file. */
#include "tokenizer_internal.h"

#include "json_text.h"
#include "json_value.h"

static enum md_code check_version(const struct md_json_value *root, struct md_error *error)
{
    struct md_span version;
    MD_TRY(md_json_optional_string(root, "version", "1.0", &version, error));
    if (md_span_equal(version, md_span_of("1.0")))
        return MD_OK;
    struct md_json_value value = md_json_member(root, "version");
    return md_json_fail(&value, error, MD_UNIMPLEMENTED, "\"%s\", this build knows \"1.0\"", version.bytes);
}

static enum md_code read_pad_id(struct md_tokenizer *tokenizer, const struct md_json_value *root,
                                struct md_error *error)
{
    struct md_json_value padding = md_json_member(root, "padding");
    if (md_json_is_null(&padding))
        return MD_OK;
    MD_TRY(md_json_expect(&padding, JSON_OBJECT, error));
    int64_t id;
    MD_TRY(md_json_optional_integer(&padding, "pad_id", 0, MD_MAX_TOKEN_ID, 0, &id, error));
    tokenizer->pad_id = (int32_t)id;
    return MD_OK;
}

static enum md_code read_sections(struct md_tokenizer *tokenizer, const struct md_json_value *root,
                                  const struct md_json_cut *cut, struct md_error *error)
{
    const struct md_allocator *allocator = tokenizer->allocator;
    struct md_json_value model = md_json_member(root, "model");
    struct md_json_value normalizer = md_json_member(root, "normalizer");
    struct md_json_value pre_tokenizer = md_json_member(root, "pre_tokenizer");
    struct md_json_value post_processor = md_json_member(root, "post_processor");
    struct md_json_value decoder = md_json_member(root, "decoder");
    struct md_json_value added = md_json_member(root, "added_tokens");
    struct md_json_value truncation = md_json_member(root, "truncation");
    MD_TRY(md_json_expect(root, JSON_OBJECT, error));
    MD_TRY(check_version(root, error));
    MD_TRY(md_truncation_read(&truncation, &tokenizer->truncation, error));
    MD_TRY(read_pad_id(tokenizer, root, error));
    MD_TRY(md_normalizer_read(allocator, &normalizer, &tokenizer->normalizer, error));
    MD_TRY(md_pre_tokenizer_read(allocator, &pre_tokenizer, &tokenizer->pre_tokenizer, error));
    MD_TRY(md_decoder_read(allocator, &decoder, &tokenizer->decoder, error));
    MD_TRY(md_post_processor_read(&post_processor, &tokenizer->post_processor, error));
    MD_TRY(md_token_model_read(allocator, &model, cut, &tokenizer->model, error));
    return md_added_tokens_read(allocator, &added, &tokenizer->model.vocabulary, &tokenizer->normalizer,
                                &tokenizer->added, error);
}

enum md_code md_tokenizer_read(struct md_tokenizer *tokenizer, const char *json, size_t size,
                               struct md_error *error)
{
    json_t *parsed = NULL;
    struct md_json_cut cut;
    struct md_span text = { json, size };
    MD_TRY(md_json_parse_cut(tokenizer->allocator, "tokenizer.json", text, &cut, &parsed, error));
    struct md_json_value root = { .json = parsed, .key = "tokenizer.json" };
    enum md_code code = read_sections(tokenizer, &root, &cut, error);
    json_decref(parsed);
    return code;
}
