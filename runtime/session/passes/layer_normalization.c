/* layer_normalization.c - what exporters below opset 17 write for LayerNormalization, as one node:
 *
 *     mean = ReduceMean(x), d = x - mean, variance = ReduceMean(d * d), d / Sqrt(variance + epsilon) * scale + bias
 *
 * over the last axis, with constant scale and bias. The square may be Pow(d, 2) or Mul(d, d); d may be computed twice. */
#include "graph_edit.h"
#include "pass.h"

/* ReduceMean over the last axis, dimension kept, of the value that it returns; else MD_NO_VALUE. */
static int32_t mean_of(const struct md_graph *graph, int32_t value)
{
    const struct md_node *node = md_graph_producer(graph, value, "ReduceMean");
    const int64_t *axes;
    size_t count;
    int64_t keep = 1;
    if (node == NULL || md_attribute_int(&node->attributes, "keepdims", 1, &keep, NULL) != MD_OK || keep != 1 ||
        md_attribute_ints(&node->attributes, "axes", &axes, &count, NULL) != MD_OK)
        return MD_NO_VALUE;
    const struct md_tensor *input = md_graph_constant(graph, node, 1);
    if (node->input_count > 1 && (input == NULL || input->datatype != MD_INT64))
        return MD_NO_VALUE;
    int64_t axis = input != NULL && input->count == 1 ? md_tensor_int(input, 0) : count == 1 ? axes[0] : 0;
    return axis == -1 && (input == NULL || count == 0) ? node->inputs[0] : MD_NO_VALUE;
}

/* x when value is x - mean(x); else MD_NO_VALUE. */
static int32_t centered_of(const struct md_graph *graph, int32_t value)
{
    const struct md_node *node = md_graph_producer(graph, value, "Sub");
    return node != NULL && mean_of(graph, node->inputs[1]) == node->inputs[0] ? node->inputs[0] : MD_NO_VALUE;
}

/* x when value is the square of x - mean(x). */
static int32_t squared_of(const struct md_graph *graph, int32_t value)
{
    const struct md_node *power = md_graph_producer(graph, value, "Pow");
    if (power != NULL)
        return md_graph_scalar_is(graph, power->inputs[1], 2.0) ? centered_of(graph, power->inputs[0]) : MD_NO_VALUE;
    const struct md_node *product = md_graph_producer(graph, value, "Mul");
    return product != NULL && product->inputs[0] == product->inputs[1] ? centered_of(graph, product->inputs[0]) :
                                                                         MD_NO_VALUE;
}

/* x when value is (x - mean) / sqrt(variance + epsilon). */
static int32_t normalized_of(const struct md_graph *graph, int32_t value, double *out_epsilon)
{
    const struct md_node *quotient = md_graph_producer(graph, value, "Div");
    const struct md_node *root = quotient == NULL ? NULL : md_graph_producer(graph, quotient->inputs[1], "Sqrt");
    const struct md_node *sum = root == NULL ? NULL : md_graph_producer(graph, root->inputs[0], "Add");
    if (sum == NULL)
        return MD_NO_VALUE;
    const size_t constant = md_graph_constant(graph, sum, 0) != NULL ? 0 : 1;
    const int32_t x = centered_of(graph, quotient->inputs[0]);
    if (x == MD_NO_VALUE || !md_graph_scalar(graph, sum->inputs[constant], out_epsilon))
        return MD_NO_VALUE;
    const int32_t square = mean_of(graph, sum->inputs[1 - constant]);
    return square != MD_NO_VALUE && squared_of(graph, square) == x ? x : MD_NO_VALUE;
}

/* The input of `node` that is a constant row, of at least two elements and of any real type; 2: none. */
static size_t row_input(const struct md_graph *graph, const struct md_node *node)
{
    for (size_t i = 0; i < 2; i++) {
        const struct md_tensor *row = md_graph_constant(graph, node, i);
        if (row != NULL && row->shape.rank == 1 && row->count > 1)
            return i;
    }
    return 2;
}

static enum md_code fuse(struct md_model *model, const struct md_graph *graph, struct md_node *node,
                         struct md_error *error)
{
    const size_t bias = md_node_is(node, "Add") ? row_input(graph, node) : 2;
    const struct md_node *product = bias == 2 ? NULL : md_graph_producer(graph, node->inputs[1 - bias], "Mul");
    const size_t scale = product == NULL ? 2 : row_input(graph, product);
    double epsilon;
    if (scale == 2 || md_graph_constant(graph, node, bias)->count != md_graph_constant(graph, product, scale)->count)
        return MD_OK;
    const int32_t x = normalized_of(graph, product->inputs[1 - scale], &epsilon);
    if (x == MD_NO_VALUE)
        return MD_OK;
    const int32_t inputs[] = { x, product->inputs[scale], node->inputs[bias] };
    const struct md_attribute attributes[] = {
        { .name = "axis", .kind = MD_ATTRIBUTE_INT, .value.i = -1 },
        { .name = "epsilon", .kind = MD_ATTRIBUTE_FLOAT, .value.f = (float)epsilon },
    };
    return md_graph_rewrite(model, node, "", "LayerNormalization", inputs, 3, attributes, 2, error);
}

static enum md_code apply(struct md_model *model, struct md_graph *graph, struct md_error *error)
{
    for (size_t i = 0; i < graph->node_count; i++)
        MD_TRY(fuse(model, graph, &graph->nodes[i], error));
    return MD_OK;
}

const struct md_pass md_pass_layer_normalization = { "layer-normalization", apply };
