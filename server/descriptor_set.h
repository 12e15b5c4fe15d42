/* descriptor_set.h - the descriptors of every file of the wire, embedded at build time: what reflection answers from.
 *
 * A serialised google.protobuf.FileDescriptorSet is walked in place, as a tree of names; nothing is unpacked.
 * Threads: any; everything is constant. No memory is allocated. */
#ifndef MD_DESCRIPTOR_SET_H
#define MD_DESCRIPTOR_SET_H

#include "span.h"

#include <stdbool.h>
#include <stddef.h>

/* The next file after `file` (NULL: the first) as a serialised FileDescriptorProto; false: there is none. */
bool md_descriptor_next_file(const struct md_span *file, struct md_span *out_file);

struct md_span md_descriptor_file_name(const struct md_span *file);
/* The file with this name. */
bool md_descriptor_find_file(struct md_span name, struct md_span *out_file);
/* The file that defines "package.Message.field", "package.Service.Method", "package.Enum", ... */
bool md_descriptor_find_symbol(struct md_span symbol, struct md_span *out_file);
/* Is it a message? */
bool md_descriptor_is_message(struct md_span symbol);

/* The names that the file imports, and the services it defines (without the package), one after the other:
 * *at is 0 at first. False: there is no more. */
bool md_descriptor_next_import(const struct md_span *file, size_t *at, struct md_span *out_name);
bool md_descriptor_next_service(const struct md_span *file, size_t *at, struct md_span *out_name);
struct md_span md_descriptor_package(const struct md_span *file);

#endif
