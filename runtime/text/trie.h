/* trie.h - the tokens of a vocabulary byte by byte, for models that ask which tokens a text starts with.
 *
 * The edges are one hash table of (node, byte) -> node, so a step is one look into memory, and building needs no
 * sorting. Threads: immutable once it is filled. Memory: the allocator given at init. */
#ifndef MD_TRIE_H
#define MD_TRIE_H

#include "span.h"
#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct md_allocator;
struct md_vocabulary;

enum { MD_TRIE_ROOT = 0, MD_TRIE_NONE = 0 }; /* no edge leads to the root */

struct md_trie_edge {
    uint32_t key;   /* node << 8 | byte */
    uint32_t child; /* node << 1 | whether a token ends there; 0: a free slot */
};

struct md_trie {
    const struct md_allocator *allocator;
    struct md_trie_edge *edges;
    size_t mask;
    size_t edge_count;
    int32_t *ids; /* by node: of the token that ends there, or MD_NO_ID */
    size_t node_capacity;
};

/* INVALID_ARGUMENT: tokens of too many bytes. Release with md_trie_cleanup in any case. */
MD_NODISCARD enum md_code md_trie_create(const struct md_allocator *allocator, const struct md_vocabulary *vocabulary,
                                         struct md_trie *out_trie, struct md_error *error);
void md_trie_cleanup(struct md_trie *trie); /* a zeroed one is allowed */

static inline size_t md_trie_slot(const struct md_trie *trie, uint32_t key)
{
    return (size_t)((uint64_t)key * 0x9E3779B97F4A7C15u >> 32) & trie->mask;
}

/* Where `byte` leads from `node`; MD_TRIE_NONE: nowhere. *out_ends: a token ends there. */
static inline uint32_t md_trie_step(const struct md_trie *trie, uint32_t node, char byte, bool *out_ends)
{
    uint32_t key = node << 8 | (unsigned char)byte;
    for (size_t slot = md_trie_slot(trie, key);; slot = (slot + 1) & trie->mask) {
        struct md_trie_edge edge = trie->edges[slot];
        if (edge.key == key || edge.child == 0) {
            *out_ends = (edge.child & 1) != 0;
            return edge.child >> 1;
        }
    }
}

/* The node of `bytes`, or MD_TRIE_NONE; that of no bytes is the root. */
uint32_t md_trie_find(const struct md_trie *trie, struct md_span bytes);
/* The longest token that continues from `node` at the start of `text`: its length, 0 for none. */
size_t md_trie_longest(const struct md_trie *trie, uint32_t node, struct md_span text, int32_t *out_id);

#endif
