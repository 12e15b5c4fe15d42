/* trie.c - see trie.h. */
#include "trie.h"

#include "allocator.h"
#include "vocabulary.h"

enum { MAX_NODES = 1 << 24 };

static bool reserve_edges(struct md_trie *trie)
{
    if (trie->mask != 0 && trie->edge_count * 2 <= trie->mask)
        return true;
    struct md_trie grown = *trie;
    grown.mask = trie->mask == 0 ? 1023 : trie->mask * 2 + 1;
    grown.edges = md_allocate_zeroed(trie->allocator, grown.mask + 1, sizeof *grown.edges);
    if (grown.edges == NULL)
        return false;
    for (size_t i = 0; trie->edges != NULL && i <= trie->mask; i++) {
        if (trie->edges[i].child == 0)
            continue;
        size_t slot = md_trie_slot(&grown, trie->edges[i].key);
        while (grown.edges[slot].child != 0)
            slot = (slot + 1) & grown.mask;
        grown.edges[slot] = trie->edges[i];
    }
    md_release(trie->allocator, trie->edges);
    *trie = grown;
    return true;
}

/* A node for every edge, and the root. */
static bool reserve_node(struct md_trie *trie)
{
    if (trie->edge_count + 2 <= trie->node_capacity)
        return true;
    size_t capacity = trie->node_capacity == 0 ? 1024 : trie->node_capacity * 2;
    int32_t *ids = md_reallocate(trie->allocator, trie->ids, trie->node_capacity * sizeof *ids, capacity * sizeof *ids);
    if (ids == NULL)
        return false;
    trie->ids = ids;
    trie->node_capacity = capacity;
    return true;
}

/* The edge from `node` by `byte`, made if there is none; NULL: no memory. */
static struct md_trie_edge *edge_from(struct md_trie *trie, uint32_t node, char byte)
{
    if (!reserve_edges(trie) || !reserve_node(trie))
        return NULL;
    uint32_t key = node << 8 | (unsigned char)byte;
    size_t slot = md_trie_slot(trie, key);
    while (trie->edges[slot].child != 0 && trie->edges[slot].key != key)
        slot = (slot + 1) & trie->mask;
    struct md_trie_edge *edge = &trie->edges[slot];
    if (edge->child == 0) {
        uint32_t made = (uint32_t)++trie->edge_count;
        *edge = (struct md_trie_edge){ key, made << 1 };
        trie->ids[made] = MD_NO_ID;
    }
    return edge;
}

static enum md_code add(struct md_trie *trie, struct md_span token, int32_t id, struct md_error *error)
{
    struct md_trie_edge *edge = NULL;
    uint32_t node = MD_TRIE_ROOT;
    if (trie->edge_count + token.size >= MAX_NODES)
        return md_fail(error, MD_INVALID_ARGUMENT, "model.vocab: tokens of more than %d bytes", MAX_NODES);
    for (size_t i = 0; i < token.size; i++) {
        edge = edge_from(trie, node, token.bytes[i]);
        if (edge == NULL)
            return md_fail_memory(error, "vocabulary");
        node = edge->child >> 1;
    }
    if (edge != NULL) { /* an empty token is never found */
        edge->child |= 1;
        trie->ids[node] = id;
    }
    return MD_OK;
}

enum md_code md_trie_create(const struct md_allocator *allocator, const struct md_vocabulary *vocabulary,
                            struct md_trie *out_trie, struct md_error *error)
{
    *out_trie = (struct md_trie){ .allocator = allocator };
    if (!reserve_edges(out_trie) || !reserve_node(out_trie))
        return md_fail_memory(error, "vocabulary");
    for (size_t i = 0; i < vocabulary->count; i++) {
        const struct md_vocabulary_entry *entry = &vocabulary->entries[i];
        MD_TRY(add(out_trie, (struct md_span){ vocabulary->text + entry->offset, entry->size }, entry->id, error));
    }
    return MD_OK;
}

void md_trie_cleanup(struct md_trie *trie)
{
    if (trie->allocator == NULL)
        return;
    md_release(trie->allocator, trie->edges);
    md_release(trie->allocator, trie->ids);
    *trie = (struct md_trie){ .edges = NULL };
}

uint32_t md_trie_find(const struct md_trie *trie, struct md_span bytes)
{
    uint32_t node = MD_TRIE_ROOT;
    for (size_t i = 0; i < bytes.size; i++) {
        bool ends;
        node = md_trie_step(trie, node, bytes.bytes[i], &ends);
        if (node == MD_TRIE_NONE)
            return MD_TRIE_NONE;
    }
    return node;
}

size_t md_trie_longest(const struct md_trie *trie, uint32_t node, struct md_span text, int32_t *out_id)
{
    size_t longest = 0;
    for (size_t at = 0; at < text.size;) {
        bool ends;
        node = md_trie_step(trie, node, text.bytes[at++], &ends);
        if (node == MD_TRIE_NONE)
            break;
        if (ends) {
            longest = at;
            *out_id = trie->ids[node];
        }
    }
    return longest;
}
