/* bounded_allocator.c - see bounded_allocator.h. */
#include "bounded_allocator.h"

#include <stdint.h>

/* Before each block: its size, in a place of MD_ALIGNMENT bytes. */
static void *bounded_allocate(const struct md_allocator *self, size_t size)
{
    struct md_bounded_allocator *bounded = (struct md_bounded_allocator *)(uintptr_t)self;
    if (size > bounded->limit - bounded->live)
        return NULL;
    unsigned char *block = md_allocate(md_process_allocator(), size + MD_ALIGNMENT);
    if (block == NULL)
        return NULL;
    *(size_t *)(void *)block = size;
    bounded->live += size;
    return block + MD_ALIGNMENT;
}

static void bounded_release(const struct md_allocator *self, void *memory)
{
    struct md_bounded_allocator *bounded = (struct md_bounded_allocator *)(uintptr_t)self;
    unsigned char *block = (unsigned char *)memory - MD_ALIGNMENT;
    bounded->live -= *(size_t *)(void *)block;
    md_release(md_process_allocator(), block);
}

void md_bounded_allocator_init(struct md_bounded_allocator *bounded, size_t limit)
{
    *bounded = (struct md_bounded_allocator){ { bounded_allocate, bounded_release }, limit, 0 };
}
