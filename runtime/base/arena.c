/* arena.c - see arena.h. */
#include "arena.h"

#include "allocator.h"
#include "checked.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Blocks double up to a size that the process allocator puts on huge pages. */
enum { DEFAULT_BLOCK_SIZE = 16 * 1024, MAX_BLOCK_SIZE = 8 * 1024 * 1024, SMALL_ALIGNMENT = 16, LARGE_SIZE = 256, ALONE_SIZE = 128 * 1024 };

struct md_arena_block {
    struct md_arena_block *next;
    size_t capacity;
    size_t used;
    bool alone;        /* holds one piece of md_arena_allocate_alone */
    size_t padding[4]; /* the bytes that follow start at a multiple of MD_ALIGNMENT */
};
_Static_assert(sizeof(struct md_arena_block) == MD_ALIGNMENT, "block header keeps the alignment");

static unsigned char *block_bytes(struct md_arena_block *block)
{
    return (unsigned char *)(block + 1);
}

void md_arena_init(struct md_arena *arena, const struct md_allocator *allocator, size_t block_size)
{
    *arena = (struct md_arena){ .allocator = allocator,
                                .block_size = block_size == 0 ? DEFAULT_BLOCK_SIZE : block_size };
}

void md_arena_cleanup(struct md_arena *arena)
{
    struct md_arena_block *block = arena->blocks;
    while (block != NULL) {
        struct md_arena_block *next = block->next;
        md_release(arena->allocator, block);
        block = next;
    }
    arena->blocks = NULL;
    arena->used_bytes = 0;
}

void md_arena_reset(struct md_arena *arena)
{
    struct md_arena_block *kept = arena->blocks;
    if (kept == NULL)
        return;
    struct md_arena_block *block = kept->next;
    while (block != NULL) {
        struct md_arena_block *next = block->next;
        md_release(arena->allocator, block);
        block = next;
    }
    kept->next = NULL;
    kept->used = 0;
    arena->used_bytes = 0;
}

/* An empty block, in no list. */
static struct md_arena_block *new_block(const struct md_arena *arena, size_t capacity)
{
    size_t total;
    struct md_arena_block *block =
        md_checked_add(capacity, sizeof *block, &total) ? md_allocate(arena->allocator, total) : NULL;
    if (block != NULL)
        *block = (struct md_arena_block){ .capacity = capacity };
    return block;
}

/* A block for `size` bytes alone. It goes behind the newest block, which stays open for what is small. */
static struct md_arena_block *add_behind(struct md_arena *arena, size_t size)
{
    struct md_arena_block *block = new_block(arena, size);
    if (block == NULL)
        return NULL;
    block->next = arena->blocks->next;
    arena->blocks->next = block;
    return block;
}

static struct md_arena_block *add_block(struct md_arena *arena, size_t size)
{
    if (size >= MAX_BLOCK_SIZE / 2 && arena->blocks != NULL)
        return add_behind(arena, size);
    struct md_arena_block *block = new_block(arena, arena->block_size > size ? arena->block_size : size);
    if (block == NULL)
        return NULL;
    block->next = arena->blocks;
    arena->blocks = block;
    if (arena->block_size < MAX_BLOCK_SIZE)
        arena->block_size *= 2;
    return block;
}

void *md_arena_allocate(struct md_arena *arena, size_t size)
{
    size += size == 0; /* so that every pointer is unique */
    size_t alignment = size >= LARGE_SIZE ? MD_ALIGNMENT : SMALL_ALIGNMENT;
    struct md_arena_block *block = arena->blocks;
    if (size > SIZE_MAX / 2)
        return NULL;
    if (block != NULL) {
        size_t start = (block->used + alignment - 1) & ~(alignment - 1);
        if (start <= block->capacity && size <= block->capacity - start) {
            block->used = start + size;
            arena->used_bytes += size;
            return block_bytes(block) + start;
        }
    }
    block = add_block(arena, size);
    if (block == NULL)
        return NULL;
    block->used = size;
    arena->used_bytes += size;
    return block_bytes(block);
}

void *md_arena_allocate_alone(struct md_arena *arena, size_t size)
{
    if (size < ALONE_SIZE || size > SIZE_MAX / 2 || arena->blocks == NULL)
        return md_arena_allocate(arena, size);
    struct md_arena_block *block = add_behind(arena, size);
    if (block == NULL)
        return NULL;
    block->used = size;
    block->alone = true;
    arena->used_bytes += size;
    return block_bytes(block);
}

void md_arena_release(struct md_arena *arena, const void *memory)
{
    for (struct md_arena_block **link = &arena->blocks; *link != NULL; link = &(*link)->next) {
        struct md_arena_block *block = *link;
        if (!block->alone || block_bytes(block) != memory)
            continue;
        *link = block->next;
        arena->used_bytes -= block->used;
        md_release(arena->allocator, block);
        return;
    }
}

void *md_arena_allocate_zeroed(struct md_arena *arena, size_t count, size_t size)
{
    size_t total;
    if (!md_checked_multiply(count, size, &total))
        return NULL;
    void *memory = md_arena_allocate(arena, total);
    if (memory != NULL)
        memset(memory, 0, total);
    return memory;
}

char *md_arena_copy_string(struct md_arena *arena, const char *bytes, size_t size)
{
    char *copy = md_arena_allocate(arena, size + 1);
    if (copy == NULL)
        return NULL;
    if (size > 0)
        memcpy(copy, bytes, size);
    copy[size] = '\0';
    return copy;
}

char *md_arena_printf(struct md_arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = size < 0 ? NULL : md_arena_allocate(arena, (size_t)size + 1);
    if (text != NULL)
        (void)vsnprintf(text, (size_t)size + 1, format, again); /* the size was measured above */
    va_end(again);
    return text;
}
