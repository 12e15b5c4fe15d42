/* model_bpe.c - byte pair encoding: a word starts as its characters, and the pair of neighbours with the
 * lowest rank becomes one token, until no pair has a rank.
 *
 *   symbols   l <-> o <-> w <-> e <-> r     a linked list in an array; a merged symbol has length 0
 *   merges    (rank, position) of candidate pairs, a binary heap; entries that no longer hold are skipped
 *
 * A word of n characters takes O(n log n) steps however long it is. */
#include "model.h"

#include "allocator.h"
#include "json_value.h"
#include "unicode.h"
#include "working_memory.h"

#include <stdio.h>
#include <string.h>

enum { MAX_AFFIX = 64 };

struct symbol {
    int32_t id;
    int32_t previous; /* -1: none */
    int32_t next;
    uint32_t length;  /* bytes of the word; 0: merged into the one before */
};

struct candidate {
    uint64_t order; /* rank, then position of the left symbol */
    int32_t merged;
};

/* ---- merges ---- */

static size_t pair_slot(const struct md_token_model *model, int32_t left, int32_t right)
{
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    key *= 0x9E3779B97F4A7C15u;
    return (size_t)(key >> 32) & model->merge_mask;
}

/* The slot of a pair: its merge, or a free one. */
static struct md_bpe_merge *find_slot(const struct md_token_model *model, int32_t left, int32_t right)
{
    size_t slot = pair_slot(model, left, right);
    while (model->merges[slot].left != MD_NO_ID &&
           (model->merges[slot].left != left || model->merges[slot].right != right))
        slot = (slot + 1) & model->merge_mask;
    return &model->merges[slot];
}

static const struct md_bpe_merge *find_merge(const struct md_token_model *model, int32_t left, int32_t right)
{
    const struct md_bpe_merge *merge = find_slot(model, left, right);
    return merge->left == MD_NO_ID ? NULL : merge;
}

/* ["a", "b"], or "a b" in older files. */
static enum md_code read_pair(const struct md_json_value *json, struct md_span *out_left,
                              struct md_span *out_right, struct md_error *error)
{
    if (json_is_array(json->json)) {
        struct md_json_value left = md_json_element(json, 0);
        struct md_json_value right = md_json_element(json, 1);
        MD_TRY(md_json_string(&left, out_left, error));
        return md_json_string(&right, out_right, error);
    }
    struct md_span text;
    MD_TRY(md_json_string(json, &text, error));
    const char *space = memchr(text.bytes, ' ', text.size);
    if (space == NULL)
        return md_json_fail(json, error, MD_INVALID_ARGUMENT, "expected two tokens, found \"%s\"",
                            text.bytes);
    *out_left = (struct md_span){ text.bytes, (size_t)(space - text.bytes) };
    *out_right = (struct md_span){ space + 1, text.size - out_left->size - 1 };
    return MD_OK;
}

static enum md_code find_token(const struct md_token_model *model, const struct md_json_value *json,
                               struct md_span token, int32_t *out_id, struct md_error *error)
{
    *out_id = md_vocabulary_find(&model->vocabulary, token.bytes, token.size);
    if (*out_id != MD_NO_ID)
        return MD_OK;
    return md_json_fail(json, error, MD_INVALID_ARGUMENT, "\"%.*s\" is not in model.vocab",
                        (int)(token.size < 100 ? token.size : 100), token.bytes);
}

static enum md_code read_merge(struct md_token_model *model, const struct md_json_value *json, uint32_t rank,
                               char *glued, struct md_error *error)
{
    struct md_span left;
    struct md_span right;
    struct md_bpe_merge merge = { .rank = rank };
    MD_TRY(read_pair(json, &left, &right, error));
    MD_TRY(find_token(model, json, left, &merge.left, error));
    MD_TRY(find_token(model, json, right, &merge.right, error));
    if (right.size < model->prefix_size)
        return md_json_fail(json, error, MD_INVALID_ARGUMENT, "\"%s\" does not start with \"%s\"",
                            right.bytes, model->prefix);
    right.bytes += model->prefix_size;
    right.size -= model->prefix_size;
    memcpy(glued, left.bytes, left.size); /* both are tokens, so they fit */
    memcpy(glued + left.size, right.bytes, right.size);
    MD_TRY(find_token(model, json, (struct md_span){ glued, left.size + right.size }, &merge.merged, error));
    *find_slot(model, merge.left, merge.right) = merge;
    return MD_OK;
}

static enum md_code read_merges(const struct md_allocator *allocator, const struct md_json_value *json,
                                struct md_token_model *model, struct md_error *error)
{
    struct md_json_value list = md_json_member(json, "merges");
    MD_TRY(md_json_expect(&list, JSON_ARRAY, error));
    size_t count = json_array_size(list.json);
    size_t slots = 16;
    while (slots < count * 2)
        slots *= 2;
    char *glued = md_allocate(allocator, model->vocabulary.longest * 2);
    model->merges = md_allocate_zeroed(allocator, slots, sizeof *model->merges);
    enum md_code code = MD_OK;
    if (glued == NULL || model->merges == NULL) {
        code = md_fail_memory(error, "merges");
        goto done;
    }
    model->merge_mask = slots - 1;
    for (size_t i = 0; i < slots; i++)
        model->merges[i].left = MD_NO_ID;
    for (size_t i = 0; i < count && code == MD_OK; i++) {
        struct md_json_value item = md_json_element(&list, i);
        code = read_merge(model, &item, (uint32_t)i, glued, error);
    }
done:
    md_release(allocator, glued);
    return code;
}

