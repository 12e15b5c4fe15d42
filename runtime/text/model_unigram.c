/* model_unigram.c - Unigram: of all ways to cut a text into tokens, the one with the highest sum of scores.
 *
 * One pass from left to right (Viterbi): for each end of a character the best way that ends there is kept. A character
 * that is no token costs more than any token; unknown characters in a row are one unknown token, or their bytes. Sums
 * are made in the order of the reference library, in double, so that ties fall the same way. */
#include "model.h"

#include "allocator.h"
#include "json_text.h"
#include "json_value.h"
#include "unicode.h"
#include "working_memory.h"

#define UNKNOWN_PENALTY 10.0

/* The best way to one place of the text. */
struct step {
    double score;
    uint32_t start; /* of the last token on the way */
    int32_t id;     /* of it; MD_NO_ID: no way is known yet */
};

/* ---- reading ---- */

/* A growing array of scores, by id. */
static enum md_code add_score(struct md_token_model *model, size_t count, double score, struct md_error *error)
{
    if ((count & (count - 1)) == 0) { /* 0, 1, 2, 4, ...: twice as many fit from here on */
        size_t size = sizeof *model->scores;
        void *scores = md_reallocate(model->allocator, model->scores, count * size, (count == 0 ? 1 : count * 2) * size);
        if (scores == NULL)
            return md_fail_memory(error, "vocabulary");
        model->scores = scores;
    }
    model->scores[count] = score;
    return MD_OK;
}

/* ["token", score] */
static enum md_code read_entry(struct md_json_text *text, const struct md_json_value *json,
                               struct md_token_model *model, struct md_error *error)
{
    struct md_vocabulary *vocabulary = &model->vocabulary;
    size_t index = vocabulary->count;
    struct md_json_value item = { .parent = json, .index = index };
    struct md_span token = { md_vocabulary_next(vocabulary), 0 };
    double score;
    if (md_json_text_peek(text) != '[')
        return md_json_text_wrong_type(text, &item, "a token and its score", error);
    md_json_text_enter(text);
    if (!md_json_text_next(text) || !md_json_text_string(text, md_vocabulary_next(vocabulary), &token.size) ||
        !md_json_text_next(text))
        return md_json_text_wrong_type(text, &item, "a token and its score", error);
    MD_TRY(md_json_text_number(text, &item, &score, error));
    if (md_json_text_next(text))
        return md_json_fail(&item, error, MD_INVALID_ARGUMENT, "expected a token and its score, found more");
    MD_TRY(add_score(model, index, score, error));
    return md_vocabulary_add(vocabulary, token, (int32_t)index, error);
}

static enum md_code read_vocabulary(const struct md_json_value *json, struct md_span span,
                                    struct md_token_model *model, struct md_error *error)
{
    const struct md_vocabulary_entry *twice; /* the last one holds, as in the reference library */
    struct md_json_text text = md_json_text_of(span);
    if (md_json_text_peek(&text) != '[')
        return md_json_text_wrong_type(&text, json, "an array", error);
    MD_TRY(md_vocabulary_start(&model->vocabulary, model->allocator, span.size, error));
    md_json_text_enter(&text);
    while (md_json_text_next(&text))
        MD_TRY(read_entry(&text, json, model, error));
    return md_vocabulary_finish(&model->vocabulary, &twice, error);
}

static void set_unknown_score(struct md_token_model *model)
{
    double lowest = model->vocabulary.count > 0 ? model->scores[0] : 0;
    for (size_t i = 1; i < model->vocabulary.count; i++)
        if (model->scores[i] < lowest)
            lowest = model->scores[i];
    model->unknown_score = lowest - UNKNOWN_PENALTY;
}

static enum md_code unigram_read(const struct md_allocator *allocator, const struct md_json_value *json,
                                 const struct md_json_cut *cut, struct md_token_model *model,
                                 struct md_error *error)
{
    struct md_json_value vocab = md_json_member(json, "vocab");
    int64_t unknown;
    MD_TRY(read_vocabulary(&vocab, cut->vocab, model, error));
    MD_TRY(md_json_optional_integer(json, "unk_id", 0, MD_MAX_TOKEN_ID, MD_NO_ID, &unknown, error));
    if (unknown >= (int64_t)model->vocabulary.count) {
        struct md_json_value value = md_json_member(json, "unk_id");
        return md_json_fail(&value, error, MD_INVALID_ARGUMENT, "%d, but model.vocab has %zu tokens", (int)unknown,
                            model->vocabulary.count);
    }
    model->unknown_id = (int32_t)unknown;
    MD_TRY(md_json_optional_bool(json, "byte_fallback", false, &model->byte_fallback, error));
    md_token_model_find_bytes(model);
    set_unknown_score(model);
    return md_trie_create(allocator, &model->vocabulary, &model->trie, error);
}

