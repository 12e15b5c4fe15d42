/* task.c - see task.h: from a model directory to a task, and from texts to answers. */
#include "task_internal.h"

#include "allocator.h"
#include "clock.h"
#include "file.h"
#include "json_value.h"
#include "tokenizer_files.h"

#include <string.h>

enum { MAX_TEXTS = 65536 };

/* A task is chosen by the end of the architecture's name; a new kind is a row. */
static const struct md_task_kind *const kinds[] = {
    &md_task_text_classification,
};

/* ---- choosing ---- */

static bool ends_with(struct md_span text, const char *suffix)
{
    size_t size = strlen(suffix);
    return text.size >= size && memcmp(text.bytes + text.size - size, suffix, size) == 0;
}

static enum md_code choose_by_name(struct md_task *task, const struct md_json_value *name_json,
                                   struct md_error *error)
{
    struct md_span name;
    MD_TRY(md_json_string(name_json, &name, error));
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (md_span_equal(name, md_span_of(kinds[i]->name))) {
            task->kind = kinds[i];
            return md_task_add_entry(task, "task", "model.json", error, "%s", kinds[i]->name);
        }
    return md_json_fail(name_json, error, MD_UNIMPLEMENTED, "task \"%s\" is not implemented", name.bytes);
}

/* Leaves kind NULL when no architecture belongs to a text task: then tensors are served, and no texts. */
static enum md_code choose_kind(struct md_task *task, const struct md_task_files *files,
                                struct md_error *error)
{
    struct md_json_value name = md_json_member(files->model, "task");
    if (!md_json_is_null(&name))
        return choose_by_name(task, &name, error);
    struct md_json_value list = md_json_member(files->config, "architectures");
    if (md_json_is_null(&list))
        return MD_OK;
    MD_TRY(md_json_expect(&list, JSON_ARRAY, error));
    for (size_t i = 0; i < json_array_size(list.json); i++) {
        struct md_json_value item = md_json_element(&list, i);
        struct md_span architecture;
        MD_TRY(md_json_string(&item, &architecture, error));
        for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
            if (!ends_with(architecture, kinds[k]->architecture_suffix))
                continue;
            task->kind = kinds[k];
            return md_task_add_entry(task, "task", "config.json", error, "%s", kinds[k]->name);
        }
    }
    return MD_OK;
}

/* ---- life ---- */

static enum md_code configure(struct md_task *task, const struct md_task_files *files,
                              const char *model_directory, struct md_error *error)
{
    MD_TRY(choose_kind(task, files, error));
    if (task->kind == NULL)
        return MD_OK;
    MD_TRY(md_tokenizer_open(task->allocator, model_directory, &task->tokenizer, error));
    MD_TRY(md_task_configure_inputs(task, files, error));
    MD_TRY(md_task_configure_limits(task, files, error));
    MD_TRY(md_task_configure_output(task, error));
    return task->kind->prepare(task, files, error);
}

static enum md_code read_and_configure(struct md_task *task, const char *directory, struct md_error *error)
{
    json_t *config_json = NULL;
    json_t *model_json = NULL;
    enum md_code code = md_task_read_json(task->allocator, directory, "config.json", &config_json, error);
    if (code == MD_OK)
        code = md_task_read_model_json(task->allocator, directory, &model_json, error);
    struct md_json_value config = { .json = config_json, .key = "config.json" };
    struct md_json_value model = { .json = model_json, .key = "model.json" };
    struct md_task_files files = { &config, &model };
    if (code == MD_OK)
        code = configure(task, &files, directory, error);
    json_decref(config_json);
    json_decref(model_json);
    return code;
}

enum md_code md_task_create(const struct md_allocator *allocator, const char *model_directory,
                            const struct md_session *session, struct md_task **out_task,
                            struct md_error *error)
{
    if (!md_tokenizer_is_in(model_directory)) {
        *out_task = NULL;
        return MD_OK;
    }
    struct md_task *task = md_allocate_zeroed(allocator, 1, sizeof *task);
    if (task == NULL)
        return md_fail_memory(error, "task");
    task->allocator = allocator;
    task->session = session;
    task->fixed_rows = -1;
    task->fixed_tokens = -1;
    md_arena_init(&task->arena, allocator, 0);
    md_mutex_init(&task->synced.lock);
    enum md_code code = read_and_configure(task, model_directory, error);
    if (code == MD_OK && task->kind != NULL) {
        *out_task = task;
        return MD_OK;
    }
    md_task_destroy(task);
    if (code == MD_OK)
        *out_task = NULL;
    return code;
}

