/* http_json.h - the JSON of a request's body. */
#ifndef MD_HTTP_JSON_H
#define MD_HTTP_JSON_H

#include "status.h"

#include <jansson.h>
#include <stdbool.h>

struct md_http_exchange;

/* A parsed element takes up to some 50 bytes, and two characters in the text: larger tensors go as binary data. */
enum { MD_HTTP_JSON_LIMIT = 8 * 1024 * 1024 };

/* The object that the body holds. OK: *out_root is owned by the caller (json_decref). INVALID_ARGUMENT: no JSON (with
 * line and column), no object, or above the limit. */
MD_NODISCARD enum md_code md_http_json_parse(const struct md_http_exchange *exchange, json_t **out_root,
                                             struct md_error *error);

/* A string of an object, borrowed from it. Absent: INVALID_ARGUMENT if it is required, else "". */
MD_NODISCARD enum md_code md_http_json_string(const json_t *object, const char *key, bool is_required,
                                              const char **out_string, struct md_error *error);
/* An array of an object, or NULL when it is absent. INVALID_ARGUMENT: something else. */
MD_NODISCARD enum md_code md_http_json_array(const json_t *object, const char *key, const json_t **out_array,
                                             struct md_error *error);
/* false when it is absent. INVALID_ARGUMENT: no true or false. */
MD_NODISCARD enum md_code md_http_json_bool(const json_t *object, const char *key, bool *out_value,
                                            struct md_error *error);
/* A whole number from 0 to `most`; 0 when it is absent. INVALID_ARGUMENT: something else. */
MD_NODISCARD enum md_code md_http_json_count(const json_t *object, const char *key, json_int_t most,
                                             json_int_t *out_value, struct md_error *error);

#endif
