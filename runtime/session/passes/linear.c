/* linear.c - MatMul or Gemm with constant FP32 weights, the Add of a constant bias row and the activation after it, as
 * one internal Linear: the bias and the activation are applied while a tile of the product is in registers. A MatMul
 * alone becomes one, too: the precision that was asked for is known to Linear. */
#include "graph_edit.h"
#include "operator.h"
#include "pass.h"

static enum md_code make_linear(struct md_model *model, struct md_node *node, const int32_t *inputs, size_t input_count,
                                const char *activation, bool transpose_b, struct md_error *error)
{
    const struct md_attribute attributes[] = {
        { .name = "activation", .kind = MD_ATTRIBUTE_STRING, .value.string = md_span_of(activation) },
        { .name = "transB", .kind = MD_ATTRIBUTE_INT, .value.i = transpose_b },
    };
    return md_graph_rewrite(model, node, MD_INTERNAL_DOMAIN, "Linear", inputs, input_count, attributes, 2, error);
}

static bool is_weight(const struct md_tensor *b)
{
    return b != NULL && b->datatype == MD_FP32 && b->shape.rank == 2 && b->count > 0;
}

/* A MatMul whose B is a constant matrix that a Linear takes; else NULL. */
static const struct md_node *product_of(const struct md_graph *graph, int32_t value)
{
    const struct md_node *node = md_graph_producer(graph, value, "MatMul");
    return node != NULL && is_weight(md_graph_constant(graph, node, 1)) ? node : NULL;
}

static enum md_code fuse_bias(struct md_model *model, const struct md_graph *graph, const uint32_t *uses,
                              struct md_node *node, struct md_error *error)
{
    for (size_t i = 0; i < 2; i++) {
        const struct md_tensor *bias = md_graph_float_row(graph, node, i);
        const struct md_node *product = bias == NULL ? NULL : product_of(graph, node->inputs[1 - i]);
        if (product == NULL || uses[product->outputs[0]] != 1 ||
            (int64_t)bias->count != md_graph_constant(graph, product, 1)->shape.dims[1])
            continue;
        const int32_t inputs[] = { product->inputs[0], product->inputs[1], node->inputs[i] };
        return make_linear(model, node, inputs, 3, "", false, error);
    }
    return MD_OK;
}

static bool plain_gemm(const struct md_node *node, int64_t *out_transpose_b)
{
    int64_t transpose_a;
    float alpha, beta;
    return md_attribute_int(&node->attributes, "transA", 0, &transpose_a, NULL) == MD_OK && transpose_a == 0 &&
           md_attribute_int(&node->attributes, "transB", 0, out_transpose_b, NULL) == MD_OK &&
           md_attribute_float(&node->attributes, "alpha", 1.0f, &alpha, NULL) == MD_OK && alpha == 1.0f &&
           md_attribute_float(&node->attributes, "beta", 1.0f, &beta, NULL) == MD_OK && beta == 1.0f;
}

/* A MatMul or Gemm that nothing was fused with. */
static enum md_code replace_product(struct md_model *model, const struct md_graph *graph, struct md_node *node,
                                    struct md_error *error)
{
    const struct md_tensor *b = md_graph_constant(graph, node, 1);
    const bool has_bias = node->input_count > 2 && node->inputs[2] != MD_NO_VALUE;
    const struct md_tensor *bias = has_bias ? md_graph_float_row(graph, node, 2) : NULL;
    int64_t transpose_b = 0;
    if (!is_weight(b) || (md_node_is(node, "Gemm") && !plain_gemm(node, &transpose_b)))
        return MD_OK;
    if (has_bias && (bias == NULL || (int64_t)bias->count != b->shape.dims[transpose_b == 0]))
        return MD_OK;
    return make_linear(model, node, node->inputs, node->input_count, "", transpose_b != 0, error);
}

static enum md_code fuse_activation(struct md_model *model, const struct md_graph *graph, const uint32_t *uses,
                                    struct md_node *node, struct md_error *error)
{
    const char *activation = md_graph_activation(node);
    if (activation == NULL || node->inputs[0] == MD_NO_VALUE || uses[node->inputs[0]] != 1 ||
        graph->values[node->inputs[0]].producer < 0)
        return MD_OK;
    const struct md_node *linear = &graph->nodes[graph->values[node->inputs[0]].producer];
    struct md_span before;
    int64_t transpose_b;
    if (!md_node_is_in(linear, MD_INTERNAL_DOMAIN, "Linear") ||
        md_attribute_string(&linear->attributes, "activation", "", &before, NULL) != MD_OK || before.size != 0)
        return MD_OK;
    MD_TRY(md_attribute_int(&linear->attributes, "transB", 0, &transpose_b, error));
    return make_linear(model, node, linear->inputs, linear->input_count, activation, transpose_b != 0, error);
}

static enum md_code apply(struct md_model *model, struct md_graph *graph, struct md_error *error)
{
    uint32_t *uses;
    MD_TRY(md_graph_count_uses(model, graph, &uses, error));
    for (size_t i = 0; i < graph->node_count; i++) {
        struct md_node *node = &graph->nodes[i];
        if (md_node_is(node, "Add"))
            MD_TRY(fuse_bias(model, graph, uses, node, error));
    }
    for (size_t i = 0; i < graph->node_count; i++) {
        struct md_node *node = &graph->nodes[i];
        if (md_node_is(node, "MatMul") || md_node_is(node, "Gemm"))
            MD_TRY(replace_product(model, graph, node, error));
        else
            MD_TRY(fuse_activation(model, graph, uses, node, error));
    }
    return MD_OK;
}

const struct md_pass md_pass_linear = { "linear", apply };
