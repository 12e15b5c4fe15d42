/* post_processor.c - see post_processor.h. */
#include "post_processor.h"

#include "json_value.h"
#include "unicode.h"
#include "vocabulary.h"
#include "working_memory.h"

static enum md_code add_part(struct md_template *template, const struct md_json_value *json,
                             struct md_template_part part, struct md_error *error)
{
    if (template->count == MD_MAX_TEMPLATE)
        return md_json_fail(json, error, MD_INVALID_ARGUMENT, "more than %d parts", MD_MAX_TEMPLATE);
    template->parts[template->count++] = part;
    template->special_count += part.kind == MD_TEMPLATE_SPECIAL;
    return MD_OK;
}

/* ---- TemplateProcessing ---- */

static enum md_code add_special_tokens(const struct md_json_value *ids, int32_t type_id,
                                       struct md_template *template, struct md_error *error)
{
    MD_TRY(md_json_expect(ids, JSON_ARRAY, error));
    for (size_t i = 0; i < json_array_size(ids->json); i++) {
        struct md_json_value item = md_json_element(ids, i);
        int64_t id;
        MD_TRY(md_json_integer(&item, 0, MD_MAX_TOKEN_ID, &id, error));
        MD_TRY(add_part(template, ids, (struct md_template_part){ MD_TEMPLATE_SPECIAL, (int32_t)id, type_id },
                        error));
    }
    return MD_OK;
}

static enum md_code read_part(const struct md_json_value *json, const struct md_json_value *special_tokens,
                              struct md_template *template, struct md_error *error)
{
    struct md_json_value sequence = md_json_member(json, "Sequence");
    struct md_json_value special = md_json_member(json, "SpecialToken");
    const struct md_json_value *part = sequence.json != NULL ? &sequence : &special;
    if (part->json == NULL)
        return md_json_fail(json, error, MD_INVALID_ARGUMENT, "expected a Sequence or a SpecialToken");
    struct md_json_value id = md_json_member(part, "id");
    struct md_json_value type = md_json_member(part, "type_id");
    struct md_span name;
    int64_t type_id;
    MD_TRY(md_json_string(&id, &name, error));
    MD_TRY(md_json_integer(&type, 0, INT32_MAX, &type_id, error));
    if (part == &special) {
        struct md_json_value token = md_json_member(special_tokens, name.bytes);
        struct md_json_value ids = md_json_member(&token, "ids");
        if (token.json == NULL)
            return md_json_fail(&id, error, MD_INVALID_ARGUMENT, "\"%s\" is not in special_tokens",
                                name.bytes);
        return add_special_tokens(&ids, (int32_t)type_id, template, error);
    }
    bool first = md_span_equal(name, md_span_of("A"));
    if (!first && !md_span_equal(name, md_span_of("B")))
        return md_json_fail(&id, error, MD_INVALID_ARGUMENT, "\"%s\" is neither \"A\" nor \"B\"", name.bytes);
    return add_part(
        template, json,
        (struct md_template_part){ first ? MD_TEMPLATE_FIRST : MD_TEMPLATE_SECOND, 0, (int32_t)type_id },
        error);
}

static enum md_code read_template(const struct md_json_value *json, const char *key, bool has_second,
                                  struct md_template *template, struct md_error *error)
{
    struct md_json_value list = md_json_member(json, key);
    struct md_json_value special_tokens = md_json_member(json, "special_tokens");
    *template = (struct md_template){ .count = 0 };
    MD_TRY(md_json_expect(&list, JSON_ARRAY, error));
    for (size_t i = 0; i < json_array_size(list.json); i++) {
        struct md_json_value item = md_json_element(&list, i);
        MD_TRY(read_part(&item, &special_tokens, template, error));
    }
    for (size_t i = 0; i < template->count; i++)
        if (template->parts[i].kind == MD_TEMPLATE_SECOND && !has_second)
            return md_json_fail(&list, error, MD_INVALID_ARGUMENT,
                                "has Sequence \"B\", but there is no second text");
    return MD_OK;
}

