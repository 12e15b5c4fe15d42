/* allocator.c - see allocator.h. The only file, with arena.c, that may call malloc and free. */
#include "allocator.h"

#include "checked.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20, HUGE_FROM = 4 << 20 };

/* Weights are read from end to end in every run: on huge pages a small batch runs up to 1.4 times as fast. */
static void *allocate_huge(size_t size)
{
    void *memory = NULL;
    if (posix_memalign(&memory, HUGE_PAGE, size) != 0)
        return NULL;
#if defined(MADV_HUGEPAGE)
    (void)madvise(memory, size / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE); /* a wish: without it all works, slower */
#endif
    return memory;
}

static void *process_allocate(const struct md_allocator *self, size_t size)
{
    (void)self;
    void *memory = NULL;
    if (size >= HUGE_FROM)
        return allocate_huge(size);
    return posix_memalign(&memory, MD_ALIGNMENT, size == 0 ? 1 : size) == 0 ? memory : NULL;
}

static void process_release(const struct md_allocator *self, void *memory)
{
    (void)self;
    free(memory);
}

const struct md_allocator *md_process_allocator(void)
{
    static const struct md_allocator process = { process_allocate, process_release };
    return &process;
}

void md_process_allocator_trim(void)
{
    (void)malloc_trim(0); /* says whether there was anything */
}

void *md_allocate(const struct md_allocator *allocator, size_t size)
{
    return allocator->allocate(allocator, size);
}

void *md_allocate_zeroed(const struct md_allocator *allocator, size_t count, size_t size)
{
    size_t total;
    if (!md_checked_multiply(count, size, &total))
        return NULL;
    void *memory = allocator->allocate(allocator, total);
    if (memory != NULL)
        memset(memory, 0, total);
    return memory;
}

void *md_reallocate(const struct md_allocator *allocator, void *memory, size_t old_size, size_t new_size)
{
    void *grown = allocator->allocate(allocator, new_size);
    if (grown == NULL)
        return NULL;
    if (memory != NULL) {
        memcpy(grown, memory, old_size < new_size ? old_size : new_size);
        allocator->release(allocator, memory);
    }
    return grown;
}

void md_release(const struct md_allocator *allocator, void *memory)
{
    if (memory != NULL)
        allocator->release(allocator, memory);
}

char *md_duplicate_string(const struct md_allocator *allocator, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = allocator->allocate(allocator, size);
    if (copy != NULL)
        memcpy(copy, text, size);
    return copy;
}

static void *counting_allocate(const struct md_allocator *self, size_t size)
{
    struct md_counting_allocator *counting = (struct md_counting_allocator *)(uintptr_t)self;
    void *memory = counting->parent->allocate(counting->parent, size);
    if (memory == NULL)
        return NULL;
    size_t held = malloc_usable_size(memory);
    size_t live = atomic_fetch_add_explicit(&counting->live_bytes, held, memory_order_relaxed) + held;
    size_t peak = atomic_load_explicit(&counting->peak_bytes, memory_order_relaxed);
    while (live > peak && !atomic_compare_exchange_weak_explicit(&counting->peak_bytes, &peak, live,
                                                                 memory_order_relaxed, memory_order_relaxed))
        continue;
    return memory;
}

static void counting_release(const struct md_allocator *self, void *memory)
{
    struct md_counting_allocator *counting = (struct md_counting_allocator *)(uintptr_t)self;
    atomic_fetch_sub_explicit(&counting->live_bytes, malloc_usable_size(memory), memory_order_relaxed);
    counting->parent->release(counting->parent, memory);
}

void md_counting_allocator_init(struct md_counting_allocator *counting, const struct md_allocator *parent)
{
    counting->allocator = (struct md_allocator){ counting_allocate, counting_release };
    counting->parent = parent;
    atomic_init(&counting->live_bytes, 0);
    atomic_init(&counting->peak_bytes, 0);
}
