/* tokenizer.c - see tokenizer.h. The stages of one encode are drawn in working_memory.h. */
#include "tokenizer_internal.h"

#include "allocator.h"
#include "byte_alphabet.h"
#include "unicode.h"
#include "utf8.h"
#include "working_memory.h"

#include <string.h>

enum { MAX_TEXT_BYTES = 256 * 1024 * 1024 };

/* ---- life ---- */

enum md_code md_tokenizer_create(const struct md_allocator *allocator, const char *json, size_t size,
                                 struct md_tokenizer **out_tokenizer, struct md_error *error)
{
    struct md_tokenizer *tokenizer = md_allocate_zeroed(allocator, 1, sizeof *tokenizer);
    if (tokenizer == NULL)
        return md_fail_memory(error, "tokenizer");
    tokenizer->allocator = allocator;
    enum md_code code = md_tokenizer_read(tokenizer, json, size, error);
    if (code == MD_OK)
        *out_tokenizer = tokenizer;
    else
        md_tokenizer_destroy(tokenizer);
    return code;
}

void md_tokenizer_destroy(struct md_tokenizer *tokenizer)
{
    if (tokenizer == NULL)
        return;
    md_token_model_cleanup(&tokenizer->model);
    md_normalizer_cleanup(&tokenizer->normalizer);
    md_pre_tokenizer_cleanup(&tokenizer->pre_tokenizer);
    md_decoder_cleanup(&tokenizer->decoder);
    md_added_tokens_cleanup(&tokenizer->added);
    md_release(tokenizer->allocator, tokenizer);
}

size_t md_tokenizer_vocabulary_size(const struct md_tokenizer *tokenizer)
{
    size_t model = tokenizer->model.vocabulary.id_limit;
    return model > tokenizer->added.id_limit ? model : tokenizer->added.id_limit;
}

struct md_span md_tokenizer_token(const struct md_tokenizer *tokenizer, int32_t id)
{
    const struct md_added_token *added = md_added_tokens_find(&tokenizer->added, id);
    if (added != NULL)
        return (struct md_span){ added->written_size > 0 ? added->written : "", added->written_size };
    return md_vocabulary_token(&tokenizer->model.vocabulary, id);
}

int32_t md_tokenizer_pad_id(const struct md_tokenizer *tokenizer)
{
    return tokenizer->pad_id;
}

void md_encoding_init(struct md_encoding *encoding, const struct md_allocator *allocator)
{
    *encoding = (struct md_encoding){ .allocator = allocator };
}

static void release_tokens(struct md_encoding *encoding)
{
    md_release(encoding->allocator, encoding->ids);
    md_release(encoding->allocator, encoding->type_ids);
    md_release(encoding->allocator, encoding->special);
    md_release(encoding->allocator, encoding->starts);
    md_release(encoding->allocator, encoding->ends);
    encoding->ids = NULL;
    encoding->type_ids = NULL;
    encoding->special = NULL;
    encoding->starts = NULL;
    encoding->ends = NULL;
    encoding->capacity = 0;
}

void md_encoding_cleanup(struct md_encoding *encoding)
{
    release_tokens(encoding);
    md_working_memory_destroy(encoding->working_memory);
    md_encoding_init(encoding, encoding->allocator);
}

/* All arrays get room for `count` tokens. What was in them is lost. */
static enum md_code reserve_tokens(struct md_encoding *encoding, size_t count, struct md_error *error)
{
    if (count <= encoding->capacity)
        return MD_OK;
    release_tokens(encoding);
    size_t capacity = count + count / 2 + 64;
    const struct md_allocator *allocator = encoding->allocator;
    encoding->ids = md_allocate_zeroed(allocator, capacity, sizeof *encoding->ids);
    encoding->type_ids = md_allocate_zeroed(allocator, capacity, sizeof *encoding->type_ids);
    encoding->special = md_allocate_zeroed(allocator, capacity, sizeof *encoding->special);
    encoding->starts = md_allocate_zeroed(allocator, capacity, sizeof *encoding->starts);
    encoding->ends = md_allocate_zeroed(allocator, capacity, sizeof *encoding->ends);
    if (encoding->ids == NULL || encoding->type_ids == NULL || encoding->special == NULL ||
        encoding->starts == NULL || encoding->ends == NULL)
        return md_fail_memory(error, "tokens of a text");
    encoding->capacity = capacity;
    return MD_OK;
}

