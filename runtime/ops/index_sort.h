/* index_sort.h - a stable sort of indices by what they point at (qsort has no context and is not stable). */
#ifndef MD_INDEX_SORT_H
#define MD_INDEX_SORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Must a stand before b? False for equals. */
typedef bool (*md_before_fn)(const void *owner, int64_t a, int64_t b);

/* Sorts indices[0..count); `spare` has room for as many. Merge sort, bottom up: n log n, no recursion. */
void md_index_sort(int64_t *indices, int64_t *spare, size_t count, md_before_fn before, const void *owner);

#endif
