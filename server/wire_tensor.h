/* wire_tensor.h - tensors as both protocols carry them: a datatype's name, a shape, little-endian bytes.
 *
 * BYTES: per element a 4-byte little-endian length and the bytes. Messages name both numbers, not the tensor:
 * the caller puts `input "ids" of model "bert" version 3` before them (md_fail_prefix). Threads: any. Memory:
 * the request's arena. The host is little-endian, as every machine we build for. */
#ifndef MD_WIRE_TENSOR_H
#define MD_WIRE_TENSOR_H

#include "arena.h"
#include "tensor.h"

#include <stddef.h>
#include <stdint.h>

/* Datatypes that the protocols have a name for. */
enum { MD_WIRE_TYPES = (int)MD_TYPES_NUMBER | 1 << MD_BOOL | 1 << MD_BYTES };

/* INVALID_ARGUMENT: no datatype of the protocols. */
MD_NODISCARD enum md_code md_wire_datatype(const char *name, enum md_datatype *out_datatype,
                                           struct md_error *error);

/* INVALID_ARGUMENT: rank above MD_MAX_RANK, a negative dim, or a number of bytes that does not fit. */
MD_NODISCARD enum md_code md_wire_shape(enum md_datatype datatype, const int64_t *dims, size_t rank,
                                        struct md_shape *out_shape, struct md_error *error);

/* `bytes` is borrowed as long as the tensor lives (copied only if it is not aligned). A NULL `bytes` is
 * empty. INVALID_ARGUMENT: size is not the shape's, a BOOL is neither 0 nor 1, BYTES elements do not fill it
 * exactly. RESOURCE_EXHAUSTED: memory. */
MD_NODISCARD enum md_code md_wire_tensor_from_raw(struct md_arena *arena, enum md_datatype datatype,
                                                  const struct md_shape *shape, const uint8_t *bytes,
                                                  size_t size, struct md_tensor *out_tensor,
                                                  struct md_error *error);

/* A copy in the arena. UNIMPLEMENTED: the datatype has no name on the wire. RESOURCE_EXHAUSTED: memory. */
MD_NODISCARD enum md_code md_wire_tensor_to_raw(struct md_arena *arena, const struct md_tensor *tensor,
                                                uint8_t **out_bytes, size_t *out_size,
                                                struct md_error *error);

#endif
