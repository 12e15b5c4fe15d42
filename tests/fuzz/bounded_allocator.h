/* bounded_allocator.h - the process allocator with a limit, so that a harness sees how code does without
 * memory and never exhausts the machine. Threads: one. */
#ifndef MD_BOUNDED_ALLOCATOR_H
#define MD_BOUNDED_ALLOCATOR_H

#include "allocator.h"

struct md_bounded_allocator {
    struct md_allocator allocator; /* pass &bounded.allocator on; must be first */
    size_t limit;
    size_t live;
};

/* Allocations fail that would take more than `limit` bytes together. */
void md_bounded_allocator_init(struct md_bounded_allocator *bounded, size_t limit);

#endif
