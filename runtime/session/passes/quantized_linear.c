/* quantized_linear.c - what dynamic quantisation makes of a linear layer, as one internal QuantizedLinear:
 *
 *     a, a_scale, a_zero_point = DynamicQuantizeLinear(x)
 *     activation(Cast(MatMulInteger(a, B, a_zero_point, b_zero_point)) * (a_scale * b_scale) + bias)
 *
 * DynamicQuantizeLinear stays, for the products that share its codes; scales, bias and activation are applied while the
 * sums are in registers. */
#include "graph_edit.h"
#include "operator.h"
#include "pass.h"

enum { A, B, A_SCALE, B_SCALE, A_ZERO_POINT, B_ZERO_POINT, BIAS, INPUTS };

struct search {
    struct md_model *model;
    const struct md_graph *graph;
    const uint32_t *uses;
};

static enum md_code make(const struct search *search, struct md_node *node, const int32_t *inputs,
                         const char *activation, struct md_error *error)
{
    const struct md_attribute attribute = { .name = "activation", .kind = MD_ATTRIBUTE_STRING,
                                            .value.string = md_span_of(activation) };
    return md_graph_rewrite(search->model, node, MD_INTERNAL_DOMAIN, "QuantizedLinear", inputs, INPUTS, &attribute, 1,
                            error);
}

/* The producer of `value` if nothing else reads it. */
static const struct md_node *only_for(const struct search *search, int32_t value, const char *op_type)
{
    const struct md_node *node = md_graph_producer(search->graph, value, op_type);
    return node != NULL && search->uses[value] == 1 ? node : NULL;
}

static int32_t input_of(const struct md_node *node, size_t index)
{
    return index < node->input_count ? node->inputs[index] : MD_NO_VALUE;
}

/* The MatMulInteger with a constant matrix B behind a Cast to FP32. */
static const struct md_node *product_behind(const struct search *search, int32_t value)
{
    const struct md_node *cast = only_for(search, value, "Cast");
    int64_t to;
    if (cast == NULL || md_attribute_int(&cast->attributes, "to", 0, &to, NULL) != MD_OK || to != MD_FP32)
        return NULL;
    const struct md_node *product = only_for(search, cast->inputs[0], "MatMulInteger");
    const struct md_tensor *b = product == NULL ? NULL : md_graph_constant(search->graph, product, 1);
    return b != NULL && b->shape.rank == 2 && b->count > 0 ? product : NULL;
}

/* Which factor of scales is that of B: a constant, one number or one for each column; the other one is that of A. */
static bool find_scales(const struct search *search, const struct md_node *scales, const struct md_node *product,
                        int32_t *inputs)
{
    const struct md_node *codes = md_graph_producer(search->graph, product->inputs[0], "DynamicQuantizeLinear");
    const int64_t columns = md_graph_constant(search->graph, product, 1)->shape.dims[1];
    for (size_t i = 0; codes != NULL && codes->output_count > 1 && i < 2; i++) {
        const struct md_tensor *b_scale = md_graph_constant(search->graph, scales, i);
        if (b_scale == NULL || b_scale->datatype != MD_FP32 || b_scale->shape.rank > 1 ||
            (b_scale->count != 1 && (int64_t)b_scale->count != columns) || scales->inputs[1 - i] != codes->outputs[1])
            continue;
        inputs[A_SCALE] = scales->inputs[1 - i];
        inputs[B_SCALE] = scales->inputs[i];
        return true;
    }
    return false;
}

static enum md_code fuse_product(const struct search *search, struct md_node *node, struct md_error *error)
{
    for (size_t i = 0; i < 2; i++) {
        const struct md_node *product = product_behind(search, node->inputs[i]);
        const struct md_node *scales = md_graph_producer(search->graph, node->inputs[1 - i], "Mul");
        int32_t inputs[INPUTS] = { 0 };
        if (product == NULL || scales == NULL || !find_scales(search, scales, product, inputs))
            continue;
        inputs[A] = product->inputs[0];
        inputs[B] = product->inputs[1];
        inputs[A_ZERO_POINT] = input_of(product, 2);
        inputs[B_ZERO_POINT] = input_of(product, 3);
        inputs[BIAS] = MD_NO_VALUE;
        return make(search, node, inputs, "", error);
    }
    return MD_OK;
}

/* The node that makes `value` if it can take an activation yet, or a bias (`without_bias`), for its only reader. */
static const struct md_node *unfinished(const struct search *search, int32_t value, bool without_bias)
{
    struct md_span activation;
    if (value == MD_NO_VALUE || search->uses[value] != 1 || search->graph->values[value].producer < 0)
        return NULL;
    const struct md_node *node = &search->graph->nodes[search->graph->values[value].producer];
    return md_node_is_in(node, MD_INTERNAL_DOMAIN, "QuantizedLinear") &&
                   md_attribute_string(&node->attributes, "activation", "", &activation, NULL) == MD_OK &&
                   activation.size == 0 && (!without_bias || node->input_count <= BIAS) ?
               node :
               NULL;
}

static void copy_inputs(const struct md_node *node, int32_t *inputs)
{
    for (size_t i = 0; i < INPUTS; i++)
        inputs[i] = input_of(node, i);
}

static enum md_code fuse_bias(const struct search *search, struct md_node *node, struct md_error *error)
{
    for (size_t i = 0; i < 2; i++) {
        const struct md_tensor *bias = md_graph_float_row(search->graph, node, i);
        const struct md_node *product = bias == NULL ? NULL : unfinished(search, node->inputs[1 - i], true);
        int32_t inputs[INPUTS];
        if (product == NULL || (int64_t)bias->count != md_graph_constant(search->graph, product, B)->shape.dims[1])
            continue;
        copy_inputs(product, inputs);
        inputs[BIAS] = node->inputs[i];
        return make(search, node, inputs, "", error);
    }
    return MD_OK;
}

static enum md_code fuse(const struct search *search, struct md_node *node, struct md_error *error)
{
    const char *activation = md_graph_activation(node);
    const struct md_node *product = activation == NULL ? NULL : unfinished(search, node->inputs[0], false);
    int32_t inputs[INPUTS];
    if (md_node_is(node, "Mul"))
        return fuse_product(search, node, error);
    if (md_node_is(node, "Add"))
        return fuse_bias(search, node, error);
    if (product == NULL)
        return MD_OK;
    copy_inputs(product, inputs);
    return make(search, node, inputs, activation, error);
}

static enum md_code apply(struct md_model *model, struct md_graph *graph, struct md_error *error)
{
    uint32_t *uses;
    MD_TRY(md_graph_count_uses(model, graph, &uses, error));
    const struct search search = { model, graph, uses };
    for (size_t i = 0; i < graph->node_count; i++)
        MD_TRY(fuse(&search, &graph->nodes[i], error));
    return MD_OK;
}

const struct md_pass md_pass_quantized_linear = { "quantized-linear", apply };