void md_encoding_count_characters(struct md_span text, uint32_t *offsets, size_t count)
{
    size_t bytes = 0; /* of the last one, with its characters: the next one is mostly near */
    size_t characters = 0;
    for (size_t i = 0; i < count; i++) {
        size_t offset = offsets[i] < text.size ? offsets[i] : text.size;
        if (offset >= bytes)
            characters += md_utf8_count(text.bytes + bytes, offset - bytes);
        else
            characters -= md_utf8_count(text.bytes + offset, bytes - offset);
        bytes = offset;
        offsets[i] = (uint32_t)characters;
    }
}

/* ---- one text ---- */

static enum md_code load_text(struct md_working_memory *working, struct md_span text, struct md_error *error)
{
    if (text.size > MAX_TEXT_BYTES)
        return md_fail(error, MD_INVALID_ARGUMENT, "text of %zu bytes, limit is %d", text.size,
                       MAX_TEXT_BYTES);
    size_t valid = md_utf8_valid_prefix(text.bytes, text.size);
    if (valid != text.size)
        return md_fail(error, MD_INVALID_ARGUMENT, "not UTF-8 at byte %zu", valid);
    md_text_buffer_clear(&working->text);
    md_text_buffer_append_original(&working->text, text.bytes, text.size, 0);
    if (working->text.failed)
        return md_fail_memory(error, "text");
    working->next_pieces.count = 0;
    MD_TRY(md_working_memory_add_piece(working, 0, text.size, MD_NO_TOKEN, error));
    md_working_memory_take_pieces(working);
    return MD_OK;
}

static bool is_blank(uint32_t code_point)
{
    return code_point == MD_BYTE_SPACE || md_is_space(code_point);
}

/* Counts the spaces at the ends of a token's own text, for the trimming of offsets. */
static void count_spaces(struct md_token *token, struct md_span text)
{
    uint32_t code_point;
    for (size_t at = 0; at < text.size; token->leading_spaces++) {
        at += md_utf8_decode(text.bytes + at, &code_point);
        if (!is_blank(code_point))
            break;
    }
    for (size_t end = text.size; end > 0; token->trailing_spaces++) {
        end -= md_utf8_decode_last(text.bytes, end, &code_point);
        if (!is_blank(code_point))
            break;
    }
}

static enum md_code tokenize_piece(const struct md_tokenizer *tokenizer, struct md_working_memory *working,
                                   struct md_piece piece, struct md_error *error)
{
    size_t first = working->tokens.count;
    if (piece.token != MD_NO_TOKEN)
        MD_TRY(md_working_memory_add_token(working, piece.token, piece.start, piece.end, error));
    else
        MD_TRY(tokenizer->model.kind->tokenize(&tokenizer->model, working, piece, error));
    if (tokenizer->post_processor.trim_count == 0)
        return MD_OK;
    for (size_t i = first; i < working->tokens.count; i++) {
        struct md_token *token = &md_tokens(&working->tokens)[i];
        struct md_span text = md_vocabulary_token(&tokenizer->model.vocabulary, token->id);
        if (piece.token != MD_NO_TOKEN)
            text = (struct md_span){ working->text.bytes + piece.start, piece.end - piece.start };
        count_spaces(token, text);
    }
    return MD_OK;
}

/* Appends the tokens of one text to working->tokens. *out_more: there is text that was not looked at, because
 * there are max_tokens already. */
