/* tensor_text.h - tensors as people write them on a command line and read them on a terminal. */
#ifndef MD_CTL_TENSOR_TEXT_H
#define MD_CTL_TENSOR_TEXT_H

#include "arena.h"
#include "modeld/client.h"
#include "status.h"

#include <stdbool.h>

/* "name=DTYPE[2,3]:1,2,3,4,5,6". Numbers must fit the datatype; BOOL is 0 or 1; BYTES elements are separated
 * by commas and hold none; "[]" is a scalar. FP16 and BF16 are not written this way.
 * OK: *out_tensor, whose memory is the arena's. INVALID_ARGUMENT: what is wrong, and where. */
MD_NODISCARD enum md_code md_ctl_tensor_parse(const char *text, struct md_arena *arena,
                                              struct md_client_tensor *out_tensor, struct md_error *error);

/* Number of elements of a shape. False: a negative dimension or overflow. */
bool md_ctl_shape_count(const int64_t *shape, size_t rank, size_t *out_count);

/* Element `index` as text, into out_text. *cursor is 0 for the first element and then left alone: elements
 * are read in order. False: the datatype is not known, or the contents end before. */
bool md_ctl_tensor_element(const struct md_client_tensor *tensor, size_t *cursor, char *out_text,
                           size_t size);

#endif
