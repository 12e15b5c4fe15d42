/* model_bpe.c - byte pair encoding: a word starts as its characters, and the pair of neighbours with the
 * lowest rank becomes one token, until no pair has a rank.
 *
 *   symbols   l <-> o <-> w <-> e <-> r     a linked list in an array; a merged symbol has length 0
 *   merges    (rank, position) of candidate pairs, a binary heap; entries that no longer hold are skipped
 *
 * A word of n characters takes O(n log n) steps however long it is. */
#include "model.h"

#include "allocator.h"
#include "json_text.h"
#include "json_value.h"
#include "unicode.h"
#include "working_memory.h"

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

/* One merge as it is in the file: two tokens. */
struct pair {
    char *bytes; /* both, one after the other */
    struct md_span left;
    struct md_span right;
};

/* ["a", "b"], or "a b" in older files. */
static enum md_code read_pair(struct md_json_text *text, const struct md_json_value *json, struct pair *pair,
                              struct md_error *error)
{
    size_t size;
    pair->left.bytes = pair->bytes;
    if (md_json_text_peek(text) == '[') {
        md_json_text_enter(text);
        if (!md_json_text_next(text) || !md_json_text_string(text, pair->bytes, &pair->left.size))
            return md_json_text_wrong_type(text, json, "two strings", error);
        pair->right.bytes = pair->bytes + pair->left.size;
        if (!md_json_text_next(text) || !md_json_text_string(text, pair->bytes + pair->left.size, &pair->right.size) ||
            md_json_text_next(text))
            return md_json_text_wrong_type(text, json, "two strings", error);
        return MD_OK;
    }
    if (!md_json_text_string(text, pair->bytes, &size))
        return md_json_text_wrong_type(text, json, "a string", error);
    const char *space = memchr(pair->bytes, ' ', size);
    if (space == NULL)
        return md_json_fail(json, error, MD_INVALID_ARGUMENT, "expected two tokens, found \"%.*s\"",
                            (int)(size < 100 ? size : 100), pair->bytes);
    pair->left.size = (size_t)(space - pair->bytes);
    pair->right = (struct md_span){ space + 1, size - pair->left.size - 1 };
    return MD_OK;
}

static enum md_code require(int32_t id, const struct md_json_value *json, struct md_span first, struct md_span second,
                            struct md_error *error)
{
    if (id != MD_NO_ID)
        return MD_OK;
    return md_json_fail(json, error, MD_INVALID_ARGUMENT, "\"%.*s%.*s\" is not in model.vocab",
                        (int)(first.size < 100 ? first.size : 100), first.bytes,
                        (int)(second.size < 100 ? second.size : 100), second.bytes);
}

static enum md_code add_merge(struct md_token_model *model, const struct md_json_value *json, uint32_t rank,
                              const struct pair *pair, struct md_error *error)
{
    const struct md_vocabulary *vocabulary = &model->vocabulary;
    struct md_span none = { "", 0 };
    struct md_span rest = pair->right;
    uint32_t hash = md_vocabulary_hash(md_vocabulary_hash_start(), pair->left.bytes, pair->left.size);
    struct md_bpe_merge merge = { .rank = rank };
    merge.left = md_vocabulary_find_hashed(vocabulary, hash, none, pair->left.bytes, pair->left.size);
    MD_TRY(require(merge.left, json, pair->left, none, error));
    merge.right = md_vocabulary_find(vocabulary, pair->right.bytes, pair->right.size);
    MD_TRY(require(merge.right, json, pair->right, none, error));
    if (rest.size < model->prefix_size)
        return md_json_fail(json, error, MD_INVALID_ARGUMENT, "\"%.*s\" does not start with \"%s\"", (int)rest.size,
                            rest.bytes, model->prefix);
    rest.bytes += model->prefix_size;
    rest.size -= model->prefix_size;
    hash = md_vocabulary_hash(hash, rest.bytes, rest.size);
    merge.merged = md_vocabulary_find_hashed(vocabulary, hash, pair->left, rest.bytes, rest.size);
    MD_TRY(require(merge.merged, json, pair->left, rest, error));
    *find_slot(model, merge.left, merge.right) = merge;
    return MD_OK;
}

/* Makes an empty table of `slots`. */
static enum md_code make_table(struct md_token_model *model, size_t slots, struct md_error *error)
{
    model->merges = md_allocate_zeroed(model->allocator, slots, sizeof *model->merges);
    if (model->merges == NULL)
        return md_fail_memory(error, "merges");
    model->merge_mask = slots - 1;
    for (size_t i = 0; i < slots; i++)
        model->merges[i].left = MD_NO_ID;
    return MD_OK;
}

static enum md_code fill_table(struct md_token_model *model, const struct md_json_value *json, struct md_json_text text,
                               char *bytes, struct md_error *error)
{
    struct pair pair = { .bytes = bytes };
    uint32_t rank = 0;
    md_json_text_enter(&text);
    for (; md_json_text_next(&text); rank++) {
        struct md_json_value item = { .parent = json, .index = rank };
        MD_TRY(read_pair(&text, &item, &pair, error));
        MD_TRY(add_merge(model, &item, rank, &pair, error));
    }
    return MD_OK;
}

static enum md_code read_merges(const struct md_allocator *allocator, const struct md_json_value *json,
                                struct md_span text, struct md_token_model *model, struct md_error *error)
{
    struct md_json_value list = md_json_member(json, "merges");
    struct md_json_text at = md_json_text_of(text);
    if (md_json_text_peek(&at) != '[')
        return md_json_text_wrong_type(&at, &list, "an array", error);
    struct md_json_text counted = at;
    size_t count = 0;
    size_t slots = 16;
    for (md_json_text_enter(&counted); md_json_text_next(&counted); count++)
        md_json_text_skip(&counted);
    while (slots < count * 2)
        slots *= 2;
    if (count > UINT32_MAX / 2)
        return md_json_fail(&list, error, MD_INVALID_ARGUMENT, "%zu merges, limit is %u", count, UINT32_MAX / 2);
    MD_TRY(make_table(model, slots, error));
    char *bytes = md_allocate(allocator, text.size); /* no pair is longer */
    if (bytes == NULL)
        return md_fail_memory(error, "merges");
    enum md_code code = fill_table(model, &list, at, bytes, error);
    md_release(allocator, bytes);
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

static enum md_code bpe_read(const struct md_allocator *allocator, const struct md_json_value *json,
                             const struct md_json_cut *cut, struct md_token_model *model, struct md_error *error)
{
    struct md_json_value dropout = md_json_member(json, "dropout");
    if (!md_json_is_null(&dropout) && json_number_value(dropout.json) != 0)
        return md_json_fail(&dropout, error, MD_UNIMPLEMENTED, "merges that are left out at random");
    MD_TRY(md_token_model_read_vocabulary(allocator, json, cut, NULL, model, error));
    MD_TRY(
        read_affix(allocator, json, "continuing_subword_prefix", &model->prefix, &model->prefix_size, error));
    MD_TRY(read_affix(allocator, json, "end_of_word_suffix", &model->suffix, &model->suffix_size, error));
    MD_TRY(md_json_optional_bool(json, "fuse_unk", false, &model->fuse_unknown, error));
    MD_TRY(md_json_optional_bool(json, "byte_fallback", false, &model->byte_fallback, error));
    MD_TRY(md_json_optional_bool(json, "ignore_merges", false, &model->ignore_merges, error));
    md_token_model_find_bytes(model);
    return read_merges(allocator, json, cut->merges, model, error);
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
