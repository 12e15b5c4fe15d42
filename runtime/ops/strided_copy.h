/* strided_copy.h - moving elements between two layouts of the same index space: the one loop under Transpose,
 * Expand, Slice, Concat, Tile and their like.
 *
 * Elements are bytes of any size: every datatype, strings included, is moved alike. Strides are in bytes; 0
 * repeats an element, a negative one walks backwards. Threads: pure functions. Memory: none. */
#ifndef MD_STRIDED_COPY_H
#define MD_STRIDED_COPY_H

#include "tensor.h"

/* Tile and DepthToSpace split dims, so they need more of them than a tensor has. */
enum { MD_COPY_MAX_RANK = 2 * MD_MAX_RANK };

struct md_strided {
    void *bytes; /* of the element with index 0 in every dim */
    int64_t strides[MD_COPY_MAX_RANK];
};

/* For every index below `dims`: to[index] = from[index]. The two do not overlap. rank <= MD_COPY_MAX_RANK. */
void md_strided_copy(int32_t rank, const int64_t *dims, const struct md_strided *to,
                     const struct md_strided *from, size_t element_size);
/* Dense row-major strides in bytes. */
void md_dense_strides(int32_t rank, const int64_t *dims, size_t element_size, int64_t *out_strides);
/* The whole of a tensor, dense. */
struct md_strided md_strided_of(const struct md_tensor *tensor);
/* memcpy that allows count 0 with NULL. */
void md_copy_bytes(void *to, const void *from, size_t size);
/* `count` copies of the element at `from`. */
void md_fill_elements(void *to, const void *from, size_t count, size_t element_size);

#endif
