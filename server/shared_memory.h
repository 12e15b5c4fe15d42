/* shared_memory.h - regions of system shared memory that clients have registered for tensors.
 *
 * Bytes are copied with pread and pwrite, never mapped: a client that cuts its file short would otherwise end the
 * server (SIGBUS). Threads: any. Lock: its own, a leaf; no bytes are copied under it. */
#ifndef MD_SHARED_MEMORY_H
#define MD_SHARED_MEMORY_H

#include "arena.h"
#include "status.h"

#include <stddef.h>
#include <stdint.h>

struct md_allocator;
struct md_shared_memory;

enum { MD_SHARED_MEMORY_LIMIT = 256 }; /* regions; each holds a descriptor */

struct md_shared_region {
    const char *name;
    const char *key; /* of shm_open */
    uint64_t offset; /* of the region in the object */
    uint64_t size;
};

MD_NODISCARD enum md_code md_shared_memory_create(const struct md_allocator *allocator,
                                                  struct md_shared_memory **out_memory, struct md_error *error);
void md_shared_memory_destroy(struct md_shared_memory *memory); /* NULL is allowed */

/* Everything is copied. INVALID_ARGUMENT: no name, a key that is no name of shm_open, or bounds outside of the
 * object. NOT_FOUND: no such object. ALREADY_EXISTS: the name is taken. PERMISSION_DENIED: the object's mode.
 * RESOURCE_EXHAUSTED: memory, descriptors, or too many regions. */
MD_NODISCARD enum md_code md_shared_memory_register(struct md_shared_memory *memory,
                                                    const struct md_shared_region *region, struct md_error *error);
/* "": every region. A name that is not registered is no error. */
void md_shared_memory_unregister(struct md_shared_memory *memory, const char *name);
/* The region with this name, or with "" all of them, copied into `arena`. NOT_FOUND: the name is not registered. */
MD_NODISCARD enum md_code md_shared_memory_list(struct md_shared_memory *memory, const char *name,
                                                struct md_arena *arena, struct md_shared_region **out_regions,
                                                size_t *out_count, struct md_error *error);

/* `size` bytes from `offset` of the region on, into the arena. INVALID_ARGUMENT: not registered, out of bounds, or
 * the client has cut the object. */
MD_NODISCARD enum md_code md_shared_memory_read(struct md_shared_memory *memory, const char *name, uint64_t offset,
                                                uint64_t size, struct md_arena *arena, uint8_t **out_bytes,
                                                struct md_error *error);
/* The errors of md_shared_memory_read. */
MD_NODISCARD enum md_code md_shared_memory_write(struct md_shared_memory *memory, const char *name, uint64_t offset,
                                                 const uint8_t *bytes, size_t size, struct md_error *error);

#endif
