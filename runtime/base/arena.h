/* arena.h - memory that is freed whole: one arena per request, per run, per loaded model.
 * Threads: one at a time. Memory comes in blocks from the allocator given to md_arena_init. */
#ifndef MD_ARENA_H
#define MD_ARENA_H

#include <stddef.h>

struct md_allocator;
struct md_arena_block;

struct md_arena {
    const struct md_allocator *allocator;
    struct md_arena_block *blocks; /* newest first */
    size_t block_size;             /* of the next ordinary block */
    size_t used_bytes;             /* handed out since the last reset */
};

/* Allocates nothing yet. block_size 0 means 16 KiB. */
void md_arena_init(struct md_arena *arena, const struct md_allocator *allocator, size_t block_size);
void md_arena_cleanup(struct md_arena *arena);
/* Frees all but one block; every pointer from this arena dies. */
void md_arena_reset(struct md_arena *arena);

/* Borrowed until reset or cleanup. Aligned to 16 bytes, to 64 from 256 bytes on. Not zeroed.
 * NULL when there is no memory. */
void *md_arena_allocate(struct md_arena *arena, size_t size);
/* The same, but what is large may be given back before the rest (md_arena_release): constants of a model. */
void *md_arena_allocate_alone(struct md_arena *arena, size_t size);
/* Frees what md_arena_allocate_alone gave; anything else that is in the arena, or not in it, stays as it is. */
void md_arena_release(struct md_arena *arena, const void *memory);
/* Zeroed; NULL also when count * size overflows. count 0 gives a unique pointer. */
void *md_arena_allocate_zeroed(struct md_arena *arena, size_t count, size_t size);
/* NUL-terminated copy of `size` bytes. */
char *md_arena_copy_string(struct md_arena *arena, const char *bytes, size_t size);
char *md_arena_printf(struct md_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
