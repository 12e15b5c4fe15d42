/* constant_captures.c - a subgraph that reads a constant of the enclosing graph gets it as a constant of its own (the
 * same bytes), so that its nodes are configured, folded and packed like those of the main graph. */
#include "pass.h"

static void inherit(const struct md_graph *outer, struct md_graph *inner)
{
    size_t kept = 0;
    for (size_t i = 0; i < inner->capture_count; i++) {
        struct md_capture capture = inner->captures[i];
        const struct md_tensor *constant = outer->values[capture.outer].constant;
        if (constant != NULL)
            inner->values[capture.inner].constant = constant;
        else
            inner->captures[kept++] = capture;
    }
    inner->capture_count = kept;
}

static enum md_code apply(struct md_model *model, struct md_graph *graph, struct md_error *error)
{
    (void)model;
    (void)error;
    for (size_t i = 0; i < graph->node_count; i++)
        for (size_t j = 0; j < graph->nodes[i].subgraph_count; j++)
            inherit(graph, graph->nodes[i].subgraphs[j]);
    return MD_OK;
}

const struct md_pass md_pass_constant_captures = { "constant-captures", apply };
