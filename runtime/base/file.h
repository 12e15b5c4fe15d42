/* file.h - files as the registry and the runtime need them: read whole, into memory of the caller or pages of their own.
 * Messages name the path and the system's reason. */
#ifndef MD_FILE_H
#define MD_FILE_H

#include "status.h"

#include <stdbool.h>
#include <stddef.h>

struct md_allocator;

/* The bytes of a whole file, read-only, in pages of their own: what happens to the file afterwards does not show.
 * bytes is NULL for an empty file. */
struct md_file_mapping {
    const void *bytes; /* valid until md_file_unmap */
    size_t size;
};

/* NOT_FOUND: no such file. INVALID_ARGUMENT: not a regular file, or cut while it was read. RESOURCE_EXHAUSTED: memory.
 * INTERNAL: any other reason. */
MD_NODISCARD enum md_code md_file_map(const char *path, struct md_file_mapping *out_mapping,
                                      struct md_error *error);
void md_file_unmap(struct md_file_mapping *mapping); /* a zeroed mapping is allowed */

/* *out_bytes is owned by the caller (md_release) and followed by a NUL that *out_size does not count.
 * INVALID_ARGUMENT: larger than limit bytes. Others as md_file_map; RESOURCE_EXHAUSTED: memory. */
MD_NODISCARD enum md_code md_file_read(const struct md_allocator *allocator, const char *path, size_t limit,
                                       char **out_bytes, size_t *out_size, struct md_error *error);

bool md_file_exists(const char *path);

#endif
