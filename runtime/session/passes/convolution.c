/* convolution.c - Conv and the Relu that alone reads it, as one FusedConv of com.microsoft: the Relu is applied while a
 * tile of the product is in registers. */
#include "graph_edit.h"
#include "operator.h"
#include "pass.h"

enum { MAX_ATTRIBUTES = 8 }; /* Conv has six */

static enum md_code fuse(struct md_model *model, const struct md_graph *graph, const uint32_t *uses,
                         struct md_node *relu, struct md_error *error)
{
    const struct md_node *conv = md_graph_producer(graph, relu->inputs[0], "Conv");
    if (conv == NULL || uses[relu->inputs[0]] != 1 || conv->input_count < 2 || conv->input_count > 3 ||
        conv->attributes.count >= MAX_ATTRIBUTES)
        return MD_OK;
    struct md_attribute attributes[MAX_ATTRIBUTES];
    size_t count = 0;
    for (; count < conv->attributes.count; count++)
        attributes[count] = conv->attributes.items[count];
    attributes[count++] = (struct md_attribute){ .name = "activation",
                                                 .kind = MD_ATTRIBUTE_STRING,
                                                 .value.string = md_span_of("Relu") };
    return md_graph_rewrite(model, relu, MD_MICROSOFT, "FusedConv", conv->inputs, conv->input_count, attributes, count,
                            error);
}

static enum md_code apply(struct md_model *model, struct md_graph *graph, struct md_error *error)
{
    uint32_t *uses;
    MD_TRY(md_graph_count_uses(model, graph, &uses, error));
    for (size_t i = 0; i < graph->node_count; i++)
        if (md_node_is(&graph->nodes[i], "Relu"))
            MD_TRY(fuse(model, graph, uses, &graph->nodes[i], error));
    return MD_OK;
}

const struct md_pass md_pass_convolution = { "convolution", apply };
