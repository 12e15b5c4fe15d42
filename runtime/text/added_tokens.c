/* added_tokens.c - see added_tokens.h. The search narrows the sorted tokens byte by byte; most places of a
 * text are left after one look at the set of first bytes. */
#include "added_tokens.h"

#include "allocator.h"
#include "json_value.h"
#include "normalizer.h"
#include "unicode.h"
#include "vocabulary.h"
#include "working_memory.h"

#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

static enum md_code read_flags(const struct md_json_value *json, struct md_added_token *token,
                               struct md_error *error)
{
    MD_TRY(md_json_optional_bool(json, "special", false, &token->special, error));
    MD_TRY(md_json_optional_bool(json, "single_word", false, &token->single_word, error));
    MD_TRY(md_json_optional_bool(json, "lstrip", false, &token->lstrip, error));
    MD_TRY(md_json_optional_bool(json, "rstrip", false, &token->rstrip, error));
    return md_json_optional_bool(json, "normalized", !token->special, &token->normalized, error);
}

/* The token as the normalizer would write it. */
static enum md_code normalize_content(const struct md_normalizer *normalizer,
                                      struct md_working_memory *working, struct md_span content,
                                      struct md_span *out_content, struct md_error *error)
{
    md_text_buffer_clear(&working->text);
    md_text_buffer_append_original(&working->text, content.bytes, content.size, 0);
    if (working->text.failed)
        return md_fail_memory(error, "added tokens");
    working->next_pieces.count = 0;
    MD_TRY(md_working_memory_add_piece(working, 0, content.size, MD_NO_TOKEN, error));
    md_working_memory_take_pieces(working);
    MD_TRY(md_normalizer_apply(normalizer, working, error));
    *out_content = (struct md_span){ working->text.bytes, working->text.size };
    return MD_OK;
}

static enum md_code check_id(const struct md_json_value *json, const struct md_vocabulary *vocabulary,
                             struct md_span content, int32_t id, struct md_error *error)
{
    struct md_json_value value = md_json_member(json, "id");
    int32_t known = md_vocabulary_find(vocabulary, content.bytes, content.size);
    struct md_span other = md_vocabulary_token(vocabulary, id);
    if (known != MD_NO_ID && known != id)
        return md_json_fail(&value, error, MD_INVALID_ARGUMENT, "\"%s\" has id %d here and %d in model.vocab",
                            content.bytes, id, known);
    if (known == MD_NO_ID && other.bytes != NULL)
        return md_json_fail(&value, error, MD_INVALID_ARGUMENT,
                            "\"%s\" has id %d, which model.vocab gives to \"%.*s\"", content.bytes, id,
                            (int)(other.size < 100 ? other.size : 100), other.bytes);
    return MD_OK;
}

static enum md_code read_token(const struct md_allocator *allocator, const struct md_json_value *json,
                               const struct md_vocabulary *vocabulary, const struct md_normalizer *normalizer,
                               struct md_working_memory *working, struct md_added_token *token,
                               struct md_error *error)
{
    MD_TRY(md_json_expect(json, JSON_OBJECT, error));
    struct md_json_value content_json = md_json_member(json, "content");
    struct md_json_value id_json = md_json_member(json, "id");
    struct md_span content;
    int64_t id;
    MD_TRY(md_json_string(&content_json, &content, error));
    MD_TRY(md_json_integer(&id_json, 0, MD_MAX_TOKEN_ID, &id, error));
    MD_TRY(read_flags(json, token, error));
    MD_TRY(check_id(json, vocabulary, content, (int32_t)id, error));
    token->id = (int32_t)id;
    if (content.size == 0)
        return MD_OK; /* never found, as in the reference library */
    token->written = md_allocate(allocator, content.size);
    if (token->written == NULL)
        return md_fail_memory(error, "added tokens");
    memcpy(token->written, content.bytes, content.size);
    token->written_size = content.size;
    if (token->normalized)
        MD_TRY(normalize_content(normalizer, working, content, &content, error));
    token->content = md_allocate(allocator, content.size);
    if (token->content == NULL)
        return md_fail_memory(error, "added tokens");
    if (content.size > 0)
        memcpy(token->content, content.bytes, content.size);
    token->size = content.size;
    return MD_OK;
}

static int compare_tokens(const void *left, const void *right)
{
    const struct md_added_token *a = left;
    const struct md_added_token *b = right;
    size_t common = a->size < b->size ? a->size : b->size;
    int order = common == 0 ? 0 : memcmp(a->content, b->content, common);
    if (order == 0 && a->size != b->size)
        order = a->size < b->size ? -1 : 1;
    return order != 0 ? order : (a->id > b->id) - (a->id < b->id);
}