static enum md_code encode_text(const struct md_tokenizer *tokenizer, struct md_working_memory *working,
                                struct md_span text, size_t max_tokens, bool *out_more,
                                struct md_error *error)
{
    size_t first = working->tokens.count;
    *out_more = false;
    MD_TRY(load_text(working, text, error));
    MD_TRY(md_added_tokens_extract(&tokenizer->added.raw, working, error));
    MD_TRY(md_normalizer_apply(&tokenizer->normalizer, working, error));
    MD_TRY(md_added_tokens_extract(&tokenizer->added.normalized, working, error));
    MD_TRY(md_pre_tokenizer_apply(&tokenizer->pre_tokenizer, working, error));
    for (size_t i = 0; i < working->pieces.count; i++) {
        if (working->tokens.count - first >= max_tokens) {
            *out_more = true;
            return MD_OK;
        }
        MD_TRY(tokenize_piece(tokenizer, working, md_pieces(&working->pieces)[i], error));
    }
    return MD_OK;
}

/* ---- both texts ---- */

/* Tokens of one text that stay: [first, first + count) of working->tokens. */
struct kept {
    struct md_span text;
    size_t first;
    size_t count;
};

static void write_special(struct md_encoding *encoding, const struct md_template_part *part)
{
    size_t at = encoding->count++;
    encoding->ids[at] = part->id;
    encoding->type_ids[at] = part->type_id;
    encoding->special[at] = 1;
    encoding->starts[at] = 0;
    encoding->ends[at] = 0;
}

static void write_tokens(const struct md_tokenizer *tokenizer, struct md_encoding *encoding, struct kept kept,
                         int32_t type_id)
{
    const struct md_working_memory *working = encoding->working_memory;
    for (size_t i = 0; i < kept.count; i++) {
        struct md_token token = md_tokens(&working->tokens)[kept.first + i];
        md_post_processor_trim(&tokenizer->post_processor, kept.text, &token, i == 0);
        size_t at = encoding->count++;
        encoding->ids[at] = token.id;
        encoding->type_ids[at] = type_id;
        encoding->special[at] = 0;
        encoding->starts[at] = token.start;
        encoding->ends[at] = token.end;
    }
}

static enum md_code write_template(const struct md_tokenizer *tokenizer, struct md_encoding *encoding,
                                   const struct md_template *template, const struct kept kept[2],
                                   struct md_error *error)
{
    size_t total = template->special_count;
    for (size_t i = 0; i < template->count; i++)
        if (template->parts[i].kind != MD_TEMPLATE_SPECIAL)
            total += kept[template->parts[i].kind == MD_TEMPLATE_SECOND].count;
    MD_TRY(reserve_tokens(encoding, total, error));
    encoding->count = 0;
    for (size_t i = 0; i < template->count; i++) {
        const struct md_template_part *part = &template->parts[i];
        if (part->kind == MD_TEMPLATE_SPECIAL)
            write_special(encoding, part);
        else
            write_tokens(tokenizer, encoding, kept[part->kind == MD_TEMPLATE_SECOND], part->type_id);
    }
    return MD_OK;
}

/* Cuts the tokens of the texts to what the limit leaves beside the special tokens. */
static enum md_code truncate(const struct md_truncation *truncation, size_t special_count, bool is_pair,
                             struct kept kept[2], bool *out_truncated, struct md_error *error)
{
    if (truncation->max_tokens == SIZE_MAX)
        return MD_OK;
    if (truncation->max_tokens < special_count)
        return md_fail(error, MD_INVALID_ARGUMENT, "a limit of %zu tokens, but there are %zu special tokens",
                       truncation->max_tokens, special_count);
    size_t before[2] = { kept[0].count, kept[1].count };
    MD_TRY(md_truncation_split(truncation, truncation->max_tokens - special_count, is_pair, &kept[0].count,
                               &kept[1].count, error));
    for (int i = 0; i < 2; i++) {
        *out_truncated |= kept[i].count < before[i];
        if (truncation->from_left)
            kept[i].first += before[i] - kept[i].count;
    }
    return MD_OK;
}

/* How many tokens of a text are enough to know the result. Of a pair, it matters which text is the longer
 * one. */
