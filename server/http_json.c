/* http_json.c - see http_json.h. */
#include "http_json.h"

#include "http_exchange.h"

enum md_code md_http_json_parse(const struct md_http_exchange *exchange, json_t **out_root, struct md_error *error)
{
    json_error_t problem;
    if (exchange->json_size > MD_HTTP_JSON_LIMIT)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "the body has %zu bytes of JSON, limit is %d; send large tensors as binary data",
                       exchange->json_size, MD_HTTP_JSON_LIMIT);
    json_t *root = json_loadb(exchange->body_size == 0 ? "" : exchange->body, exchange->json_size,
                              JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &problem);
    if (root == NULL)
        return md_fail(error, MD_INVALID_ARGUMENT, "the body is no JSON: line %d column %d: %.200s", problem.line,
                       problem.column, problem.text);
    if (!json_is_object(root)) {
        json_decref(root);
        return md_fail(error, MD_INVALID_ARGUMENT, "the body is JSON, but no object");
    }
    *out_root = root;
    return MD_OK;
}

enum md_code md_http_json_string(const json_t *object, const char *key, bool is_required, const char **out_string,
                                 struct md_error *error)
{
    const json_t *value = json_object_get(object, key);
    if (value == NULL && is_required)
        return md_fail(error, MD_INVALID_ARGUMENT, "\"%s\" is missing", key);
    if (value != NULL && !json_is_string(value))
        return md_fail(error, MD_INVALID_ARGUMENT, "\"%s\" is no string", key);
    *out_string = value == NULL ? "" : json_string_value(value);
    return MD_OK;
}

enum md_code md_http_json_array(const json_t *object, const char *key, const json_t **out_array,
                                struct md_error *error)
{
    const json_t *value = json_object_get(object, key);
    if (value != NULL && !json_is_array(value))
        return md_fail(error, MD_INVALID_ARGUMENT, "\"%s\" is no array", key);
    *out_array = value;
    return MD_OK;
}

enum md_code md_http_json_bool(const json_t *object, const char *key, bool *out_value, struct md_error *error)
{
    const json_t *value = json_object_get(object, key);
    if (value != NULL && !json_is_boolean(value))
        return md_fail(error, MD_INVALID_ARGUMENT, "\"%s\" is neither true nor false", key);
    *out_value = json_is_true(value);
    return MD_OK;
}

enum md_code md_http_json_count(const json_t *object, const char *key, json_int_t most, json_int_t *out_value,
                                struct md_error *error)
{
    const json_t *value = json_object_get(object, key);
    if (value != NULL && !json_is_integer(value))
        return md_fail(error, MD_INVALID_ARGUMENT, "\"%s\" is no whole number", key);
    json_int_t count = json_integer_value(value); /* 0 for NULL */
    if (count < 0 || count > most)
        return md_fail(error, MD_INVALID_ARGUMENT, 
                       "\"%s\" is %" JSON_INTEGER_FORMAT ", limits are 0 to %" JSON_INTEGER_FORMAT, key, count, most);
    *out_value = count;
    return MD_OK;
}
