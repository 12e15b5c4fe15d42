/* fuzz_model.c - bytes into md_model_import; what comes out must be what graph.h promises. */
#include "bounded_allocator.h"
#include "fuzz_entry.h"
#include "model_import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MEMORY_LIMIT = 256 * 1024 * 1024 };

/* assert is for code that may be built without; a harness must always look. */
static void require(bool holds, const char *what)
{
    if (holds)
        return;
    (void)fprintf(stderr, "the model breaks a promise: %s\n", what);
    abort();
}

static bool is_value(const struct md_graph *graph, int32_t value)
{
    return value >= 0 && (size_t)value < graph->value_count;
}

/* Reads every byte, so that a sanitizer sees a tensor that is larger than its memory. */
static void check_tensor(const struct md_tensor *tensor)
{
    size_t size = md_tensor_size(tensor);
    size_t count;
    unsigned char all = 0;
    require(md_shape_count(&tensor->shape, tensor->datatype, &count) && count == tensor->count,
            "count of a shape");
    require(size == 0 || tensor->bytes != NULL, "elements of a tensor");
    for (size_t i = 0; i < size; i++)
        all |= md_elements(const unsigned char, tensor)[i];
    require(tensor->datatype != MD_BOOL || all <= 1, "BOOL is 0 or 1");
    for (size_t i = 0; i < tensor->count && tensor->datatype == MD_BYTES; i++) {
        const struct md_span *string = &md_elements(const struct md_span, tensor)[i];
        for (size_t j = 0; j < string->size; j++)
            all |= (unsigned char)string->bytes[j];
    }
}

static void check_attribute(const struct md_attribute *attribute)
{
    require(attribute->name != NULL && attribute->name[0] != '\0', "name of an attribute");
    if (attribute->kind == MD_ATTRIBUTE_TENSOR || attribute->kind == MD_ATTRIBUTE_SPARSE_TENSOR)
        check_tensor(&attribute->value.tensor);
    for (size_t i = 0; i < attribute->count && attribute->kind == MD_ATTRIBUTE_TENSORS; i++)
        check_tensor(&attribute->value.tensors[i]);
    int64_t sum = 0;
    for (size_t i = 0; i < attribute->count && attribute->kind == MD_ATTRIBUTE_INTS; i++)
        sum ^= attribute->value.ints[i];
    (void)sum;
}

/* A value that node n reads comes from before it. */
static void check_read(const struct md_graph *graph, int32_t value, size_t n)
{
    require(is_value(graph, value), "index of a read value");
    require(graph->values[value].producer < (int32_t)n, "order of the nodes");
}

static void check_graph(const struct md_graph *graph, int depth);

static void check_node(const struct md_graph *graph, size_t n, int depth)
{
    const struct md_node *node = &graph->nodes[n];
    require(node->name[0] != '\0' && node->op_type[0] != '\0' && node->opset >= 1,
            "name, type and opset of a node");
    require(node->input_count == 0 || node->inputs[node->input_count - 1] != MD_NO_VALUE, "cut inputs");
    for (size_t i = 0; i < node->input_count; i++)
        if (node->inputs[i] != MD_NO_VALUE)
            check_read(graph, node->inputs[i], n);
    for (size_t i = 0; i < node->output_count; i++)
        require(node->outputs[i] == MD_NO_VALUE || (is_value(graph, node->outputs[i]) &&
                                                    graph->values[node->outputs[i]].producer == (int32_t)n),
                "producer of an output");
    for (size_t i = 0; i < node->attributes.count; i++)
        check_attribute(&node->attributes.items[i]);
    for (size_t i = 0; i < node->subgraph_count; i++) {
        const struct md_graph *inner = node->subgraphs[i];
        for (size_t j = 0; j < inner->capture_count; j++)
            check_read(graph, inner->captures[j].outer, n);
        check_graph(inner, depth + 1);
    }
}

static void check_graph(const struct md_graph *graph, int depth)
{
    require(depth <= MD_MAX_NESTING, "depth of a graph");
    for (size_t i = 0; i < graph->value_count; i++)
        if (graph->values[i].constant != NULL)
            check_tensor(graph->values[i].constant);
    for (size_t i = 0; i < graph->input_count; i++)
        require(is_value(graph, graph->inputs[i]) && graph->values[graph->inputs[i]].producer == -1,
                "an input");
    for (size_t i = 0; i < graph->output_count; i++)
        require(is_value(graph, graph->outputs[i]), "an output");
    for (size_t i = 0; i < graph->capture_count; i++)
        require(is_value(graph, graph->captures[i].inner) &&
                    graph->values[graph->captures[i].inner].constant == NULL,
                "a capture");
    for (size_t n = 0; n < graph->node_count; n++)
        check_node(graph, n, depth);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct md_bounded_allocator bounded;
    struct md_model *model = NULL;
    struct md_error error = { { 0 } };
    md_bounded_allocator_init(&bounded, MEMORY_LIMIT);
    bool keep_bytes = size % 2 == 0;
    enum md_code code = md_model_import(&bounded.allocator, data, size, keep_bytes, NULL, &model, &error);
    if (code == MD_OK)
        check_graph(model->graph, 1);
    else
        require(model == NULL && error.message[0] != '\0' && code != MD_INTERNAL,
                "code and message of a failure");
    md_model_destroy(model);
    require(bounded.live == 0, "memory is given back");
    return 0;
}