static size_t enough_tokens(const struct md_truncation *truncation, bool is_pair)
{
    bool all = is_pair || truncation->from_left || truncation->strategy == MD_TRUNCATE_ONLY_SECOND;
    return all ? SIZE_MAX : truncation->max_tokens;
}

static enum md_code encode_both(const struct md_tokenizer *tokenizer, struct md_span text,
                                struct md_span pair, const struct md_truncation *truncation,
                                struct md_encoding *encoding, struct md_error *error)
{
    struct md_working_memory *working = encoding->working_memory;
    bool is_pair = pair.bytes != NULL;
    size_t enough = enough_tokens(truncation, is_pair);
    bool more[2] = { false, false };
    struct kept kept[2] = { { .text = text }, { .text = pair } };
    working->tokens.count = 0;
    MD_TRY(encode_text(tokenizer, working, text, enough, &more[0], error));
    kept[0].count = working->tokens.count;
    kept[1].first = working->tokens.count;
    if (is_pair) {
        MD_TRY(encode_text(tokenizer, working, pair, enough, &more[1], error));
        kept[1].count = working->tokens.count - kept[1].first;
    }
    const struct md_template *template =
        is_pair ? &tokenizer->post_processor.pair : &tokenizer->post_processor.single;
    encoding->truncated = more[0] || more[1];
    MD_TRY(truncate(truncation, template->special_count, is_pair, kept, &encoding->truncated, error));
    return write_template(tokenizer, encoding, template, kept, error);
}

enum md_code md_tokenizer_encode(const struct md_tokenizer *tokenizer, struct md_span text,
                                 struct md_span pair, size_t max_tokens, struct md_encoding *encoding,
                                 struct md_error *error)
{
    if (encoding->working_memory == NULL)
        encoding->working_memory = md_working_memory_create(encoding->allocator);
    if (encoding->working_memory == NULL)
        return md_fail_memory(error, "encoding");
    struct md_truncation truncation = tokenizer->truncation;
    if (max_tokens != 0 && max_tokens < truncation.max_tokens)
        truncation.max_tokens = max_tokens;
    encoding->count = 0;
    encoding->truncated = false;
    return encode_both(tokenizer, text, pair, &truncation, encoding, error);
}

/* ---- decoding ---- */

void md_decoding_init(struct md_decoding *decoding, const struct md_allocator *allocator)
{
    *decoding = (struct md_decoding){ .allocator = allocator };
}

void md_decoding_cleanup(struct md_decoding *decoding)
{
    md_decoder_memory_destroy(decoding->working_memory);
    md_decoding_init(decoding, decoding->allocator);
}

static void add_decoded(const struct md_tokenizer *tokenizer, int32_t id, bool skip_special,
                        struct md_decoder_memory *memory)
{
    const struct md_added_token *added = md_added_tokens_find(&tokenizer->added, id);
    struct md_span token = md_tokenizer_token(tokenizer, id);
    if (token.bytes == NULL || (skip_special && added != NULL && added->special))
        return;
    if (tokenizer->decoder.count == 0 && memory->lists[0].parts.count > 0)
        md_decoder_add(memory, md_span_of(" "));
    md_decoder_add(memory, token);
}

enum md_code md_tokenizer_decode(const struct md_tokenizer *tokenizer, const int32_t *ids, size_t count,
                                 bool skip_special, struct md_decoding *decoding, struct md_error *error)
{
    if (decoding->working_memory == NULL)
        decoding->working_memory = md_decoder_memory_create(decoding->allocator);
    struct md_decoder_memory *memory = decoding->working_memory;
    if (memory == NULL)
        return md_fail_memory(error, "decoding");
    md_decoder_start(memory);
    for (size_t i = 0; i < count; i++)
        add_decoded(tokenizer, ids[i], skip_special, memory);
    MD_TRY(md_decoder_run(&tokenizer->decoder, memory, error));
    decoding->text = memory->text;
    return MD_OK;
}
