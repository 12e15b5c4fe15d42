/* allocator.h - where memory comes from.
 *
 * Every object takes its allocator at create time. Three kinds exist: the process allocator
 * (md_process_allocator), a counting allocator that knows its live bytes (one per model version, for the
 * memory budget), and the faulty one of the tests. All memory is aligned to MD_ALIGNMENT bytes, so any
 * block may hold a tensor. Threads: every allocator here may be used from many threads at once. */
#ifndef MD_ALLOCATOR_H
#define MD_ALLOCATOR_H

#include <stdatomic.h>
#include <stddef.h>

enum { MD_ALIGNMENT = 64 };

struct md_allocator {
    /* NULL when there is no memory. `size` 0 gives a unique block. The memory is not zeroed. */
    void *(*allocate)(const struct md_allocator *self, size_t size);
    void (*release)(const struct md_allocator *self, void *memory);
};

/* malloc and free. Static, immutable. */
const struct md_allocator *md_process_allocator(void);

/* Gives free memory of the process back to the system: after a model let go of what it does not need. */
void md_process_allocator_trim(void);

void *md_allocate(const struct md_allocator *allocator, size_t size);
/* Zeroed; NULL also when count * size overflows. */
void *md_allocate_zeroed(const struct md_allocator *allocator, size_t count, size_t size);
/* Grows an array: returns a block of new_size bytes with the first old_size bytes of `memory` and releases
 * `memory`; NULL leaves `memory` as it was. memory == NULL is allowed. */
void *md_reallocate(const struct md_allocator *allocator, void *memory, size_t old_size, size_t new_size);
void md_release(const struct md_allocator *allocator, void *memory); /* NULL is allowed */
/* Owned copy of a NUL-terminated string; NULL when there is no memory. */
char *md_duplicate_string(const struct md_allocator *allocator, const char *text);

/* Counts what another allocator has given. `live_bytes` and `peak_bytes` are what malloc really holds. */
struct md_counting_allocator {
    struct md_allocator allocator; /* pass &counting.allocator on; must be first */
    const struct md_allocator *parent;
    atomic_size_t live_bytes; /* relaxed: a figure for people and budgets */
    atomic_size_t peak_bytes;
};
void md_counting_allocator_init(struct md_counting_allocator *counting, const struct md_allocator *parent);

#endif
