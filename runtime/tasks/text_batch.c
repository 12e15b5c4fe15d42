/* text_batch.c - texts into tensors and through the session; see task_internal.h.
 *
 * Rows are sorted by length and cut into batches where that costs least (length_groups.h); the answers come in the order
 * of the texts all the same. Without an attention mask the model would take padding for text, so only rows of equal
 * length share a batch. */
#include "task_internal.h"

#include "allocator.h"
#include "length_groups.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_BATCH_ROWS = 32,
    MAX_BATCH_TOKENS = 16384,    /* of a batch, padding included; one row may have more */
    KEPT_TEXT_BYTES = 1024 * 1024 /* an encoding that has seen a longer text is not kept */
};

/* ---- encodings that are used again ---- */

static struct md_encoding *take_encoding(const struct md_task *constant_task)
{
    struct md_task *task = (struct md_task *)(uintptr_t)constant_task; /* only `synced` is written */
    struct md_encoding *encoding = NULL;
    md_mutex_lock(&task->synced.lock);
    if (task->synced.free_count > 0)
        encoding = task->synced.free_encodings[--task->synced.free_count];
    md_mutex_unlock(&task->synced.lock);
    if (encoding != NULL)
        return encoding;
    encoding = md_allocate(task->allocator, sizeof *encoding);
    if (encoding != NULL)
        md_encoding_init(encoding, task->allocator);
    return encoding;
}

static void return_encoding(const struct md_task *constant_task, struct md_encoding *encoding, bool keep)
{
    struct md_task *task = (struct md_task *)(uintptr_t)constant_task; /* only `synced` is written */
    md_mutex_lock(&task->synced.lock);
    if (keep && task->synced.free_count < MD_KEPT_ENCODINGS) {
        task->synced.free_encodings[task->synced.free_count++] = encoding;
        encoding = NULL;
    }
    md_mutex_unlock(&task->synced.lock);
    if (encoding == NULL)
        return;
    md_encoding_cleanup(encoding);
    md_release(task->allocator, encoding);
}

/* ---- texts into rows ---- */

static bool has_own_token(const struct md_encoding *encoding)
{
    for (size_t i = 0; i < encoding->count; i++)
        if (encoding->special[i] == 0)
            return true;
    return false;
}

static enum md_code check_encoding(const struct md_task *task, const struct md_text_call *call, size_t index,
                                   const struct md_encoding *encoding, struct md_error *error)
{
    if (!has_own_token(encoding))
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "text %zu has no token (only spaces or unknown characters)", index);
    if (!encoding->truncated || !call->options.refuse_long_texts)
        return MD_OK;
    if (task->max_tokens == 0)
        return md_fail(error, MD_INVALID_ARGUMENT, "text %zu has more tokens than tokenizer.json allows",
                       index);
    return md_fail(error, MD_INVALID_ARGUMENT, "text %zu has more than %zu tokens", index, task->max_tokens);
}

static enum md_code encode_row(const struct md_task *task, struct md_text_call *call, size_t index, struct md_span text,
                               struct md_span pair, struct md_encoding *encoding, struct md_error *error)
{
    struct md_text_row *row = &call->rows[index];
    enum md_code code = md_tokenizer_encode(task->tokenizer, text, pair, task->max_tokens, encoding, error);
    if (code != MD_OK)
        return code == MD_INVALID_ARGUMENT ? md_fail_prefix(error, code, "text %zu", index) : code;
    MD_TRY(check_encoding(task, call, index, encoding, error));
    size_t bytes = encoding->count * sizeof *row->ids;
    *row = (struct md_text_row){ call, index, encoding->count, md_arena_allocate(call->arena, bytes),
                                 md_arena_allocate(call->arena, bytes) };
    if (row->ids == NULL || row->type_ids == NULL)
        return md_fail_memory(error, "tokens of a text");
    memcpy(row->ids, encoding->ids, bytes);
    memcpy(row->type_ids, encoding->type_ids, bytes);
    call->answers[index].token_count = (uint32_t)encoding->count;
    call->answers[index].truncated = encoding->truncated;
    return MD_OK;
}