/* ---- reading ---- */

static enum md_code read_affix(const struct md_allocator *allocator, const struct md_json_value *json,
                               const char *key, char **out_text, size_t *out_size, struct md_error *error)
{
    MD_TRY(md_token_model_read_string(allocator, json, key, "", out_text, out_size, error));
    if (*out_size <= MAX_AFFIX)
        return MD_OK;
    struct md_json_value value = md_json_member(json, key);
    return md_json_fail(&value, error, MD_INVALID_ARGUMENT, "%zu bytes, limit is %d", *out_size, MAX_AFFIX);
}

static void find_byte_tokens(struct md_token_model *model)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        char token[8];
        int size = snprintf(token, sizeof token, "<0x%02X>", byte);
        model->byte_ids[byte] = md_vocabulary_find(&model->vocabulary, token, (size_t)size);
    }
}

static enum md_code bpe_read(const struct md_allocator *allocator, const struct md_json_value *json,
                             struct md_token_model *model, struct md_error *error)
{
    struct md_json_value dropout = md_json_member(json, "dropout");
    if (!md_json_is_null(&dropout) && json_number_value(dropout.json) != 0)
        return md_json_fail(&dropout, error, MD_UNIMPLEMENTED, "merges that are left out at random");
    MD_TRY(md_token_model_read_vocabulary(allocator, json, NULL, model, error));
    MD_TRY(
        read_affix(allocator, json, "continuing_subword_prefix", &model->prefix, &model->prefix_size, error));
    MD_TRY(read_affix(allocator, json, "end_of_word_suffix", &model->suffix, &model->suffix_size, error));
    MD_TRY(md_json_optional_bool(json, "fuse_unk", false, &model->fuse_unknown, error));
    MD_TRY(md_json_optional_bool(json, "byte_fallback", false, &model->byte_fallback, error));
    MD_TRY(md_json_optional_bool(json, "ignore_merges", false, &model->ignore_merges, error));
    find_byte_tokens(model);
    return read_merges(allocator, json, model, error);
}

/* ---- a word's symbols ---- */

struct word {
    const struct md_token_model *model;
    struct md_working_memory *working;
    const char *text;
    size_t size;
    uint32_t unknown_length; /* bytes that are unknown and not yet a symbol; 0: none */
};

static struct symbol *symbols_of(const struct md_working_memory *working)
{
    return working->symbols.items;
}

static bool add_symbol(struct word *word, int32_t id, uint32_t length)
{
    struct md_array *symbols = &word->working->symbols;
    if (!md_array_reserve(word->working->allocator, symbols, 1, sizeof(struct symbol)))
        return false;
    int32_t index = (int32_t)symbols->count;
    struct symbol *items = symbols->items;
    items[index] = (struct symbol){ .id = id, .previous = index - 1, .next = -1, .length = length };
    if (index > 0)
        items[index - 1].next = index;
    symbols->count++;
    return true;
}

static bool flush_unknown(struct word *word)
{
    if (word->unknown_length == 0)
        return true;
    uint32_t length = word->unknown_length;
    word->unknown_length = 0;
    return add_symbol(word, word->model->unknown_id, length);
}

/* The bytes of a character as "<0xE2>" tokens, if the vocabulary has them all. *out_done false: it does not.
 */
static bool add_bytes(struct word *word, const char *bytes, size_t size, bool *out_done)
{
    *out_done = false;
    for (size_t i = 0; i < size; i++)
        if (word->model->byte_ids[(unsigned char)bytes[i]] == MD_NO_ID)
            return true;
    *out_done = true;
    for (size_t i = 0; i < size; i++)
        if (!add_symbol(word, word->model->byte_ids[(unsigned char)bytes[i]], 1))
            return false;
    return true;
}

static enum md_code add_unknown(struct word *word, size_t at, uint32_t length, struct md_error *error)
{
    const struct md_token_model *model = word->model;
    if (model->unknown_token == NULL)
        return MD_OK; /* such a character leaves no token */
    if (model->unknown_id == MD_NO_ID)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "\"%.*s\" is not in the vocabulary, and neither is the unknown token \"%s\"",
                       (int)length, word->text + at, model->unknown_token);
    if (!model->fuse_unknown && !flush_unknown(word))
        return md_fail_memory(error, "symbols of a word");
    word->unknown_length += length;
    return MD_OK;
}

