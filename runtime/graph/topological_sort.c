/* topological_sort.c - nodes in an order in which they can run; see importer.h.
 *
 * A depth-first walk that starts at the nodes in file order and puts a node behind all it reads from, so a
 * file that is in order stays as it is. The stack is an array: a chain of a million nodes is no recursion. */
#include "importer.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum state { NEW = 0, OPEN, DONE };

struct visit {
    int32_t node;
    size_t next; /* edge that is looked at next */
};

struct sorter {
    const struct md_scope *scope;
    unsigned char *states;
    size_t *edge_starts; /* edges of node n: [edge_starts[n], edge_starts[n + 1]) of edges */
    int32_t *edges;      /* producers */
    struct visit *stack;
    size_t stack_count;
    int32_t *order;
    size_t order_count;
};

static size_t edge_limit(const struct md_node *node)
{
    size_t count = node->input_count;
    for (size_t i = 0; i < node->subgraph_count; i++)
        count += node->subgraphs[i]->capture_count;
    return count;
}

static void add_edge(struct sorter *sorter, size_t *count, int32_t value)
{
    if (value != MD_NO_VALUE && sorter->scope->values[value].producer >= 0)
        sorter->edges[(*count)++] = sorter->scope->values[value].producer;
}

static void collect_edges(struct sorter *sorter)
{
    size_t count = 0;
    for (size_t n = 0; n < sorter->scope->node_count; n++) {
        const struct md_node *node = &sorter->scope->nodes[n];
        sorter->edge_starts[n] = count;
        for (size_t i = 0; i < node->input_count; i++)
            add_edge(sorter, &count, node->inputs[i]);
        for (size_t i = 0; i < node->subgraph_count; i++)
            for (size_t j = 0; j < node->subgraphs[i]->capture_count; j++)
                add_edge(sorter, &count, node->subgraphs[i]->captures[j].outer);
    }
    sorter->edge_starts[sorter->scope->node_count] = count;
}

static enum md_code sorter_init(struct sorter *sorter, struct md_importer *importer,
                                const struct md_scope *scope, struct md_error *error)
{
    size_t count = scope->node_count;
    size_t edges = 0;
    for (size_t n = 0; n < count; n++)
        edges += edge_limit(&scope->nodes[n]);
    struct md_arena *arena = &importer->scratch;
    *sorter = (struct sorter){
        .scope = scope,
        .states = md_arena_allocate_zeroed(arena, count, 1),
        .edge_starts = md_arena_allocate_zeroed(arena, count + 1, sizeof *sorter->edge_starts),
        .edges = md_arena_allocate_zeroed(arena, edges, sizeof *sorter->edges),
        .stack = md_arena_allocate_zeroed(arena, count, sizeof *sorter->stack),
        .order = md_arena_allocate_zeroed(arena, count, sizeof *sorter->order),
    };
    if (sorter->states == NULL || sorter->edge_starts == NULL || sorter->edges == NULL ||
        sorter->stack == NULL || sorter->order == NULL)
        return md_fail_memory(error, "order of the nodes");
    collect_edges(sorter);
    return MD_OK;
}

/* The open nodes from `first` to the top of the stack are the cycle. */
static enum md_code fail_cycle(const struct sorter *sorter, int32_t first, struct md_error *error)
{
    char names[320];
    size_t used = 0;
    size_t from = sorter->stack_count;
    while (from > 0 && sorter->stack[from - 1].node != first)
        from--;
    for (size_t i = from - 1; i < sorter->stack_count && used < sizeof names; i++) {
        const char *name = sorter->scope->nodes[sorter->stack[i].node].name;
        int wrote =
            snprintf(names + used, sizeof names - used, "%s\"%s\"", i == from - 1 ? "" : " <- ", name);
        used += (size_t)wrote;
    }
    return md_fail(error, MD_INVALID_ARGUMENT,
                   "graph \"%s\" has a cycle of %zu nodes, each reads from the next: %s", sorter->scope->name,
                   sorter->stack_count - from + 1, names);
}

static void push(struct sorter *sorter, int32_t node)
{
    sorter->states[node] = OPEN;
    sorter->stack[sorter->stack_count++] = (struct visit){ node, sorter->edge_starts[node] };
}

static enum md_code visit_from(struct sorter *sorter, int32_t start, struct md_error *error)
{
    push(sorter, start);
    while (sorter->stack_count > 0) {
        struct visit *top = &sorter->stack[sorter->stack_count - 1];
        if (top->next == sorter->edge_starts[top->node + 1]) {
            sorter->states[top->node] = DONE;
            sorter->order[sorter->order_count++] = top->node;
            sorter->stack_count--;
            continue;
        }
        int32_t next = sorter->edges[top->next++];
        if (sorter->states[next] == OPEN)
            return fail_cycle(sorter, next, error);
        if (sorter->states[next] == NEW)
            push(sorter, next);
    }
    return MD_OK;
}

enum md_code md_topological_sort(struct md_importer *importer, struct md_scope *scope, struct md_error *error)
{
    struct sorter sorter;
    MD_TRY(sorter_init(&sorter, importer, scope, error));
    for (size_t n = 0; n < scope->node_count; n++)
        if (sorter.states[n] == NEW)
            MD_TRY(visit_from(&sorter, (int32_t)n, error));
    struct md_node *nodes = md_arena_allocate_zeroed(&importer->scratch, scope->node_count, sizeof *nodes);
    if (nodes == NULL)
        return md_fail_memory(error, "order of the nodes");
    for (size_t n = 0; n < scope->node_count; n++) {
        nodes[n] = scope->nodes[sorter.order[n]];
        for (size_t i = 0; i < nodes[n].output_count; i++)
            if (nodes[n].outputs[i] != MD_NO_VALUE)
                scope->values[nodes[n].outputs[i]].producer = (int32_t)n;
    }
    scope->nodes = nodes;
    return MD_OK;
}
