/* packed_cache.h - a model as its session needs it, in a file beside the model: the graph after the passes, the constants
 * that are read as they are, and the packed forms of the others. The next load maps it and packs nothing.
 *
 *     model.onnx.fp32-avx512.packed:   header | metadata: key, sources, graph, parts | elements and parts, 64-byte aligned
 *
 * The file counts only if its key is that of this build, instruction set, precision and passes, if the files of the model
 * are those it was made from (size, inode, times), and if the checksum over all of it holds. Any other file is as good as
 * none and is replaced by the next load. It is written under another name, locked, and renamed: whoever has an older one
 * mapped keeps that, so mapping is safe. Private to session/. */
#ifndef MD_PACKED_CACHE_H
#define MD_PACKED_CACHE_H

#include "graph.h"
#include "prepared.h"
#include "session.h"

/* False: no file that counts, or no memory. Else *out_model is owned by the caller, holds the mapping, and has had its
 * passes; *out_prepared gives out the packed parts. */
bool md_packed_cache_read(const struct md_allocator *allocator, const char *path,
                          const struct md_session_options *options, struct md_model **out_model,
                          struct md_prepared *out_prepared);

/* Writes the file for a model that was opened from `path`, after its program was created and its constants released.
 * False: it could not be written, or somebody else is writing it; nothing is left behind but perhaps a file
 * *.packed.part, which the next writer takes over. */
bool md_packed_cache_write(const struct md_allocator *allocator, const char *path,
                           const struct md_session_options *options, struct md_model *model,
                           const struct md_prepared *prepared);

#endif
