/* skip_layer_normalization.c - Add and the LayerNormalization over the last axis that alone reads it, as one internal
 * AddLayerNormalization: the sum is normalised while it is in the cache. */
#include "graph_edit.h"
#include "operator.h"
#include "pass.h"

/* The kernel adds in float: longer rows keep the general operator, which adds in double. */
enum { MAX_ROW = 4096 };

static bool is_plain(const struct md_graph *graph, const uint32_t *uses, const struct md_node *node)
{
    int64_t axis;
    const struct md_tensor *scale = md_graph_float_row(graph, node, 1), *bias = md_graph_float_row(graph, node, 2);
    if (md_attribute_int(&node->attributes, "axis", -1, &axis, NULL) != MD_OK || axis != -1 || scale == NULL ||
        scale->count < 2 || scale->count > MAX_ROW)
        return false;
    for (size_t i = 1; i < node->output_count; i++)
        if (node->outputs[i] != MD_NO_VALUE && uses[node->outputs[i]] > 0)
            return false;
    return node->input_count < 3 || node->inputs[2] == MD_NO_VALUE || (bias != NULL && bias->count == scale->count);
}

static enum md_code fuse(struct md_model *model, const struct md_graph *graph, const uint32_t *uses,
                         struct md_node *node, struct md_error *error)
{
    float epsilon;
    if (!md_node_is(node, "LayerNormalization") || !is_plain(graph, uses, node) ||
        md_attribute_float(&node->attributes, "epsilon", 1e-5f, &epsilon, NULL) != MD_OK)
        return MD_OK;
    const struct md_node *sum = md_graph_producer(graph, node->inputs[0], "Add");
    if (sum == NULL || uses[node->inputs[0]] != 1)
        return MD_OK;
    const int32_t inputs[] = { sum->inputs[0], sum->inputs[1], node->inputs[1],
                               node->input_count > 2 ? node->inputs[2] : MD_NO_VALUE };
    const struct md_attribute attribute = { .name = "epsilon", .kind = MD_ATTRIBUTE_FLOAT, .value.f = epsilon };
    node->output_count = 1;
    return md_graph_rewrite(model, node, MD_INTERNAL_DOMAIN, "AddLayerNormalization", inputs, 4, &attribute, 1, error);
}

static enum md_code apply(struct md_model *model, struct md_graph *graph, struct md_error *error)
{
    uint32_t *uses;
    MD_TRY(md_graph_count_uses(model, graph, &uses, error));
    for (size_t i = 0; i < graph->node_count; i++)
        MD_TRY(fuse(model, graph, uses, &graph->nodes[i], error));
    return MD_OK;
}

const struct md_pass md_pass_skip_layer_normalization = { "skip-layer-normalization", apply };
