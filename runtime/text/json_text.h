/* json_text.h - JSON read from its text, one item after the other: for the members of tokenizer.json that have
 * hundreds of thousands of items, of which no tree is built.
 *
 * A file is cut first (md_json_cut): the text of model.vocab and of model.merges stays behind as null, and the rest goes
 * to jansson. What is cut was checked to be JSON, so the readers below cannot run off it. */
#ifndef MD_JSON_TEXT_H
#define MD_JSON_TEXT_H

#include "json_value.h"
#include "span.h"
#include "status.h"

#include <stdbool.h>
#include <stddef.h>

struct md_allocator;

/* What was cut out of a file; the text is borrowed from the file. bytes NULL: the file has no such member. */
struct md_json_cut {
    struct md_span vocab;
    struct md_span merges;
};

/* Parses a file as md_json_parse does, but for the members that are cut. In a file that is not JSON nothing is cut. */
MD_NODISCARD enum md_code md_json_parse_cut(const struct md_allocator *allocator, const char *file, struct md_span text,
                                            struct md_json_cut *out_cut, json_t **out_root, struct md_error *error);

/* A position in the text of a value. */
struct md_json_text {
    const char *at;
    const char *end;
};
struct md_json_text md_json_text_of(struct md_span text);
/* The next byte that is not white space; 0 at the end. It says the type of the value there. */
char md_json_text_peek(struct md_json_text *text);
/* Steps into an array or an object. */
void md_json_text_enter(struct md_json_text *text);
/* True: at the next item (of an object: at its key). False: behind the closing bracket. */
bool md_json_text_next(struct md_json_text *text);
/* Steps from a key to its value. */
void md_json_text_colon(struct md_json_text *text);
/* Steps over any value. */
void md_json_text_skip(struct md_json_text *text);
/* Reads the string that is there into `out`, which has room for as many bytes as the text. False: not a string, or half
 * a surrogate pair in it. */
bool md_json_text_string(struct md_json_text *text, char *out, size_t *out_size);
/* Reads the integer that is there. `value` is for the message. INVALID_ARGUMENT: of another type, or out of range. */
MD_NODISCARD enum md_code md_json_text_integer(struct md_json_text *text, const struct md_json_value *value,
                                               int64_t low, int64_t high, int64_t *out, struct md_error *error);
/* The number that is there, with or without a fraction. INVALID_ARGUMENT: of another type. */
MD_NODISCARD enum md_code md_json_text_number(struct md_json_text *text, const struct md_json_value *value,
                                              double *out, struct md_error *error);
/* "expected an integer, found a string", with the path of `value`. */
MD_NODISCARD enum md_code md_json_text_wrong_type(struct md_json_text *text, const struct md_json_value *value,
                                                  const char *expected, struct md_error *error);

#endif
