/* file.h - files as the registry and the runtime need them: read whole, into memory of the caller or pages of their own.
 * Messages name the path and the system's reason. */
#ifndef MD_FILE_H
#define MD_FILE_H

#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct md_allocator;

/* What tells one state of a file from another without reading it. */
struct md_file_identity {
    uint64_t size, inode;
    int64_t modified_ns, changed_ns; /* st_mtim, st_ctim */
};

/* The bytes of a whole file, read-only, in pages of their own: what happens to the file afterwards does not show.
 * bytes is NULL for an empty file. */
struct md_file_mapping {
    const void *bytes; /* valid until md_file_unmap */
    size_t size;
    const char *name; /* for the owner of the mapping; nobody here sets it */
    struct md_file_identity identity;
    bool settled;     /* had the file been changed after it was read, its identity would be another one */
};

/* NOT_FOUND: no such file. INVALID_ARGUMENT: not a regular file, or cut while it was read. RESOURCE_EXHAUSTED: memory.
 * INTERNAL: any other reason. */
MD_NODISCARD enum md_code md_file_map(const char *path, struct md_file_mapping *out_mapping,
                                      struct md_error *error);
/* The pages of the file itself, shared with everybody who maps it, on huge pages where the system has them. Only for
 * files that are replaced by renaming: who cuts a mapped file kills the process that reads it. False: no such file, it
 * is empty, or it cannot be mapped. */
bool md_file_map_in_place(const char *path, struct md_file_mapping *out_mapping);
/* Gives the whole pages within [offset, offset + size) of a mapping of md_file_map back to the system; they read as zeros
 * from then on. Returns their bytes. */
size_t md_file_release_pages(const struct md_file_mapping *mapping, size_t offset, size_t size);
void md_file_unmap(struct md_file_mapping *mapping); /* a zeroed mapping is allowed */

/* *out_bytes is owned by the caller (md_release) and followed by a NUL that *out_size does not count.
 * INVALID_ARGUMENT: larger than limit bytes. Others as md_file_map; RESOURCE_EXHAUSTED: memory. */
MD_NODISCARD enum md_code md_file_read(const struct md_allocator *allocator, const char *path, size_t limit,
                                       char **out_bytes, size_t *out_size, struct md_error *error);

/* False: not a regular file. Symbolic links are followed. */
bool md_file_identify(const char *path, struct md_file_identity *out_identity);
bool md_file_identity_equal(const struct md_file_identity *a, const struct md_file_identity *b);

/* Files that modeld makes beside a model, PATH.VARIANT.packed and PATH.VARIANT.packed.part, are no part of the model. */
#define MD_PACKED_SUFFIX ".packed"
#define MD_PACKED_PART_SUFFIX ".part"
bool md_file_is_packed(const char *name);

bool md_file_exists(const char *path);

#endif