enum md_code md_text_batch_encode(const struct md_task *task, const struct md_span *texts, const struct md_span *pairs,
                                  struct md_text_call *call, struct md_error *error)
{
    const struct md_span none = { NULL, 0 };
    struct md_encoding *encoding = take_encoding(task);
    if (encoding == NULL)
        return md_fail_memory(error, "encoding");
    enum md_code code = MD_OK;
    bool keep = true;
    for (size_t i = 0; i < call->count && code == MD_OK; i++) {
        struct md_span pair = pairs == NULL ? none : pairs[i];
        code = encode_row(task, call, i, texts[i], pair, encoding, error);
        keep = keep && texts[i].size <= KEPT_TEXT_BYTES && pair.size <= KEPT_TEXT_BYTES;
    }
    return_encoding(task, encoding, keep);
    return code;
}

/* ---- rows into batches ---- */

/* The longest first, so that the largest memory is asked for once. */
static int compare_rows(const void *left, const void *right)
{
    const struct md_text_row *a = *(const struct md_text_row *const *)left;
    const struct md_text_row *b = *(const struct md_text_row *const *)right;
    if (a->count != b->count)
        return a->count > b->count ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

/* What one batch looks like: `filled` rows of texts, then copies of the first up to `rows`. */
struct batch {
    const struct md_text_row *const *texts;
    size_t filled;
    size_t rows;
    size_t tokens;
};

static struct batch make_batch(const struct md_task *task, const struct md_text_row *const *order, size_t filled)
{
    return (struct batch){
        .texts = order,
        .filled = filled,
        .rows = task->fixed_rows > 0 ? (size_t)task->fixed_rows : filled,
        .tokens = task->fixed_tokens > 0 ? (size_t)task->fixed_tokens : order[0]->count,
    };
}

static bool takes_mask(const struct md_task *task)
{
    bool found = false;
    for (size_t i = 0; i < md_session_input_count(task->session); i++)
        found = found || task->inputs[i].feature == MD_FEATURE_MASK;
    return found;
}

/* Cuts the sorted rows into batches: see md_length_groups. NULL: memory. */
static struct md_length_cut *cut_rows(const struct md_task *task, const struct md_text_row *const *order, size_t count,
                                      struct md_arena *arena)
{
    struct md_length_limits limits = { MAX_BATCH_ROWS, MAX_BATCH_TOKENS, takes_mask(task) || task->fixed_tokens > 0 };
    struct md_length_cut *cuts = md_arena_allocate_zeroed(arena, count + 1, sizeof *cuts);
    size_t *lengths = md_arena_allocate_zeroed(arena, count, sizeof *lengths);
    if (cuts == NULL || lengths == NULL)
        return NULL;
    if (task->fixed_rows > 0)
        limits = (struct md_length_limits){ (size_t)task->fixed_rows, SIZE_MAX, true };
    for (size_t i = 0; i < count; i++)
        lengths[i] = task->fixed_tokens > 0 ? (size_t)task->fixed_tokens : order[i]->count;
    md_length_groups(lengths, count, &limits, cuts);
    return cuts;
}

static int32_t feature_of(const struct md_task *task, enum md_text_feature feature,
                          const struct md_text_row *row, size_t column)
{
    bool padding = column >= row->count;
    switch (feature) {
    case MD_FEATURE_IDS:
        return padding ? task->pad_id : row->ids[column];
    case MD_FEATURE_MASK:
        return padding ? 0 : 1;
    case MD_FEATURE_TYPES:
        return padding ? 0 : row->type_ids[column];
    case MD_FEATURE_POSITIONS:
        return (int32_t)column;
    case MD_FEATURE_COUNT:
        break;
    }
    return 0;
}

static void fill_tensor(const struct md_task *task, struct md_text_input input, const struct batch *batch,
                        struct md_tensor *tensor)
{
    for (size_t r = 0; r < batch->rows; r++) {
        const struct md_text_row *row = batch->texts[r < batch->filled ? r : 0];
        for (size_t column = 0; column < batch->tokens; column++) {
            int32_t value = feature_of(task, input.feature, row, column);
            if (input.is_int32)
                md_elements(int32_t, tensor)[r * batch->tokens + column] = value;
            else
                md_elements(int64_t, tensor)[r * batch->tokens + column] = value;
        }
    }
}

static enum md_code set_inputs(const struct md_task *task, const struct batch *batch, struct md_arena *arena,
                               struct md_run *run, struct md_error *error)
{
    struct md_shape shape = { .rank = 2, .dims = { (int64_t)batch->rows, (int64_t)batch->tokens } };
    for (size_t i = 0; i < md_session_input_count(task->session); i++) {
        struct md_text_input input = task->inputs[i];
        struct md_tensor tensor;
        MD_TRY(md_tensor_describe(input.is_int32 ? MD_INT32 : MD_INT64, &shape, NULL, &tensor, error));
        tensor.bytes = md_arena_allocate(arena, md_tensor_size(&tensor));
        if (tensor.bytes == NULL)
            return md_fail_memory(error, "inputs of a batch");
        fill_tensor(task, input, batch, &tensor);
        MD_TRY(md_run_set_input_tensor(run, i, &tensor, error));
    }
    return MD_OK;
}

static enum md_code run_batch(const struct md_task *task, const struct batch *batch, struct md_arena *inputs,
                              struct md_run *run, struct md_error *error)
{
    MD_TRY(set_inputs(task, batch, inputs, run, error));
    MD_TRY(md_run_execute(run, error));
    const struct md_value *output = md_run_output(run, task->output);
    const struct md_signature *signature = md_session_output(task->session, task->output);
    char text[MD_SHAPE_TEXT_SIZE];
    if (output == NULL || output->kind != MD_VALUE_TENSOR)
        return md_fail(error, MD_INTERNAL, "output \"%s\" is no tensor", signature->name);
    const struct md_shape *shape = &output->tensor.shape;
    if (shape->rank < 1 || shape->dims[0] != (int64_t)batch->rows)
        return md_fail(error, MD_INTERNAL, "output \"%s\" has shape %s for a batch of %zu texts",
                       signature->name, md_shape_text(shape, text, sizeof text), batch->rows);
    MD_TRY(task->kind->check_output(task, &output->tensor, error));
    for (size_t i = 0; i < batch->filled; i++)
        MD_TRY(task->kind->read_answer(task, &output->tensor, i, batch->texts[i], error));
    return MD_OK;
}

/* The rows of all calls, the longest first. NULL: memory. */
static const struct md_text_row **sort_rows(struct md_text_call *const *calls, size_t call_count, struct md_arena *arena,
                                            size_t *out_count)
{
    size_t count = 0;
    for (size_t i = 0; i < call_count; i++)
        count += calls[i]->count;
    const struct md_text_row **order = md_arena_allocate_zeroed(arena, count, sizeof *order);
    if (order == NULL)
        return NULL;
    *out_count = 0;
    for (size_t i = 0; i < call_count; i++)
        for (size_t j = 0; j < calls[i]->count; j++)
            order[(*out_count)++] = &calls[i]->rows[j];
    qsort(order, count, sizeof *order, compare_rows);
    return order;
}

static enum md_code run_rows(const struct md_task *task, struct md_run *run, const struct md_text_row *const *order,
                             size_t count, struct md_arena *arena, struct md_error *error)
{
    const struct md_length_cut *cuts = cut_rows(task, order, count, arena);
    struct md_arena inputs; /* of one batch at a time */
    enum md_code code = MD_OK;
    if (cuts == NULL)
        return md_fail_memory(error, "order of the texts");
    md_arena_init(&inputs, task->allocator, 0);
    for (size_t done = 0; done < count && code == MD_OK;) {
        struct batch batch = make_batch(task, order + done, cuts[done].rows);
        code = run_batch(task, &batch, &inputs, run, error);
        done += batch.filled;
        md_arena_reset(&inputs);
    }
    md_arena_cleanup(&inputs);
    return code;
}

enum md_code md_text_batch_run(const struct md_task *task, struct md_run *run, struct md_text_call *const *calls,
                               size_t call_count, struct md_error *error)
{
    size_t count;
    struct md_arena *arena = calls[0]->arena; /* any of them lives long enough */
    const struct md_text_row **order = sort_rows(calls, call_count, arena, &count);
    if (order == NULL)
        return md_fail_memory(error, "order of the texts");
    for (size_t i = 0; i < md_session_output_count(task->session); i++)
        md_run_want_output(run, i, i == task->output);
    enum md_code code = run_rows(task, run, order, count, arena, error);
    for (size_t i = 0; i < md_session_output_count(task->session); i++)
        md_run_want_output(run, i, true); /* as it was: the next user of the run may want tensors */
    return code;
}
