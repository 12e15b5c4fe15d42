/* graph_edit.c - see graph_edit.h. */
#include "graph_edit.h"

#include "operator.h"

#include <math.h>
#include <string.h>

static void count(uint32_t *uses, const int32_t *values, size_t value_count)
{
    for (size_t i = 0; i < value_count; i++)
        if (values[i] != MD_NO_VALUE)
            uses[values[i]]++;
}

static bool is_live(const uint32_t *uses, const struct md_node *node)
{
    for (size_t i = 0; i < node->output_count; i++)
        if (node->outputs[i] != MD_NO_VALUE && uses[node->outputs[i]] > 0)
            return true;
    return false;
}

enum md_code md_graph_count_uses(struct md_model *model, const struct md_graph *graph, uint32_t **out_uses,
                                 struct md_error *error)
{
    uint32_t *uses = md_arena_allocate_zeroed(&model->arena, graph->value_count, sizeof *uses);
    if (uses == NULL)
        return md_fail_memory(error, "uses of values");
    count(uses, graph->outputs, graph->output_count);
    for (size_t i = graph->node_count; i-- > 0;) {
        const struct md_node *node = &graph->nodes[i];
        if (!is_live(uses, node))
            continue;
        count(uses, node->inputs, node->input_count);
        for (size_t j = 0; j < node->subgraph_count; j++)
            for (size_t k = 0; k < node->subgraphs[j]->capture_count; k++)
                uses[node->subgraphs[j]->captures[k].outer]++;
    }
    *out_uses = uses;
    return MD_OK;
}

bool md_node_is_in(const struct md_node *node, const char *domain, const char *op_type)
{
    bool any_version;
    if (strcmp(node->op_type, op_type) != 0 || strcmp(node->domain, domain) != 0)
        return false;
    const struct md_operator *row = md_operator_find(domain, op_type, node->opset, &any_version);
    return row != NULL && node->input_count >= (size_t)row->min_inputs && node->output_count >= 1;
}

bool md_node_is(const struct md_node *node, const char *op_type)
{
    return md_node_is_in(node, MD_ONNX, op_type);
}

struct md_node *md_graph_producer(const struct md_graph *graph, int32_t value, const char *op_type)
{
    if (value == MD_NO_VALUE || graph->values[value].constant != NULL || graph->values[value].producer < 0)
        return NULL;
    struct md_node *node = &graph->nodes[graph->values[value].producer];
    return md_node_is(node, op_type) && node->outputs[0] == value ? node : NULL;
}

struct md_node *md_graph_only_reader(const struct md_graph *graph, const uint32_t *uses, int32_t value,
                                     const char *op_type)
{
    if (uses[value] != 1)
        return NULL;
    for (size_t i = 0; i < graph->node_count; i++)
        for (size_t j = 0; j < graph->nodes[i].input_count; j++)
            if (graph->nodes[i].inputs[j] == value)
                return md_node_is(&graph->nodes[i], op_type) ? &graph->nodes[i] : NULL;
    return NULL;
}

const struct md_tensor *md_graph_constant(const struct md_graph *graph, const struct md_node *node, size_t input)
{
    if (input >= node->input_count || node->inputs[input] == MD_NO_VALUE)
        return NULL;
    return graph->values[node->inputs[input]].constant;
}

static const struct md_tensor *scalar(const struct md_graph *graph, int32_t value)
{
    const struct md_tensor *tensor = value == MD_NO_VALUE ? NULL : graph->values[value].constant;
    const unsigned real = MD_TYPE(MD_FP16) | MD_TYPE(MD_BF16) | MD_TYPE(MD_FP32) | MD_TYPE(MD_FP64);
    return tensor != NULL && tensor->count == 1 && tensor->shape.rank <= 1 && md_datatype_in(tensor->datatype, real) ?
               tensor :
               NULL;
}

bool md_graph_scalar(const struct md_graph *graph, int32_t value, double *out_number)
{
    const struct md_tensor *tensor = scalar(graph, value);
    if (tensor == NULL)
        return false;
    *out_number = md_tensor_double(tensor, 0);
    return true;
}

static bool near(double a, double b, double tolerance)
{
    return fabs(a - b) <= tolerance * fabs(b);
}

bool md_number_is(double a, double b)
{
    return near(a, b, 1e-6);
}

bool md_graph_scalar_is(const struct md_graph *graph, int32_t value, double number)
{
    const struct md_tensor *tensor = scalar(graph, value);
    if (tensor == NULL)
        return false;
    double tolerance = tensor->datatype == MD_FP16 ? 1e-3 : tensor->datatype == MD_BF16 ? 8e-3 : 1e-6;
    return near(md_tensor_double(tensor, 0), number, tolerance);
}

const struct md_tensor *md_graph_float_row(const struct md_graph *graph, const struct md_node *node, size_t input)
{
    const struct md_tensor *tensor = md_graph_constant(graph, node, input);
    return tensor != NULL && tensor->datatype == MD_FP32 && tensor->shape.rank == 1 ? tensor : NULL;
}

const char *md_graph_activation(const struct md_node *node)
{
    struct md_span approximate;
    if (md_node_is(node, "Relu"))
        return "Relu";
    if (md_node_is(node, "Tanh"))
        return "Tanh";
    if (md_node_is_in(node, MD_MICROSOFT, "Gelu"))
        return "Gelu";
    if (md_node_is_in(node, MD_MICROSOFT, "FastGelu") && node->input_count == 1)
        return "GeluTanh";
    if (!md_node_is(node, "Gelu") ||
        md_attribute_string(&node->attributes, "approximate", "none", &approximate, NULL) != MD_OK)
        return NULL;
    return md_span_equal(approximate, md_span_of("tanh")) ? "GeluTanh" :
           md_span_equal(approximate, md_span_of("none")) ? "Gelu" :
                                                            NULL;
}

enum md_code md_graph_rewrite(struct md_model *model, struct md_node *node, const char *domain, const char *op_type,
                              const int32_t *inputs, size_t input_count, const struct md_attribute *attributes,
                              size_t attribute_count, struct md_error *error)
{
    while (input_count > 0 && inputs[input_count - 1] == MD_NO_VALUE)
        input_count--;
    int32_t *new_inputs = md_arena_allocate_zeroed(&model->arena, input_count, sizeof *new_inputs);
    struct md_attribute *items = md_arena_allocate_zeroed(&model->arena, attribute_count, sizeof *items);
    if (new_inputs == NULL || items == NULL)
        return md_fail_memory(error, "fused node");
    if (input_count > 0)
        memcpy(new_inputs, inputs, input_count * sizeof *new_inputs);
    if (attribute_count > 0)
        memcpy(items, attributes, attribute_count * sizeof *items);
    node->domain = domain;
    node->op_type = op_type;
    node->opset = 1;
    node->inputs = new_inputs;
    node->input_count = input_count;
    node->attributes = (struct md_attributes){ items, attribute_count };
    return MD_OK;
}
