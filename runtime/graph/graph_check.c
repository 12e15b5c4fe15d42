/* graph_check.c - see graph_check.h. */
#include "graph_check.h"

/* One graph on the way; `made[v]`: value v exists at this point. */
struct scope {
    const struct md_graph *graph;
    bool *made;
};

static bool is_made(const struct scope *scope, int32_t value)
{
    return value >= 0 && (size_t)value < scope->graph->value_count && scope->made[value];
}

/* False: no such value, or it is there already. */
static bool make(struct scope *scope, int32_t value)
{
    if (value < 0 || (size_t)value >= scope->graph->value_count || scope->made[value])
        return false;
    scope->made[value] = true;
    return true;
}

static bool inputs_are_made(const struct scope *scope, const struct md_node *node)
{
    bool good = node->input_count == 0 || node->inputs[node->input_count - 1] != MD_NO_VALUE;
    for (size_t i = 0; i < node->input_count; i++)
        good = good && (node->inputs[i] == MD_NO_VALUE || is_made(scope, node->inputs[i]));
    return good;
}

/* Subgraphs are the values of graph attributes, each of one. */
static bool subgraphs_are_attributes(const struct md_node *node)
{
    size_t count = 0;
    for (size_t i = 0; i < node->attributes.count; i++)
        count += node->attributes.items[i].kind == MD_ATTRIBUTE_GRAPH;
    for (size_t i = 0; i < node->subgraph_count; i++) {
        size_t found = 0;
        for (size_t j = 0; j < node->attributes.count; j++)
            found += node->attributes.items[j].kind == MD_ATTRIBUTE_GRAPH &&
                     node->attributes.items[j].value.graph == node->subgraphs[i];
        if (found != 1)
            return false;
    }
    return count == node->subgraph_count;
}

static bool check(struct md_arena *arena, struct md_graph *graph, const struct scope *outer);

static bool check_node(struct md_arena *arena, struct scope *scope, struct md_graph *graph, size_t index)
{
    const struct md_node *node = &graph->nodes[index];
    if (node->name[0] == '\0' || !inputs_are_made(scope, node) || !subgraphs_are_attributes(node))
        return false;
    for (size_t i = 0; i < node->subgraph_count; i++)
        if (!check(arena, node->subgraphs[i], scope))
            return false;
    for (size_t i = 0; i < node->output_count; i++) {
        if (node->outputs[i] == MD_NO_VALUE)
            continue;
        if (!make(scope, node->outputs[i]))
            return false;
        graph->values[node->outputs[i]].producer = (int32_t)index;
    }
    return true;
}

static bool check(struct md_arena *arena, struct md_graph *graph, const struct scope *outer)
{
    struct scope scope = { graph, md_arena_allocate_zeroed(arena, graph->value_count, sizeof *scope.made) };
    bool good = scope.made != NULL && graph->node_count <= INT32_MAX && graph->value_count <= INT32_MAX;
    for (size_t i = 0; good && i < graph->value_count; i++) {
        scope.made[i] = graph->values[i].constant != NULL;
        graph->values[i].producer = -1;
    }
    for (size_t i = 0; good && i < graph->input_count; i++)
        good = make(&scope, graph->inputs[i]);
    for (size_t i = 0; good && i < graph->capture_count; i++)
        good = outer != NULL && is_made(outer, graph->captures[i].outer) && make(&scope, graph->captures[i].inner);
    for (size_t i = 0; good && i < graph->node_count; i++)
        good = check_node(arena, &scope, graph, i);
    for (size_t i = 0; good && i < graph->output_count; i++)
        good = is_made(&scope, graph->outputs[i]);
    return good;
}

bool md_graph_check(struct md_arena *arena, struct md_graph *graph)
{
    return check(arena, graph, NULL);
}