static enum md_code read_template_processing(struct md_post_processor *processor,
                                             const struct md_json_value *json, struct md_error *error)
{
    MD_TRY(read_template(json, "single", false, &processor->single, error));
    return read_template(json, "pair", true, &processor->pair, error);
}

/* ---- BertProcessing and RobertaProcessing ---- */

/* ["[SEP]", 102] */
static enum md_code read_special(const struct md_json_value *json, const char *key, int32_t *out_id,
                                 struct md_error *error)
{
    struct md_json_value pair = md_json_member(json, key);
    MD_TRY(md_json_expect(&pair, JSON_ARRAY, error));
    struct md_json_value number = md_json_element(&pair, 1);
    int64_t id;
    MD_TRY(md_json_integer(&number, 0, MD_MAX_TOKEN_ID, &id, error));
    *out_id = (int32_t)id;
    return MD_OK;
}

static void set_parts(struct md_template *template, const struct md_template_part *parts, size_t count)
{
    *template = (struct md_template){ .count = count };
    for (size_t i = 0; i < count; i++) {
        template->parts[i] = parts[i];
        template->special_count += parts[i].kind == MD_TEMPLATE_SPECIAL;
    }
}

static enum md_code read_bert(struct md_post_processor *processor, const struct md_json_value *json,
                              struct md_error *error)
{
    int32_t cls;
    int32_t sep;
    MD_TRY(read_special(json, "cls", &cls, error));
    MD_TRY(read_special(json, "sep", &sep, error));
    const struct md_template_part parts[] = {
        { MD_TEMPLATE_SPECIAL, cls, 0 }, { MD_TEMPLATE_FIRST, 0, 0 },   { MD_TEMPLATE_SPECIAL, sep, 0 },
        { MD_TEMPLATE_SECOND, 0, 1 },    { MD_TEMPLATE_SPECIAL, sep, 1 },
    };
    set_parts(&processor->single, parts, 3);
    set_parts(&processor->pair, parts, 5);
    return MD_OK;
}

static enum md_code add_trim(struct md_post_processor *processor, const struct md_json_value *json,
                             struct md_error *error)
{
    bool trim;
    bool prefix;
    MD_TRY(md_json_optional_bool(json, "trim_offsets", true, &trim, error));
    MD_TRY(md_json_optional_bool(json, "add_prefix_space", true, &prefix, error));
    if (!trim)
        return MD_OK;
    if (processor->trim_count == MD_MAX_TRIMS)
        return md_json_fail(json, error, MD_INVALID_ARGUMENT, "offsets are trimmed more than %d times",
                            MD_MAX_TRIMS);
    processor->trim_adds_prefix[processor->trim_count++] = prefix;
    return MD_OK;
}

static enum md_code read_roberta(struct md_post_processor *processor, const struct md_json_value *json,
                                 struct md_error *error)
{
    int32_t cls;
    int32_t sep;
    MD_TRY(read_special(json, "cls", &cls, error));
    MD_TRY(read_special(json, "sep", &sep, error));
    const struct md_template_part parts[] = {
        { MD_TEMPLATE_SPECIAL, cls, 0 }, { MD_TEMPLATE_FIRST, 0, 0 },  { MD_TEMPLATE_SPECIAL, sep, 0 },
        { MD_TEMPLATE_SPECIAL, sep, 0 }, { MD_TEMPLATE_SECOND, 0, 0 }, { MD_TEMPLATE_SPECIAL, sep, 0 },
    };
    set_parts(&processor->single, parts, 3);
    set_parts(&processor->pair, parts, 6);
    return add_trim(processor, json, error);
}

/* ---- all kinds ---- */

static const struct {
    const char *type;
    bool is_template;
    enum md_code (*read)(struct md_post_processor *processor, const struct md_json_value *json,
                         struct md_error *error);
} kinds[] = {
    { "BertProcessing",     true,  read_bert },
    { "ByteLevel",          false, add_trim },
    { "RobertaProcessing",  true,  read_roberta },
    { "TemplateProcessing", true,  read_template_processing },
};

