/* load_settings.c - see load_settings.h; and the reading of model.json, which the task needs as well. */
#include "load_settings.h"

#include "task_internal.h"

#include "allocator.h"
#include "file.h"
#include "json_value.h"

#include <stdio.h>
#include <string.h>

enum { MAX_CONFIG_BYTES = 16 << 20 };

/* BF16 keeps 8 bits of each factor (0.4 %), INT8 about 7 of the largest of its row or column; a network carries and
 * averages these errors over its layers. What stays below these bounds moves a score by little; what exceeds them is a
 * model with outliers that the precision cannot hold, not rounding. */
static const double default_bounds[MD_PRECISION_COUNT] = { [MD_PRECISION_BF16] = 0.05, [MD_PRECISION_INT8] = 0.15 };

/* ---- files ---- */

enum md_code md_task_join(char out_path[MD_TASK_PATH_SIZE], const char *directory, const char *name,
                          struct md_error *error)
{
    int size = snprintf(out_path, MD_TASK_PATH_SIZE, "%s/%s", directory, name);
    if (size < 0 || size >= MD_TASK_PATH_SIZE)
        return md_fail(error, MD_INVALID_ARGUMENT, "path \"%s/%s\" is longer than %d bytes", directory, name,
                       MD_TASK_PATH_SIZE - 1);
    return MD_OK;
}

enum md_code md_task_read_json(const struct md_allocator *allocator, const char *directory, const char *name,
                               json_t **out_json, struct md_error *error)
{
    char path[MD_TASK_PATH_SIZE];
    char *bytes = NULL;
    size_t size = 0;
    json_t *json = NULL;
    *out_json = NULL;
    MD_TRY(md_task_join(path, directory, name, error));
    if (!md_file_exists(path))
        return MD_OK;
    MD_TRY(md_file_read(allocator, path, MAX_CONFIG_BYTES, &bytes, &size, error));
    enum md_code code = md_json_parse(name, bytes, size, &json, error);
    md_release(allocator, bytes);
    if (code == MD_OK && !json_is_object(json)) {
        json_decref(json);
        return md_fail(error, MD_INVALID_ARGUMENT, "%s: expected an object", name);
    }
    if (code == MD_OK)
        *out_json = json;
    return code;
}

#define MODEL_JSON_KEYS "task, max_tokens, problem_type, id2label, precision, max_precision_difference"

static enum md_code check_keys(const struct md_json_value *model, struct md_error *error)
{
    static const char *const known[] = { "task",     "max_tokens", "problem_type",
                                         "id2label", "precision",  "max_precision_difference" };
    const char *key;
    json_t *item;
    json_object_foreach((json_t *)(uintptr_t)model->json, key, item) { /* the macro wants a mutable object */
        bool found = false;
        for (size_t i = 0; i < sizeof known / sizeof known[0] && !found; i++)
            found = strcmp(key, known[i]) == 0;
        struct md_json_value value = { .json = item, .parent = model, .key = key };
        if (!found)
            return md_json_fail(&value, error, MD_INVALID_ARGUMENT, "not known; known are " MODEL_JSON_KEYS);
    }
    return MD_OK;
}

enum md_code md_task_read_model_json(const struct md_allocator *allocator, const char *directory, json_t **out_json,
                                     struct md_error *error)
{
    json_t *json;
    MD_TRY(md_task_read_json(allocator, directory, "model.json", &json, error));
    struct md_json_value model = { .json = json, .key = "model.json" };
    enum md_code code = json == NULL ? MD_OK : check_keys(&model, error);
    if (code == MD_OK)
        *out_json = json;
    else
        json_decref(json);
    return code;
}

/* ---- settings ---- */

static enum md_code read_precision(const struct md_json_value *model, struct md_load_settings *settings,
                                   struct md_error *error)
{
    struct md_json_value value = md_json_member(model, "precision");
    struct md_span name;
    if (md_json_is_null(&value))
        return MD_OK;
    MD_TRY(md_json_string(&value, &name, error));
    settings->has_precision = true;
    if (!md_precision_find(name, &settings->precision))
        return md_json_fail(&value, error, MD_INVALID_ARGUMENT, "\"%s\" is not known; known are fp32, bf16, int8",
                            name.bytes);
    return MD_OK;
}

static enum md_code read_bound(const struct md_json_value *model, struct md_load_settings *settings,
                               struct md_error *error)
{
    struct md_json_value value = md_json_member(model, "max_precision_difference");
    if (md_json_is_null(&value))
        return MD_OK;
    double bound = json_number_value(value.json);
    if (!json_is_number(value.json) || !(bound >= 0 && bound <= 1))
        return md_json_fail(&value, error, MD_INVALID_ARGUMENT, "expected a number from 0 to 1");
    settings->has_bound = true;
    for (int i = 0; i < MD_PRECISION_COUNT; i++)
        settings->max_precision_difference[i] = bound;
    return MD_OK;
}

enum md_code md_load_settings_read(const struct md_allocator *allocator, const char *model_directory,
                                   struct md_load_settings *out_settings, struct md_error *error)
{
    struct md_load_settings settings = { .precision = MD_PRECISION_FP32 };
    json_t *json = NULL;
    memcpy(settings.max_precision_difference, default_bounds, sizeof default_bounds);
    MD_TRY(md_task_read_model_json(allocator, model_directory, &json, error));
    struct md_json_value model = { .json = json, .key = "model.json" };
    enum md_code code = read_precision(&model, &settings, error);
    if (code == MD_OK)
        code = read_bound(&model, &settings, error);
    json_decref(json);
    if (code == MD_OK)
        *out_settings = settings;
    return code;
}