void md_task_destroy(struct md_task *task)
{
    if (task == NULL)
        return;
    for (size_t i = 0; i < task->synced.free_count; i++) {
        md_encoding_cleanup(task->synced.free_encodings[i]);
        md_release(task->allocator, task->synced.free_encodings[i]);
    }
    md_mutex_cleanup(&task->synced.lock);
    md_tokenizer_destroy(task->tokenizer);
    md_arena_cleanup(&task->arena);
    md_release(task->allocator, task);
}

const char *md_task_name(const struct md_task *task)
{
    return task->kind->name;
}

size_t md_task_configuration(const struct md_task *task, const struct md_configuration_entry **out_entries)
{
    *out_entries = task->entries;
    return task->entry_count;
}

/* ---- predicting ---- */

static enum md_code check_texts(const struct md_span *texts, const struct md_span *pairs, size_t count,
                                struct md_error *error)
{
    if (count == 0)
        return md_fail(error, MD_INVALID_ARGUMENT, "no texts");
    if (count > MAX_TEXTS)
        return md_fail(error, MD_INVALID_ARGUMENT, "%zu texts, limit is %d", count, MAX_TEXTS);
    for (size_t i = 0; i < count; i++) {
        if (texts[i].size == 0)
            return md_fail(error, MD_INVALID_ARGUMENT, "text %zu is empty", i);
        if (pairs != NULL && pairs[i].size == 0)
            return md_fail(error, MD_INVALID_ARGUMENT, "the second text of pair %zu is empty", i);
    }
    return MD_OK;
}

enum md_code md_task_encode(const struct md_task *task, struct md_arena *arena, const struct md_span *texts,
                            const struct md_span *pairs, size_t text_count, const struct md_task_options *options,
                            struct md_text_call *out_call, struct md_error *error)
{
    struct md_text_call *call = out_call;
    int64_t started_us = md_clock_us();
    MD_TRY(check_texts(texts, pairs, text_count, error));
    *call = (struct md_text_call){ .arena = arena, .count = text_count };
    if (options != NULL)
        call->options = *options;
    call->rows = md_arena_allocate_zeroed(arena, text_count, sizeof *call->rows);
    call->answers = md_arena_allocate_zeroed(arena, text_count, sizeof *call->answers);
    if (call->rows == NULL || call->answers == NULL)
        return md_fail_memory(error, "answers");
    MD_TRY(md_text_batch_encode(task, texts, pairs, call, error));
    for (size_t i = 0; i < text_count; i++)
        call->token_count += call->answers[i].token_count;
    call->tokenize_us = (uint64_t)(md_clock_us() - started_us);
    return MD_OK;
}

enum md_code md_task_run(const struct md_task *task, struct md_run *run, struct md_text_call *const *calls,
                         size_t call_count, struct md_error *error)
{
    return md_text_batch_run(task, run, calls, call_count, error);
}

enum md_code md_task_predict(const struct md_task *task, struct md_run *run, struct md_arena *arena,
                             const struct md_span *texts, const struct md_span *pairs, size_t text_count,
                             const struct md_task_options *options, struct md_task_result *out_result,
                             struct md_error *error)
{
    struct md_text_call call, *calls[] = { &call };
    MD_TRY(md_task_encode(task, arena, texts, pairs, text_count, options, &call, error));
    int64_t encoded_us = md_clock_us();
    MD_TRY(md_task_run(task, run, calls, 1, error));
    *out_result = (struct md_task_result){ .count = text_count,
                                           .answers = call.answers,
                                           .token_count = call.token_count,
                                           .tokenize_us = call.tokenize_us,
                                           .compute_us = (uint64_t)(md_clock_us() - encoded_us) };
    return MD_OK;
}