static void finish_set(struct md_added_token_set *set)
{
    if (set->count > 1)
        qsort(set->tokens, set->count, sizeof *set->tokens, compare_tokens);
    for (size_t i = 0; i < set->count; i++) {
        if (set->tokens[i].size == 0)
            continue;
        unsigned char first = (unsigned char)set->tokens[i].content[0];
        set->first_bytes[first / 64] |= (uint64_t)1 << first % 64;
    }
}

static enum md_code read_all(struct md_added_tokens *added, const struct md_json_value *json,
                             const struct md_vocabulary *vocabulary, const struct md_normalizer *normalizer,
                             struct md_working_memory *working, struct md_error *error)
{
    for (size_t i = 0; i < json_array_size(json->json); i++) {
        struct md_json_value item = md_json_element(json, i);
        struct md_added_token token = { .index = (uint32_t)i };
        enum md_code code =
            read_token(added->allocator, &item, vocabulary, normalizer, working, &token, error);
        if (code != MD_OK) {
            md_release(added->allocator, token.content);
            md_release(added->allocator, token.written);
            return code;
        }
        struct md_added_token_set *set = token.normalized ? &added->normalized : &added->raw;
        set->tokens[set->count++] = token;
        if ((size_t)token.id >= added->id_limit)
            added->id_limit = (size_t)token.id + 1;
    }
    return MD_OK;
}

static int compare_ids(const void *left, const void *right)
{
    const struct md_added_token *const *a = left;
    const struct md_added_token *const *b = right;
    if ((*a)->id != (*b)->id)
        return (*a)->id < (*b)->id ? -1 : 1;
    return ((*a)->index > (*b)->index) - ((*a)->index < (*b)->index);
}

/* Sorts the tokens of both sets by id. INVALID_ARGUMENT: an id twice. */
static enum md_code index_ids(struct md_added_tokens *added, const struct md_json_value *json, struct md_error *error)
{
    size_t count = added->raw.count + added->normalized.count;
    added->by_id = md_allocate_zeroed(added->allocator, count, sizeof *added->by_id);
    if (added->by_id == NULL)
        return md_fail_memory(error, "added tokens");
    for (size_t i = 0; i < count; i++)
        added->by_id[i] = i < added->raw.count ? &added->raw.tokens[i] : &added->normalized.tokens[i - added->raw.count];
    if (count > 1)
        qsort((void *)added->by_id, count, sizeof *added->by_id, compare_ids);
    for (size_t i = 1; i < count; i++)
        if (added->by_id[i]->id == added->by_id[i - 1]->id) {
            struct md_json_value item = md_json_element(json, added->by_id[i]->index);
            return md_json_fail(&item, error, MD_INVALID_ARGUMENT, "id %d twice", added->by_id[i]->id);
        }
    return MD_OK;
}

enum md_code md_added_tokens_read(const struct md_allocator *allocator, const struct md_json_value *json,
                                  const struct md_vocabulary *vocabulary,
                                  const struct md_normalizer *normalizer, struct md_added_tokens *out_added,
                                  struct md_error *error)
{
    enum { MAX_ADDED = 100000 };
    *out_added = (struct md_added_tokens){ .allocator = allocator };
    if (md_json_is_null(json))
        return MD_OK;
    MD_TRY(md_json_expect(json, JSON_ARRAY, error));
    size_t count = json_array_size(json->json);
    if (count > MAX_ADDED)
        return md_json_fail(json, error, MD_INVALID_ARGUMENT, "%zu tokens, limit is %d", count, MAX_ADDED);
    out_added->raw.tokens = md_allocate_zeroed(allocator, count, sizeof *out_added->raw.tokens);
    out_added->normalized.tokens = md_allocate_zeroed(allocator, count, sizeof *out_added->normalized.tokens);
    struct md_working_memory *working = md_working_memory_create(allocator);
    enum md_code code = MD_OK;
    if (out_added->raw.tokens == NULL || out_added->normalized.tokens == NULL || working == NULL)
        code = md_fail_memory(error, "added tokens");
    else
        code = read_all(out_added, json, vocabulary, normalizer, working, error);
    md_working_memory_destroy(working);
    finish_set(&out_added->raw);
    finish_set(&out_added->normalized);
    return code == MD_OK ? index_ids(out_added, json, error) : code;
}

