/* dead_code.c - removes nodes whose outputs nobody reads. The executor would skip them, but they would be configured and
 * keep their weights packed. */
#include "pass.h"

static void mark(bool *live, const int32_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (values[i] != MD_NO_VALUE)
            live[values[i]] = true;
}

static enum md_code apply(struct md_model *model, struct md_graph *graph, struct md_error *error)
{
    bool *live = md_arena_allocate_zeroed(&model->arena, graph->value_count + graph->node_count, sizeof *live);
    if (live == NULL)
        return md_fail_memory(error, "dead code");
    bool *kept = live + graph->value_count;
    mark(live, graph->outputs, graph->output_count);
    for (size_t i = graph->node_count; i-- > 0;) {
        const struct md_node *node = &graph->nodes[i];
        for (size_t j = 0; j < node->output_count; j++)
            kept[i] = kept[i] || (node->outputs[j] != MD_NO_VALUE && live[node->outputs[j]]);
        if (!kept[i])
            continue;
        mark(live, node->inputs, node->input_count);
        for (size_t j = 0; j < node->subgraph_count; j++)
            for (size_t k = 0; k < node->subgraphs[j]->capture_count; k++)
                live[node->subgraphs[j]->captures[k].outer] = true;
    }
    size_t count = 0;
    for (size_t i = 0; i < graph->node_count; i++) {
        if (!kept[i])
            continue;
        graph->nodes[count] = graph->nodes[i];
        for (size_t j = 0; j < graph->nodes[count].output_count; j++)
            if (graph->nodes[count].outputs[j] != MD_NO_VALUE)
                graph->values[graph->nodes[count].outputs[j]].producer = (int32_t)count;
        count++;
    }
    graph->node_count = count;
    return MD_OK;
}

const struct md_pass md_pass_dead_code = { "dead-code", apply };
