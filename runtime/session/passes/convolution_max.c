/* convolution_max.c - the filters of a text classifier, as one internal ConvolutionMax: the Transpose that brings the
 * channels of [batch, steps, channels] to the front, Conv with constant FP32 weights, Relu or nothing, and the ReduceMax
 * over time. The convolution reads the words where they are, and only its largest values are written. */
#include "graph_edit.h"
#include "operator.h"
#include "pass.h"

/* Is attribute `name` absent, or a list of nothing but `value`? */
static bool each_is(const struct md_node *node, const char *name, int64_t value)
{
    const int64_t *found;
    size_t count;
    if (md_attribute_ints(&node->attributes, name, &found, &count, NULL) != MD_OK)
        return false;
    for (size_t i = 0; i < count; i++)
        if (found[i] != value)
            return false;
    return true;
}

/* Of the last of three axes; the axes are an attribute or, from opset 18 on, a constant. */
static bool reduces_time(const struct md_graph *graph, const struct md_node *node)
{
    const struct md_tensor *input = md_graph_constant(graph, node, 1);
    const int64_t *axes;
    size_t count;
    if (md_attribute_ints(&node->attributes, "axes", &axes, &count, NULL) != MD_OK)
        return false;
    if (node->input_count > 1 && node->inputs[1] != MD_NO_VALUE) {
        if (input == NULL || input->datatype != MD_INT64)
            return false;
        axes = md_elements(const int64_t, input);
        count = input->count;
    }
    return count == 1 && (axes[0] == 2 || axes[0] == -1);
}

static bool swaps_time_and_channels(const struct md_node *transpose)
{
    const int64_t *order;
    size_t count;
    return md_attribute_ints(&transpose->attributes, "perm", &order, &count, NULL) == MD_OK && count == 3 &&
           order[0] == 0 && order[1] == 2 && order[2] == 1;
}

/* Every window is a run of words inside the input. */
static bool is_plain(const struct md_graph *graph, const struct md_node *conv)
{
    const struct md_tensor *weights = md_graph_constant(graph, conv, 1);
    struct md_span auto_pad;
    int64_t groups;
    return weights != NULL && weights->datatype == MD_FP32 && weights->shape.rank == 3 && weights->count > 0 &&
           conv->input_count <= 3 && each_is(conv, "kernel_shape", weights->shape.dims[2]) &&
           each_is(conv, "pads", 0) && each_is(conv, "strides", 1) && each_is(conv, "dilations", 1) &&
           md_attribute_int(&conv->attributes, "group", 1, &groups, NULL) == MD_OK && groups == 1 &&
           md_attribute_string(&conv->attributes, "auto_pad", "NOTSET", &auto_pad, NULL) == MD_OK &&
           md_span_equal(auto_pad, md_span_of("NOTSET"));
}

/* A bias that is there is a row of constants, one for each filter. */
static bool has_plain_bias(const struct md_graph *graph, const struct md_node *conv)
{
    const struct md_tensor *bias = md_graph_float_row(graph, conv, 2);
    return conv->input_count < 3 || conv->inputs[2] == MD_NO_VALUE ||
           (bias != NULL && (int64_t)bias->count == md_graph_constant(graph, conv, 1)->shape.dims[0]);
}

static enum md_code fuse(struct md_model *model, const struct md_graph *graph, const uint32_t *uses,
                         struct md_node *node, struct md_error *error)
{
    if (!md_node_is(node, "ReduceMax") || !reduces_time(graph, node))
        return MD_OK;
    const struct md_node *relu = md_graph_producer(graph, node->inputs[0], "Relu");
    const int32_t sums = relu != NULL ? relu->inputs[0] : node->inputs[0];
    const struct md_node *conv = md_graph_producer(graph, sums, "Conv");
    if (conv == NULL || uses[sums] != 1 || uses[node->inputs[0]] != 1 || !is_plain(graph, conv) ||
        !has_plain_bias(graph, conv))
        return MD_OK;
    const struct md_node *transpose = md_graph_producer(graph, conv->inputs[0], "Transpose");
    int64_t keep_dims;
    if (transpose == NULL || !swaps_time_and_channels(transpose) ||
        md_attribute_int(&node->attributes, "keepdims", 1, &keep_dims, NULL) != MD_OK)
        return MD_OK;
    const int32_t inputs[] = { transpose->inputs[0], conv->inputs[1],
                               conv->input_count > 2 ? conv->inputs[2] : MD_NO_VALUE };
    const struct md_attribute attributes[] = {
        { .name = "relu", .kind = MD_ATTRIBUTE_INT, .value.i = relu != NULL },
        { .name = "keepdims", .kind = MD_ATTRIBUTE_INT, .value.i = keep_dims },
    };
    return md_graph_rewrite(model, node, MD_INTERNAL_DOMAIN, "ConvolutionMax", inputs, 3, attributes, 2, error);
}

static enum md_code apply(struct md_model *model, struct md_graph *graph, struct md_error *error)
{
    uint32_t *uses;
    MD_TRY(md_graph_count_uses(model, graph, &uses, error));
    for (size_t i = 0; i < graph->node_count; i++)
        MD_TRY(fuse(model, graph, uses, &graph->nodes[i], error));
    return MD_OK;
}

const struct md_pass md_pass_convolution_max = { "convolution-max", apply };