/* ---- tokenizing ---- */

static void offer(struct step *step, double score, size_t start, int32_t id)
{
    if (step->id == MD_NO_ID || score > step->score)
        *step = (struct step){ score, (uint32_t)start, id };
}

/* Every token that starts at `at`; false: none is one character long. */
static bool offer_tokens(const struct md_token_model *model, struct md_span text, size_t at, size_t character,
                         struct step *steps)
{
    bool has_character = false;
    double score = steps[at].score;
    uint32_t node = MD_TRIE_ROOT;
    for (size_t end = at; end < text.size;) {
        bool ends;
        node = md_trie_step(&model->trie, node, text.bytes[end++], &ends);
        if (node == MD_TRIE_NONE)
            break;
        if (!ends)
            continue;
        int32_t id = model->trie.ids[node];
        offer(&steps[end], model->scores[id] + score, at, id);
        has_character |= end - at == character;
    }
    return has_character;
}

static enum md_code find_best_way(const struct md_token_model *model, struct md_span text, struct step *steps,
                                  struct md_error *error)
{
    for (size_t i = 0; i <= text.size; i++)
        steps[i] = (struct step){ 0, 0, MD_NO_ID };
    for (size_t at = 0; at < text.size;) {
        size_t length = md_utf8_length(text.bytes[at]);
        if (!offer_tokens(model, text, at, length, steps)) {
            if (model->unknown_id == MD_NO_ID)
                return md_fail(error, MD_INVALID_ARGUMENT,
                               "\"%.*s\" is not in the vocabulary, which has no unknown token", (int)length,
                               text.bytes + at);
            offer(&steps[at + length], model->unknown_score + steps[at].score, at, model->unknown_id);
        }
        at += length;
    }
    return MD_OK;
}

/* Goes the way back and leaves in steps[k].start where the k-th token starts; returns how many there are. They are
 * written from the end of the array on, which the way has left behind. *out_first is the index of the first one. */
static size_t turn_round(const struct md_token_model *model, size_t size, struct step *steps, size_t *out_first)
{
    size_t first = size + 1;
    bool was_unknown = false;
    for (size_t end = size; end > 0;) {
        struct step step = steps[end];
        bool unknown = step.id == model->unknown_id;
        if (!unknown || !was_unknown)
            first--;
        was_unknown = unknown;
        end = step.start;
        steps[first] = step; /* first > step.start: no more tokens than bytes */
    }
    *out_first = first;
    return size + 1 - first;
}

/* What is unknown: its bytes if the vocabulary has them all, else a token over all of it. */
static enum md_code add_unknown(const struct md_token_model *model, struct md_working_memory *working, size_t start,
                                size_t end, struct md_error *error)
{
    const char *bytes = working->text.bytes;
    int32_t id = md_vocabulary_find(&model->vocabulary, bytes + start, end - start);
    bool has_all = model->byte_fallback && id == MD_NO_ID;
    for (size_t i = start; i < end && has_all; i++)
        has_all = model->byte_ids[(unsigned char)bytes[i]] != MD_NO_ID;
    if (!has_all)
        return md_working_memory_add_token(working, id == MD_NO_ID ? model->unknown_id : id, start, end, error);
    for (size_t i = start; i < end; i++)
        MD_TRY(md_working_memory_add_token(working, model->byte_ids[(unsigned char)bytes[i]], start, end, error));
    return MD_OK;
}

static enum md_code unigram_tokenize(const struct md_token_model *model, struct md_working_memory *working,
                                     struct md_piece piece, struct md_error *error)
{
    struct md_span text = { working->text.bytes + piece.start, piece.end - piece.start };
    working->steps.count = 0;
    if (!md_array_reserve(working->allocator, &working->steps, text.size + 1, sizeof(struct step)))
        return md_fail_memory(error, "tokens of a text");
    struct step *steps = working->steps.items;
    MD_TRY(find_best_way(model, text, steps, error));
    size_t first;
    size_t count = turn_round(model, text.size, steps, &first);
    for (size_t i = 0; i < count; i++) {
        struct step step = steps[first + i];
        size_t start = piece.start + step.start;
        size_t end = i + 1 < count ? piece.start + steps[first + i + 1].start : piece.end;
        if (step.id == model->unknown_id)
            MD_TRY(add_unknown(model, working, start, end, error));
        else
            MD_TRY(md_working_memory_add_token(working, step.id, start, end, error));
    }
    return MD_OK;
}

const struct md_token_model_kind md_token_model_unigram = { "Unigram", unigram_read, unigram_tokenize };
