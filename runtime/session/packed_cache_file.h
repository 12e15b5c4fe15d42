/* packed_cache_file.h - the file of packed_cache.h as bytes: header, checksum, writing it so that nobody ever sees half
 * of it. */
#ifndef MD_PACKED_CACHE_FILE_H
#define MD_PACKED_CACHE_FILE_H

#include "build_id.h"
#include "file.h"
#include "isa.h"
#include "span.h"

/* Borrowed. Each piece begins at a multiple of MD_ALIGNMENT after the one before it. */
struct md_packed_file {
    struct md_span metadata;
    const struct md_span *pieces;
    size_t piece_count;
    size_t content_size; /* of the pieces, each rounded up to MD_ALIGNMENT */
};

/* False: not such a file. What is in the parts is not checked. */
bool md_packed_file_split(const struct md_file_mapping *mapping, struct md_span *out_metadata,
                          struct md_span *out_content);
/* Does the checksum hold? Reads every byte. */
bool md_packed_file_is_whole(const struct md_file_mapping *mapping);
/* Writes `part_path` and renames it to `path`. False: it was not written. */
bool md_packed_file_write(const struct md_packed_file *file, const char *part_path, const char *path);

#endif