static enum md_code add_character(struct word *word, size_t at, size_t length, struct md_error *error)
{
    const struct md_token_model *model = word->model;
    char affixed[2 * MAX_AFFIX + MD_MAX_UTF8];
    const char *bytes = word->text + at;
    size_t size = length;
    bool with_prefix = at > 0 && model->prefix_size > 0;
    bool with_suffix = at + length == word->size && model->suffix_size > 0;
    if (with_prefix || with_suffix) {
        size_t before = with_prefix ? model->prefix_size : 0;
        size_t after = with_suffix ? model->suffix_size : 0;
        memcpy(affixed, model->prefix, before);
        memcpy(affixed + before, word->text + at, length);
        memcpy(affixed + before + length, model->suffix, after);
        bytes = affixed;
        size = before + length + after;
    }
    int32_t id = md_vocabulary_find(&model->vocabulary, bytes, size);
    bool done = false;
    bool memory = true;
    if (id != MD_NO_ID)
        memory = flush_unknown(word) && add_symbol(word, id, (uint32_t)length);
    else if (model->byte_fallback)
        memory = add_bytes(word, bytes, size, &done);
    if (!memory)
        return md_fail_memory(error, "symbols of a word");
    return id != MD_NO_ID || done ? MD_OK : add_unknown(word, at, (uint32_t)length, error);
}

/* ---- merging ---- */

static bool push_candidate(struct word *word, int32_t left)
{
    const struct symbol *symbols = symbols_of(word->working);
    int32_t right = symbols[left].next;
    if (right < 0)
        return true;
    const struct md_bpe_merge *merge = find_merge(word->model, symbols[left].id, symbols[right].id);
    if (merge == NULL)
        return true;
    struct md_array *heap = &word->working->merges;
    if (!md_array_reserve(word->working->allocator, heap, 1, sizeof(struct candidate)))
        return false;
    struct candidate *items = heap->items;
    struct candidate added = { (uint64_t)merge->rank << 32 | (uint32_t)left, merge->merged };
    size_t at = heap->count++;
    for (; at > 0 && items[(at - 1) / 2].order > added.order; at = (at - 1) / 2)
        items[at] = items[(at - 1) / 2];
    items[at] = added;
    return true;
}

static struct candidate pop_candidate(struct md_array *heap)
{
    struct candidate *items = heap->items;
    struct candidate first = items[0];
    struct candidate last = items[--heap->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && items[child + 1].order < items[child].order)
            child++;
        if (items[child].order >= last.order)
            break;
        items[at] = items[child];
        at = child;
    }
    items[at] = last;
    return first;
}

/* A candidate is stale when one of its symbols has changed since. */
static bool still_holds(const struct word *word, struct candidate candidate, int32_t left)
{
    const struct symbol *symbols = symbols_of(word->working);
    if (symbols[left].length == 0 || symbols[left].next < 0)
        return false;
    const struct md_bpe_merge *merge =
        find_merge(word->model, symbols[left].id, symbols[symbols[left].next].id);
    return merge != NULL && merge->merged == candidate.merged;
}

static bool merge_all(struct word *word)
{
    struct md_array *heap = &word->working->merges;
    size_t count = word->working->symbols.count;
    heap->count = 0;
    for (size_t i = 0; i < count; i++)
        if (!push_candidate(word, (int32_t)i))
            return false;
    while (heap->count > 0) {
        struct candidate candidate = pop_candidate(heap);
        int32_t left = (int32_t)(candidate.order & UINT32_MAX);
        if (!still_holds(word, candidate, left))
            continue;
        struct symbol *symbols = symbols_of(word->working);
        struct symbol *right = &symbols[symbols[left].next];
        symbols[left].id = candidate.merged;
        symbols[left].length += right->length;
        symbols[left].next = right->next;
        right->length = 0;
        if (right->next >= 0)
            symbols[right->next].previous = left;
        if (symbols[left].previous >= 0 && !push_candidate(word, symbols[left].previous))
            return false;
        if (!push_candidate(word, left))
            return false;
    }
    return true;
}

static enum md_code bpe_tokenize(const struct md_token_model *model, struct md_working_memory *working,
                                 struct md_piece piece, struct md_error *error)
{
    struct word word = { .model = model, .working = working, .text = working->text.bytes + piece.start,
                         .size = piece.end - piece.start };
    if (model->ignore_merges) {
        int32_t id = md_vocabulary_find(&model->vocabulary, word.text, word.size);
        if (id != MD_NO_ID)
            return md_working_memory_add_token(working, id, piece.start, piece.end, error);
    }
    working->symbols.count = 0;
    for (size_t at = 0; at < word.size;) {
        size_t length = md_utf8_length(word.text[at]);
        MD_TRY(add_character(&word, at, length, error));
        at += length;
    }
    if (!flush_unknown(&word) || !merge_all(&word))
        return md_fail_memory(error, "symbols of a word");
    const struct symbol *symbols = symbols_of(working);
    size_t at = piece.start;
    for (size_t i = 0; i < working->symbols.count; i++) {
        if (symbols[i].length == 0)
            continue;
        size_t end = at + symbols[i].length;
        MD_TRY(md_working_memory_add_token(working, symbols[i].id, at, end < piece.end ? end : piece.end,
                                           error));
        at = end < piece.end ? end : piece.end;
    }
    return MD_OK;
}

const struct md_token_model_kind md_token_model_bpe = { "BPE", bpe_read, bpe_tokenize };
