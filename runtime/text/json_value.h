/* json_value.h - reading JSON with the path in every message: tokenizer.json: model.vocab["x"]: expected an
 * integer, found a string.
 *
 * A value knows its parent, so a path costs nothing until it is printed. Values live on the reader's stack;
 * the JSON (jansson's) must outlive them. */
#ifndef MD_JSON_VALUE_H
#define MD_JSON_VALUE_H

#include "span.h"
#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

struct md_json_value {
    const json_t *json;                 /* NULL: absent */
    const struct md_json_value *parent; /* NULL: the whole file */
    const char *key;                    /* in an object, or the file's name at the top; NULL in an array */
    size_t index;                       /* in an array */
};

/* OK: *out_root is owned by the caller (json_decref). INVALID_ARGUMENT: not JSON, with line and column; the
 * key twice in an object; nested too deep. */
MD_NODISCARD enum md_code md_json_parse(const char *file, const char *bytes, size_t size, json_t **out_root,
                                        struct md_error *error);

struct md_json_value md_json_member(const struct md_json_value *object, const char *key);
struct md_json_value md_json_element(const struct md_json_value *array, size_t index);
/* Absent or null. */
bool md_json_is_null(const struct md_json_value *value);
/* "file: path: message". */
MD_NODISCARD MD_PRINTF(4, 5) enum md_code
    md_json_fail(const struct md_json_value *value, struct md_error *error, enum md_code code,
                 const char *format, ...);

/* Puts the path before the message that is in *error already; returns `code`. */
MD_NODISCARD enum md_code md_json_prefix(const struct md_json_value *value, struct md_error *error,
                                         enum md_code code);

/* INVALID_ARGUMENT: absent or of another type. What they give is borrowed from the JSON. */
MD_NODISCARD enum md_code md_json_expect(const struct md_json_value *value, json_type type,
                                         struct md_error *error);
MD_NODISCARD enum md_code md_json_string(const struct md_json_value *value, struct md_span *out,
                                         struct md_error *error);
MD_NODISCARD enum md_code md_json_integer(const struct md_json_value *value, int64_t low, int64_t high,
                                          int64_t *out, struct md_error *error);
MD_NODISCARD enum md_code md_json_bool(const struct md_json_value *value, bool *out, struct md_error *error);

/* {"String": "x"} or {"Regex": "x"}, as Split and Replace have it; an empty string is a regular expression
 * too. */
MD_NODISCARD enum md_code md_json_pattern(const struct md_json_value *value, struct md_span *out_text,
                                          bool *out_is_regex, struct md_error *error);

/* Members that may be absent or null; then *out is `absent`. */
MD_NODISCARD enum md_code md_json_optional_string(const struct md_json_value *object, const char *key,
                                                  const char *absent, struct md_span *out,
                                                  struct md_error *error);
MD_NODISCARD enum md_code md_json_optional_integer(const struct md_json_value *object, const char *key,
                                                   int64_t low, int64_t high, int64_t absent, int64_t *out,
                                                   struct md_error *error);
MD_NODISCARD enum md_code md_json_optional_bool(const struct md_json_value *object, const char *key,
                                                bool absent, bool *out, struct md_error *error);

#endif
