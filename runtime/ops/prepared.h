/* prepared.h - what configure makes of constants (packed weights), remembered so that it can be kept in a file and
 * found there by the next load.
 *
 * Graphs are configured node by node in a fixed order, and so are the parts made: a second load of the same graph asks
 * for the same parts one after the other. Each is checked by kind and size, and a load that asks for anything else fails.
 * Threads: one load at a time. Memory: parts and their list are in the model's arena, or in the file. */
#ifndef MD_PREPARED_H
#define MD_PREPARED_H

#include "operator.h"

struct md_prepared_part {
    const char *kind; /* what the bytes mean: static, or in the arena */
    const void *bytes;
    size_t size;
};

struct md_prepared {
    struct md_prepared_part *parts;
    size_t count, capacity;
    bool found;  /* the parts come from a file: they are given out in their order, and none is made */
    size_t next; /* the part to give out */
};

/* In configure: memory for `size` bytes made of constants. *out_ready: they are there already (and read-only); otherwise
 * the caller fills them. RESOURCE_EXHAUSTED: memory. INTERNAL: parts from a file do not fit the graph. */
MD_NODISCARD enum md_code md_prepared_take(const struct md_configuration *configuration, const char *kind, size_t size,
                                           void **out_bytes, bool *out_ready);

/* In configure: nobody will read the elements of constant input `index` for this node again; its datatype and shape
 * stay. The session frees constants that no node needs. */
void md_constant_release(const struct md_configuration *configuration, size_t index);

#endif
