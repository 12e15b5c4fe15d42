/* sha256.h - the content digest of a version folder: what was published is what is loaded. */
#ifndef MD_SHA256_H
#define MD_SHA256_H

#include "status.h"

#include <stdint.h>

struct md_allocator;

enum { MD_SHA256_HEX_SIZE = 65 }; /* 64 lower-case digits and a NUL */

/* The digest over the names and the bytes of all files below `path`, in the order of their names. It is the
 * one that standard tools give, so that anybody can check it:
 *
 *     cd <path> && find -L * -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum
 *
 * after leaving out *.packed and *.packed.part, which loads make beside a model (base/file.h).
 * (there `*` leaves out names that start with a dot; here they are part of the content). Names are relative
 * and separated by '/'. Symbolic links count as what they point to, which must lie below `path` as well.
 * *out_size_bytes is the sum of the sizes. Files are streamed, never mapped or held whole. Any thread.
 *
 * NOT_FOUND: no such folder. INVALID_ARGUMENT: not a folder, a link that leaves it, something that is neither
 * file nor folder, a name with control characters or a backslash (sha256sum would write it differently), or
 * folders nested deeper than 16 (a link to its own parent, mostly). RESOURCE_EXHAUSTED: memory. INTERNAL:
 * I/O. On failure the outputs are untouched. */
MD_NODISCARD enum md_code md_sha256_directory(const struct md_allocator *allocator, const char *path,
                                              char out_hex[MD_SHA256_HEX_SIZE], uint64_t *out_size_bytes,
                                              struct md_error *error);

#endif
