/* json_tensor.h - a tensor's elements as JSON: flat or nested row by row on the way in, flat on the way out.
 *
 * Between JSON and the handlers are the raw bytes of wire_tensor.h, so that every check of those holds here too.
 * Threads: any. Memory: the request's arena. */
#ifndef MD_JSON_TENSOR_H
#define MD_JSON_TENSOR_H

#include "arena.h"
#include "tensor.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct md_text;

/* INVALID_ARGUMENT: `data` is no array, its nesting or number of elements is not the shape's, an element is no number
 * (BOOL: true, false, 0, 1; BYTES: a string) or does not fit the datatype, with both numbers. RESOURCE_EXHAUSTED:
 * memory. */
MD_NODISCARD enum md_code md_json_tensor_to_raw(struct md_arena *arena, enum md_datatype datatype,
                                                const struct md_shape *shape, const json_t *data, uint8_t **out_bytes,
                                                size_t *out_size, struct md_error *error);

/* Writes `[...]`. FP32 and FP64 are written so that they read back the same. INVALID_ARGUMENT: what JSON has no form
 * for (NaN, infinity, BYTES that are not UTF-8); binary data has. */
MD_NODISCARD enum md_code md_json_tensor_write(struct md_text *text, enum md_datatype datatype, const uint8_t *bytes,
                                               size_t size, struct md_error *error);

#endif
