/* json_value.c - see json_value.h. */
#include "json_value.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_PATH = 256 };

enum md_code md_json_parse(const char *file, const char *bytes, size_t size, json_t **out_root,
                           struct md_error *error)
{
    json_error_t reason;
    json_t *root = json_loadb(bytes, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &reason);
    if (root == NULL) {
        if (json_error_code(&reason) == json_error_out_of_memory)
            return md_fail_memory(error, file);
        return md_fail(error, MD_INVALID_ARGUMENT, "%s: line %d column %d: %s", file, reason.line,
                       reason.column, reason.text);
    }
    *out_root = root;
    return MD_OK;
}

struct md_json_value md_json_member(const struct md_json_value *object, const char *key)
{
    const json_t *json = json_is_object(object->json) ? json_object_get(object->json, key) : NULL;
    return (struct md_json_value){ .json = json, .parent = object, .key = key };
}

struct md_json_value md_json_element(const struct md_json_value *array, size_t index)
{
    const json_t *json = json_array_get(array->json, index);
    return (struct md_json_value){ .json = json, .parent = array, .index = index };
}

bool md_json_is_null(const struct md_json_value *value)
{
    return value->json == NULL || json_is_null(value->json);
}

static bool is_plain_key(const char *key)
{
    size_t plain = strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    return plain > 0 && key[plain] == '\0';
}

/* Appends one step of the path; what does not fit is cut. */
static size_t append_step(char *path, size_t used, const struct md_json_value *value)
{
    size_t left = MAX_PATH - used;
    int size;
    if (value->key == NULL)
        size = snprintf(path + used, left, "[%zu]", value->index);
    else if (is_plain_key(value->key))
        size = snprintf(path + used, left, used == 0 ? "%s" : ".%s", value->key);
    else
        size = snprintf(path + used, left, "[\"%s\"]", value->key);
    if (size < 0)
        return used;
    return (size_t)size < left ? used + (size_t)size : MAX_PATH - 1;
}

static size_t append_path(char *path, const struct md_json_value *value)
{
    if (value->parent == NULL)
        return 0;
    size_t used = append_path(path, value->parent); /* as deep as the reader went */
    return append_step(path, used, value);
}

enum md_code md_json_prefix(const struct md_json_value *value, struct md_error *error, enum md_code code)
{
    char path[MAX_PATH] = "";
    (void)append_path(path, value); /* cutting is fine */
    const struct md_json_value *top = value;
    while (top->parent != NULL)
        top = top->parent;
    if (path[0] == '\0')
        return md_fail_prefix(error, code, "%s", top->key);
    return md_fail_prefix(error, code, "%s: %s", top->key, path);
}

enum md_code md_json_fail(const struct md_json_value *value, struct md_error *error, enum md_code code,
                          const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    code = md_vfail(error, code, format, arguments);
    va_end(arguments);
    return md_json_prefix(value, error, code);
}

static const char *type_name(const json_t *json)
{
    if (json == NULL)
        return "nothing";
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number with a fraction";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        break;
    }
    return "null";
}

static enum md_code wrong_type(const struct md_json_value *value, const char *expected,
                               struct md_error *error)
{
    return md_json_fail(value, error, MD_INVALID_ARGUMENT, "expected %s, found %s", expected,
                        type_name(value->json));
}

enum md_code md_json_expect(const struct md_json_value *value, json_type type, struct md_error *error)
{
    if (value->json != NULL && json_typeof(value->json) == type)
        return MD_OK;
    return wrong_type(value, type == JSON_OBJECT ? "an object" : "an array", error);
}

enum md_code md_json_string(const struct md_json_value *value, struct md_span *out, struct md_error *error)
{
    if (!json_is_string(value->json))
        return wrong_type(value, "a string", error);
    *out = (struct md_span){ json_string_value(value->json), json_string_length(value->json) };
    return MD_OK;
}

enum md_code md_json_integer(const struct md_json_value *value, int64_t low, int64_t high, int64_t *out,
                             struct md_error *error)
{
    if (!json_is_integer(value->json))
        return wrong_type(value, "an integer", error);
    int64_t number = json_integer_value(value->json);
    if (number < low || number > high)
        return md_json_fail(value, error, MD_INVALID_ARGUMENT,
                            "%" PRId64 " is not in [%" PRId64 ",%" PRId64 "]", number, low, high);
    *out = number;
    return MD_OK;
}

enum md_code md_json_bool(const struct md_json_value *value, bool *out, struct md_error *error)
{
    if (!json_is_boolean(value->json))
        return wrong_type(value, "a boolean", error);
    *out = json_is_true(value->json);
    return MD_OK;
}

enum md_code md_json_pattern(const struct md_json_value *value, struct md_span *out_text, bool *out_is_regex,
                             struct md_error *error)
{
    MD_TRY(md_json_expect(value, JSON_OBJECT, error));
    struct md_json_value regex = md_json_member(value, "Regex");
    *out_is_regex = regex.json != NULL;
    if (*out_is_regex)
        return md_json_string(&regex, out_text, error);
    struct md_json_value string = md_json_member(value, "String");
    MD_TRY(md_json_string(&string, out_text, error));
    *out_is_regex = out_text->size == 0; /* matches everywhere, which no plain search does */
    return MD_OK;
}

enum md_code md_json_optional_string(const struct md_json_value *object, const char *key, const char *absent,
                                     struct md_span *out, struct md_error *error)
{
    struct md_json_value value = md_json_member(object, key);
    if (!md_json_is_null(&value))
        return md_json_string(&value, out, error);
    *out = absent == NULL ? (struct md_span){ NULL, 0 } : md_span_of(absent);
    return MD_OK;
}

enum md_code md_json_optional_integer(const struct md_json_value *object, const char *key, int64_t low,
                                      int64_t high, int64_t absent, int64_t *out, struct md_error *error)
{
    struct md_json_value value = md_json_member(object, key);
    if (!md_json_is_null(&value))
        return md_json_integer(&value, low, high, out, error);
    *out = absent;
    return MD_OK;
}

enum md_code md_json_optional_bool(const struct md_json_value *object, const char *key, bool absent,
                                   bool *out, struct md_error *error)
{
    struct md_json_value value = md_json_member(object, key);
    if (!md_json_is_null(&value))
        return md_json_bool(&value, out, error);
    *out = absent;
    return MD_OK;
}