const struct md_added_token *md_added_tokens_find(const struct md_added_tokens *added, int32_t id)
{
    size_t low = 0;
    size_t high = added->raw.count + added->normalized.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (added->by_id[middle]->id == id)
            return added->by_id[middle];
        if (added->by_id[middle]->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static void cleanup_set(const struct md_allocator *allocator, struct md_added_token_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        md_release(allocator, set->tokens[i].content);
        md_release(allocator, set->tokens[i].written);
    }
    md_release(allocator, set->tokens);
    *set = (struct md_added_token_set){ 0 };
}

void md_added_tokens_cleanup(struct md_added_tokens *added)
{
    md_release(added->allocator, (void *)added->by_id);
    added->by_id = NULL;
    cleanup_set(added->allocator, &added->raw);
    cleanup_set(added->allocator, &added->normalized);
}

/* ---- finding ---- */

/* First token in [low, high) whose byte at `depth` is at least `byte`; tokens that end before come first. */
static size_t lower_bound(const struct md_added_token_set *set, size_t low, size_t high, size_t depth,
                          unsigned byte)
{
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct md_added_token *token = &set->tokens[middle];
        if (token->size <= depth || (unsigned char)token->content[depth] < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The longest token that `text` starts with; NULL: none. */
static const struct md_added_token *longest_at(const struct md_added_token_set *set, const char *text,
                                               size_t size)
{
    const struct md_added_token *longest = NULL;
    size_t low = 0;
    size_t high = set->count;
    for (size_t depth = 0; depth < size && low < high; depth++) {
        unsigned byte = (unsigned char)text[depth];
        low = lower_bound(set, low, high, depth, byte);
        high = lower_bound(set, low, high, depth, byte + 1);
        if (low < high && set->tokens[low].size == depth + 1)
            longest = &set->tokens[low];
    }
    return longest;
}

static bool stands_alone(const char *text, size_t size, size_t start, size_t end)
{
    uint32_t code_point;
    if (start > 0) {
        (void)md_utf8_decode_last(text, start, &code_point); /* only the character is asked for */
        if (md_is_word(code_point))
            return false;
    }
    if (end == size)
        return true;
    (void)md_utf8_decode(text + end, &code_point);
    return !md_is_word(code_point);
}

/* Start of the white space before `end`, but not before `from`. */
static size_t spaces_before(const char *text, size_t from, size_t end)
{
    while (end > from) {
        uint32_t code_point;
        size_t length = md_utf8_decode_last(text, end, &code_point);
        if (!md_is_space(code_point))
            break;
        end -= length;
    }
    return end;
}

static size_t spaces_after(const char *text, size_t at, size_t size)
{
    while (at < size) {
        uint32_t code_point;
        size_t length = md_utf8_decode(text + at, &code_point);
        if (!md_is_space(code_point))
            break;
        at += length;
    }
    return at;
}

static enum md_code extract_piece(const struct md_added_token_set *set, struct md_working_memory *working,
                                  struct md_piece piece, struct md_error *error)
{
    const char *text = working->text.bytes + piece.start;
    size_t size = piece.end - piece.start;
    size_t done = 0; /* up to here there are pieces */
    for (size_t at = 0; at < size;) {
        unsigned char first = (unsigned char)text[at];
        const struct md_added_token *token = NULL;
        if ((set->first_bytes[first / 64] >> first % 64 & 1) != 0)
            token = longest_at(set, text + at, size - at);
        if (token == NULL) {
            at++;
            continue;
        }
        size_t start = at;
        size_t end = at + token->size;
        at = end;
        if (token->single_word && !stands_alone(text, size, start, end))
            continue;
        if (token->lstrip && start > done)
            start = spaces_before(text, done, start);
        if (token->rstrip)
            end = spaces_after(text, end, size);
        MD_TRY(md_working_memory_add_piece(working, piece.start + done, piece.start + start, MD_NO_TOKEN,
                                           error));
        MD_TRY(
            md_working_memory_add_piece(working, piece.start + start, piece.start + end, token->id, error));
        done = end;
    }
    return md_working_memory_add_piece(working, piece.start + done, piece.end, MD_NO_TOKEN, error);
}

enum md_code md_added_tokens_extract(const struct md_added_token_set *set, struct md_working_memory *working,
                                     struct md_error *error)
{
    if (set->count == 0)
        return MD_OK;
    working->next_pieces.count = 0;
    for (size_t i = 0; i < working->pieces.count; i++) {
        struct md_piece piece = md_pieces(&working->pieces)[i];
        if (piece.token != MD_NO_TOKEN)
            MD_TRY(md_working_memory_add_piece(working, piece.start, piece.end, piece.token, error));
        else
            MD_TRY(extract_piece(set, working, piece, error));
    }
    md_working_memory_take_pieces(working);
    return MD_OK;
}
