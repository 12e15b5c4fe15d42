/* task_config.c - what config.json, model.json and the session's signature say about a task, and the list of
 * it that `modelctl show` prints. */
#include "task_internal.h"

#include "json_value.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum md_code md_task_add_entry(struct md_task *task, const char *key, const char *source,
                               struct md_error *error, const char *format, ...)
{
    if (task->entry_count == MD_MAX_ENTRIES)
        return md_fail(error, MD_INTERNAL, "more than %d entries of configuration", MD_MAX_ENTRIES);
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *value = size < 0 ? NULL : md_arena_allocate(&task->arena, (size_t)size + 1);
    if (value != NULL)
        (void)vsnprintf(value, (size_t)size + 1, format, again); /* the size was measured above */
    va_end(again);
    if (value == NULL)
        return md_fail_memory(error, "configuration");
    task->entries[task->entry_count++] = (struct md_configuration_entry){ key, value, source };
    return MD_OK;
}

struct md_json_value md_task_setting(const struct md_task_files *files, const char *key,
                                     const char **out_source)
{
    struct md_json_value value = md_json_member(files->model, key);
    *out_source = "model.json";
    if (!md_json_is_null(&value))
        return value;
    *out_source = "config.json";
    return md_json_member(files->config, key);
}

/* ---- inputs ---- */

static const char *const feature_names[MD_FEATURE_COUNT] = { "input_ids", "attention_mask", "token_type_ids",
                                                             "position_ids" };

static enum md_code check_dims(struct md_task *task, const struct md_signature *input, struct md_error *error)
{
    char text[MD_SHAPE_TEXT_SIZE];
    if (!input->has_shape)
        return MD_OK;
    if (input->shape.rank != 2)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "input \"%s\" has shape %s, a text task needs [texts,tokens]", input->name,
                       md_shape_text(&input->shape, text, sizeof text));
    int64_t *fixed[2] = { &task->fixed_rows, &task->fixed_tokens };
    for (int i = 0; i < 2; i++) {
        int64_t dim = input->shape.dims[i];
        if (dim >= 0 && *fixed[i] >= 0 && dim != *fixed[i])
            return md_fail(error, MD_INVALID_ARGUMENT, "input \"%s\" has shape %s, another input has %" PRId64
                           " there", input->name, md_shape_text(&input->shape, text, sizeof text), *fixed[i]);
        if (dim == 0)
            return md_fail(error, MD_INVALID_ARGUMENT, "input \"%s\" has shape %s, which holds no text",
                           input->name, md_shape_text(&input->shape, text, sizeof text));
        if (dim > 0)
            *fixed[i] = dim;
    }
    return MD_OK;
}

static enum md_code configure_input(struct md_task *task, const struct md_signature *signature,
                                    struct md_text_input *out_input, struct md_error *error)
{
    for (int i = 0; i < MD_FEATURE_COUNT; i++) {
        if (strcmp(signature->name, feature_names[i]) != 0)
            continue;
        if (!signature->is_tensor || (signature->datatype != MD_INT64 && signature->datatype != MD_INT32))
            return md_fail(error, MD_INVALID_ARGUMENT, "input \"%s\" is %s, a text task needs INT64 or INT32",
                           signature->name, md_datatype_name(signature->datatype));
        *out_input = (struct md_text_input){ (enum md_text_feature)i, signature->datatype == MD_INT32 };
        return check_dims(task, signature, error);
    }
    return md_fail(
        error, MD_INVALID_ARGUMENT,
        "input \"%s\" is none that a text task can fill (input_ids, attention_mask, token_type_ids, "
        "position_ids)",
        signature->name);
}

enum md_code md_task_configure_inputs(struct md_task *task, const struct md_task_files *files,
                                      struct md_error *error)
{
    (void)files;
    size_t count = md_session_input_count(task->session);
    task->inputs = md_arena_allocate_zeroed(&task->arena, count, sizeof *task->inputs);
    if (task->inputs == NULL)
        return md_fail_memory(error, "inputs of a task");
    if (md_session_find_input(task->session, md_span_of("input_ids")) < 0)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "the model has no input \"input_ids\", which a text task needs");
    for (size_t i = 0; i < count; i++) {
        const struct md_signature *signature = md_session_input(task->session, i);
        MD_TRY(configure_input(task, signature, &task->inputs[i], error));
        MD_TRY(md_task_add_entry(task, "input", "model.onnx", error, "%s", signature->name));
    }
    return MD_OK;
}

/* ---- limits ---- */

/* Models that count positions from pad_token_id + 1 have that many fewer. */
static int64_t first_position(const struct md_json_value *config)
{
    static const char *const types[] = { "roberta", "xlm-roberta", "camembert", "longformer", "mpnet" };
    struct md_json_value type = md_json_member(config, "model_type");
    struct md_json_value pad = md_json_member(config, "pad_token_id");
    if (!json_is_string(type.json))
        return 0;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(json_string_value(type.json), types[i]) == 0)
            return json_is_integer(pad.json) ? json_integer_value(pad.json) + 1 : 0;
    return 0;
}

static enum md_code lower_limit(const struct md_json_value *object, const char *key, int64_t offset,
                                const char *source, int64_t *limit, const char **out_source,
                                struct md_error *error)
{
    int64_t value;
    MD_TRY(md_json_optional_integer(object, key, 1, INT32_MAX, 0, &value, error));
    value -= value > offset ? offset : 0;
    if (value > 0 && (*limit == 0 || value < *limit)) {
        *limit = value;
        *out_source = source;
    }
    return MD_OK;
}

enum md_code md_task_configure_limits(struct md_task *task, const struct md_task_files *files,
                                      struct md_error *error)
{
    int64_t limit = 0;
    const char *source = "tokenizer.json";
    MD_TRY(lower_limit(files->config, "max_position_embeddings", first_position(files->config), "config.json",
                       &limit, &source, error));
    MD_TRY(lower_limit(files->model, "max_tokens", 0, "model.json", &limit, &source, error));
    if (task->fixed_tokens > 0 && (limit == 0 || task->fixed_tokens < limit)) {
        limit = task->fixed_tokens;
        source = "model.onnx";
    }
    task->max_tokens = (size_t)limit;
    if (limit > 0)
        MD_TRY(md_task_add_entry(task, "max_tokens", source, error, "%" PRId64, limit));
    else
        MD_TRY(md_task_add_entry(task, "max_tokens", source, error, "as the tokenizer cuts"));
    task->pad_id = md_tokenizer_pad_id(task->tokenizer);
    MD_TRY(md_task_add_entry(task, "pad_id", "tokenizer.json", error, "%d", task->pad_id));
    return md_task_add_entry(task, "vocabulary_size", "tokenizer.json", error, "%zu",
                             md_tokenizer_vocabulary_size(task->tokenizer));
}

/* ---- output ---- */

enum md_code md_task_configure_output(struct md_task *task, struct md_error *error)
{
    if (md_session_output_count(task->session) == 0)
        return md_fail(error, MD_INVALID_ARGUMENT, "the model has no output");
    int output = md_session_find_output(task->session, md_span_of(task->kind->output_name));
    task->output = output < 0 ? 0 : (size_t)output;
    const struct md_signature *signature = md_session_output(task->session, task->output);
    if (!signature->is_tensor)
        return md_fail(error, MD_INVALID_ARGUMENT, "output \"%s\" is no tensor", signature->name);
    return md_task_add_entry(task, "output", "model.onnx", error, "%s", signature->name);
}
