/* task.c - see task.h: from a model directory to a task, and from texts to answers. */
#include "task_internal.h"

#include "allocator.h"
#include "clock.h"
#include "file.h"
#include "json_value.h"
#include "tokenizer_files.h"

#include <stdio.h>
#include <string.h>

enum {
    MAX_CONFIG_BYTES = 16 << 20,
    MAX_PATH_BYTES = 4096,
    MAX_TEXTS = 65536
};

/* A task is chosen by the end of the architecture's name; a new kind is a row. */
static const struct md_task_kind *const kinds[] = {
    &md_task_text_classification,
};

/* ---- files ---- */

static enum md_code join(char *out_path, const char *directory, const char *name, struct md_error *error)
{
    int size = snprintf(out_path, MAX_PATH_BYTES, "%s/%s", directory, name);
    if (size < 0 || size >= MAX_PATH_BYTES)
        return md_fail(error, MD_INVALID_ARGUMENT, "path \"%s/%s\" is longer than %d bytes", directory, name,
                       MAX_PATH_BYTES - 1);
    return MD_OK;
}

/* *out_json NULL with OK: there is no such file. */
static enum md_code read_json(const struct md_allocator *allocator, const char *directory, const char *name,
                              json_t **out_json, struct md_error *error)
{
    char path[MAX_PATH_BYTES];
    char *bytes = NULL;
    size_t size = 0;
    *out_json = NULL;
    MD_TRY(join(path, directory, name, error));
    if (!md_file_exists(path))
        return MD_OK;
    MD_TRY(md_file_read(allocator, path, MAX_CONFIG_BYTES, &bytes, &size, error));
    enum md_code code = md_json_parse(name, bytes, size, out_json, error);
    md_release(allocator, bytes);
    if (code == MD_OK && !json_is_object(*out_json))
        code = md_fail(error, MD_INVALID_ARGUMENT, "%s: expected an object", name);
    return code;
}

static enum md_code check_model_json(const struct md_json_value *model, struct md_error *error)
{
    static const char *const known[] = { "task", "max_tokens", "problem_type", "id2label" };
    const char *key;
    json_t *item;
    if (model->json == NULL)
        return MD_OK;
    json_object_foreach((json_t *)(uintptr_t)model->json, key, item) { /* the macro wants a mutable object */
        bool found = false;
        for (size_t i = 0; i < sizeof known / sizeof known[0] && !found; i++)
            found = strcmp(key, known[i]) == 0;
        struct md_json_value value = { .json = item, .parent = model, .key = key };
        if (!found)
            return md_json_fail(&value, error, MD_INVALID_ARGUMENT,
                                "not known; known are task, max_tokens, problem_type, id2label");
    }
    return MD_OK;
}

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
    MD_TRY(check_model_json(files->model, error));
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
    enum md_code code = read_json(task->allocator, directory, "config.json", &config_json, error);
    if (code == MD_OK)
        code = read_json(task->allocator, directory, "model.json", &model_json, error);
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

static enum md_code check_request(const struct md_text_request *request, struct md_error *error)
{
    if (request->count == 0)
        return md_fail(error, MD_INVALID_ARGUMENT, "no texts");
    if (request->count > MAX_TEXTS)
        return md_fail(error, MD_INVALID_ARGUMENT, "%zu texts, limit is %d", request->count, MAX_TEXTS);
    for (size_t i = 0; i < request->count; i++) {
        if (request->texts[i].size == 0)
            return md_fail(error, MD_INVALID_ARGUMENT, "text %zu is empty", i);
        if (request->pairs != NULL && request->pairs[i].size == 0)
            return md_fail(error, MD_INVALID_ARGUMENT, "the second text of pair %zu is empty", i);
    }
    return MD_OK;
}

enum md_code md_task_predict(const struct md_task *task, struct md_run *run, struct md_arena *arena,
                             const struct md_span *texts, const struct md_span *pairs, size_t text_count,
                             const struct md_task_options *options, struct md_task_result *out_result,
                             struct md_error *error)
{
    static const struct md_task_options defaults = { .top_k = 0 };
    struct md_text_request request = { texts, pairs, text_count, options == NULL ? &defaults : options,
                                       arena };
    MD_TRY(check_request(&request, error));
    struct md_text_row *rows = md_arena_allocate_zeroed(arena, text_count, sizeof *rows);
    struct md_text_answer *answers = md_arena_allocate_zeroed(arena, text_count, sizeof *answers);
    if (rows == NULL || answers == NULL)
        return md_fail_memory(error, "answers");
    int64_t started_us = md_clock_us();
    MD_TRY(md_text_batch_encode(task, &request, rows, answers, error));
    int64_t encoded_us = md_clock_us();
    MD_TRY(md_text_batch_run(task, &request, rows, run, answers, error));
    int64_t computed_us = md_clock_us();
    struct md_task_result result = { .count = text_count, .answers = answers,
                                     .tokenize_us = (uint64_t)(encoded_us - started_us),
                                     .compute_us = (uint64_t)(computed_us - encoded_us) };
    for (size_t i = 0; i < text_count; i++)
        result.token_count += answers[i].token_count;
    *out_result = result;
    return MD_OK;
}