static enum md_code read_any(struct md_post_processor *processor, const struct md_json_value *json,
                             size_t nesting, struct md_error *error);

static enum md_code read_sequence(struct md_post_processor *processor, const struct md_json_value *json,
                                  size_t nesting, struct md_error *error)
{
    struct md_json_value list = md_json_member(json, "processors");
    MD_TRY(md_json_expect(&list, JSON_ARRAY, error));
    for (size_t i = 0; i < json_array_size(list.json); i++) {
        struct md_json_value item = md_json_element(&list, i);
        MD_TRY(read_any(processor, &item, nesting + 1, error));
    }
    return MD_OK;
}

static enum md_code read_any(struct md_post_processor *processor, const struct md_json_value *json,
                             size_t nesting, struct md_error *error)
{
    if (nesting > MD_MAX_POST_PROCESSOR_NESTING)
        return md_json_fail(json, error, MD_INVALID_ARGUMENT, "nested more than %d deep",
                            MD_MAX_POST_PROCESSOR_NESTING);
    MD_TRY(md_json_expect(json, JSON_OBJECT, error));
    struct md_json_value type = md_json_member(json, "type");
    struct md_span name;
    MD_TRY(md_json_string(&type, &name, error));
    if (md_span_equal(name, md_span_of("Sequence")))
        return read_sequence(processor, json, nesting, error);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (!md_span_equal(name, md_span_of(kinds[i].type)))
            continue;
        if (kinds[i].is_template && processor->has_template)
            return md_json_fail(json, error, MD_UNIMPLEMENTED, "a second post-processor that adds tokens");
        processor->has_template |= kinds[i].is_template;
        return kinds[i].read(processor, json, error);
    }
    return md_json_fail(&type, error, MD_UNIMPLEMENTED, "post-processor \"%s\" is not implemented",
                        name.bytes);
}

enum md_code md_post_processor_read(const struct md_json_value *json, struct md_post_processor *out_processor,
                                    struct md_error *error)
{
    const struct md_template_part parts[] = { { MD_TEMPLATE_FIRST, 0, 0 }, { MD_TEMPLATE_SECOND, 0, 1 } };
    *out_processor = (struct md_post_processor){ .trim_count = 0 };
    set_parts(&out_processor->single, parts, 1);
    set_parts(&out_processor->pair, parts, 2);
    return md_json_is_null(json) ? MD_OK : read_any(out_processor, json, 0, error);
}

/* Spaces are counted in characters of the token, which need not be spaces in the text: a space that was put
 * before the text has the origin of the character behind it. */
static uint32_t forward(struct md_span text, uint32_t at, uint32_t characters, uint32_t limit)
{
    for (; characters > 0 && at < limit; characters--)
        at += (uint32_t)md_utf8_length(text.bytes[at]);
    return at < limit ? at : limit;
}

static uint32_t backward(struct md_span text, uint32_t at, uint32_t characters, uint32_t limit)
{
    uint32_t end = at;
    uint32_t ignored;
    for (; characters > 0; characters--) {
        if (end == 0)
            return at; /* the text has fewer: it stays, as in the reference library */
        end -= (uint32_t)md_utf8_decode_last(text.bytes, end, &ignored);
    }
    return end > limit ? end : limit;
}

void md_post_processor_trim(const struct md_post_processor *processor, struct md_span text,
                            struct md_token *token, bool first)
{
    for (size_t i = 0; i < processor->trim_count; i++) {
        bool added = (first || token->start == 0) && processor->trim_adds_prefix[i];
        if (token->leading_spaces != 1 || !added) /* else it is the one that was added */
            token->start = forward(text, token->start, token->leading_spaces, token->end);
        if (token->trailing_spaces > 0)
            token->end = backward(text, token->end, token->trailing_spaces, token->start);
    }
}
