/* scatter_reduction.h - combining an element with an update, for operators with a `reduction` attribute
 * (Scatter*). */
#ifndef MD_SCATTER_REDUCTION_H
#define MD_SCATTER_REDUCTION_H

#include "tensor.h"

enum md_reduction {
    MD_REDUCE_NONE = 0,
    MD_REDUCE_ADD,
    MD_REDUCE_MUL,
    MD_REDUCE_MAX,
    MD_REDUCE_MIN,
    MD_REDUCE_COUNT
};

/* target[i] = target[i] combined with update[i], for i below count. */
typedef void (*md_reduce_fn)(void *target, const void *update, size_t count);

/* "none", "add", "mul", "max", "min". INVALID_ARGUMENT: another word. */
MD_NODISCARD enum md_code md_reduction_parse(struct md_span name, enum md_reduction *out_reduction,
                                             struct md_error *error);
/* *out_reduce is NULL for MD_REDUCE_NONE. INVALID_ARGUMENT: the datatype cannot be combined. */
MD_NODISCARD enum md_code md_reduction_find(enum md_reduction reduction, enum md_datatype datatype,
                                            md_reduce_fn *out_reduce, struct md_error *error);

#endif
