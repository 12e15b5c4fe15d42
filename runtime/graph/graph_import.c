/* graph_import.c - GraphProto into graphs: initializers, inputs, outputs, value types; see importer.h. */
#include "importer.h"

#include <string.h>

static enum md_code add_initializer(struct md_importer *importer, struct md_frame *frame, const char *name,
                                    const struct md_tensor *tensor, struct md_error *error)
{
    int32_t value;
    if (name == NULL || name[0] == '\0')
        return md_fail(error, MD_INVALID_ARGUMENT, "graph \"%s\": an initializer has no name",
                       frame->scope->name);
    MD_TRY(md_scope_add_value(importer, frame->scope, frame->call, name, &value, error));
    MD_TRY(md_frame_bind(importer, frame, name, value, MD_BOUND_INITIALIZER, error));
    return md_scope_set_constant(importer, frame->scope, value, tensor, error);
}

static enum md_code import_initializers(struct md_importer *importer, struct md_frame *frame,
                                        const Onnx__GraphProto *proto, struct md_error *error)
{
    struct md_tensor tensor;
    for (size_t i = 0; i < proto->n_initializer; i++) {
        MD_TRY(md_tensor_import(&importer->tensors, proto->initializer[i], &tensor, error));
        MD_TRY(add_initializer(importer, frame, proto->initializer[i]->name, &tensor, error));
    }
    for (size_t i = 0; i < proto->n_sparse_initializer; i++) {
        const Onnx__SparseTensorProto *sparse = proto->sparse_initializer[i];
        MD_TRY(md_sparse_tensor_import(&importer->tensors, sparse, &tensor, error));
        MD_TRY(add_initializer(importer, frame, sparse->values->name, &tensor, error));
    }
    return MD_OK;
}

static enum md_code set_type(struct md_importer *importer, struct md_scope *scope, int32_t value,
                             const Onnx__ValueInfoProto *info, struct md_error *error)
{
    if (value == MD_NO_VALUE || scope->values[value].constant != NULL || info->type == NULL)
        return MD_OK; /* of a constant we know more than the file says */
    enum md_code code =
        md_value_type_import(&importer->model->arena, info->type, &scope->values[value].type, error);
    return code == MD_OK
               ? MD_OK
               : md_fail_prefix(error, code, "value \"%s\" of graph \"%s\"", info->name, scope->name);
}

/* An input that is also an initializer is a constant: IR 3 wants every initializer listed as an input, later
 * ones mean a default, which nobody overrides here. */
static enum md_code import_inputs(struct md_importer *importer, struct md_frame *frame,
                                  const Onnx__GraphProto *proto, struct md_graph *graph,
                                  struct md_error *error)
{
    graph->inputs = md_arena_allocate_zeroed(&importer->model->arena, proto->n_input, sizeof *graph->inputs);
    if (graph->inputs == NULL)
        return md_fail_memory(error, "inputs");
    for (size_t i = 0; i < proto->n_input; i++) {
        const Onnx__ValueInfoProto *info = proto->input[i];
        int32_t value;
        if (info->name == NULL || info->name[0] == '\0')
            return md_fail(error, MD_INVALID_ARGUMENT, "input %zu of graph \"%s\" has no name", i,
                           frame->scope->name);
        const struct md_binding *binding = md_frame_find(frame, info->name);
        if (binding != NULL && binding->definer == MD_BOUND_INITIALIZER)
            continue;
        if (binding == NULL)
            MD_TRY(md_scope_add_value(importer, frame->scope, frame->call, info->name, &value, error));
        else
            value = MD_NO_VALUE; /* md_frame_bind says who has the name */
        MD_TRY(md_frame_bind(importer, frame, info->name, value, MD_BOUND_INPUT, error));
        MD_TRY(set_type(importer, frame->scope, value, info, error));
        graph->inputs[graph->input_count++] = value;
    }
    return MD_OK;
}

static enum md_code import_outputs(struct md_importer *importer, struct md_frame *frame,
                                   const Onnx__GraphProto *proto, struct md_graph *graph,
                                   struct md_error *error)
{
    graph->outputs =
        md_arena_allocate_zeroed(&importer->model->arena, proto->n_output, sizeof *graph->outputs);
    if (graph->outputs == NULL)
        return md_fail_memory(error, "outputs");
    for (size_t i = 0; i < proto->n_output; i++) {
        const Onnx__ValueInfoProto *info = proto->output[i];
        bool found = false;
        int32_t value = MD_NO_VALUE;
        if (info->name == NULL || info->name[0] == '\0')
            return md_fail(error, MD_INVALID_ARGUMENT, "output %zu of graph \"%s\" has no name", i,
                           frame->scope->name);
        MD_TRY(md_frame_resolve(importer, frame, info->name, &value, &found, error));
        if (!found || value == MD_NO_VALUE)
            return md_fail(
                error, MD_INVALID_ARGUMENT,
                "output %zu of graph \"%s\" is \"%s\", which no node, input or initializer defines", i,
                frame->scope->name, info->name);
        if (frame->scope->values[value].type.kind == MD_TYPE_UNKNOWN) /* an input may also be an output */
            MD_TRY(set_type(importer, frame->scope, value, info, error));
        graph->outputs[graph->output_count++] = value;
    }
    return MD_OK;
}

static enum md_code import_value_info(struct md_importer *importer, const struct md_frame *frame,
                                      const Onnx__GraphProto *proto, struct md_error *error)
{
    for (size_t i = 0; i < proto->n_value_info; i++) {
        const Onnx__ValueInfoProto *info = proto->value_info[i];
        const struct md_binding *binding = info->name != NULL ? md_frame_find(frame, info->name) : NULL;
        bool from_node = binding != NULL && binding->definer >= 0;
        if (from_node && frame->scope->values[binding->value].type.kind == MD_TYPE_UNKNOWN)
            MD_TRY(set_type(importer, frame->scope, binding->value, info, error));
    }
    return MD_OK;
}

/* Moves an array of scratch into the model. */
static void *keep(struct md_importer *importer, const void *items, size_t count, size_t size)
{
    void *copy = md_arena_allocate_zeroed(&importer->model->arena, count, size);
    if (copy != NULL && count > 0)
        memcpy(copy, items, count * size);
    return copy;
}

static enum md_code finish(struct md_importer *importer, struct md_scope *scope, struct md_graph *graph,
                           struct md_error *error)
{
    MD_TRY(md_topological_sort(importer, scope, error));
    graph->name = scope->name;
    graph->value_count = scope->value_count;
    graph->values = keep(importer, scope->values, scope->value_count, sizeof *scope->values);
    graph->node_count = scope->node_count;
    graph->nodes = keep(importer, scope->nodes, scope->node_count, sizeof *scope->nodes);
    graph->capture_count = scope->capture_count;
    graph->captures = keep(importer, scope->captures, scope->capture_count, sizeof *scope->captures);
    if (graph->values == NULL || graph->nodes == NULL || graph->captures == NULL)
        return md_fail_memory(error, "graph");
    return MD_OK;
}

enum md_code md_graph_import(struct md_importer *importer, const Onnx__GraphProto *proto,
                             struct md_frame *parent, struct md_scope *scope, struct md_graph **out_graph,
                             struct md_error *error)
{
    struct md_arena *arena = &importer->model->arena;
    struct md_graph *graph = md_arena_allocate_zeroed(arena, 1, sizeof *graph);
    const char *name = proto->name != NULL ? proto->name : "";
    name = md_arena_copy_string(arena, name, strlen(name));
    if (graph == NULL || name == NULL)
        return md_fail_memory(error, "graph");
    struct md_scope inner;
    struct md_frame frame;
    md_scope_init(importer, &inner, scope, name);
    md_frame_init(importer, &frame, parent, &inner, parent != NULL ? parent->call : NULL);
    if (inner.depth > MD_MAX_NESTING)
        return md_fail(error, MD_INVALID_ARGUMENT, "graphs lie inside each other deeper than %d",
                       MD_MAX_NESTING);
    MD_TRY(import_initializers(importer, &frame, proto, error));
    MD_TRY(import_inputs(importer, &frame, proto, graph, error));
    MD_TRY(md_nodes_import(importer, &frame, proto->node, proto->n_node, error));
    MD_TRY(import_outputs(importer, &frame, proto, graph, error));
    MD_TRY(import_value_info(importer, &frame, proto, error));
    MD_TRY(finish(importer, &inner, graph, error));
    *out_graph = graph;
    return MD_OK;
}

static void share_with(const struct md_graph *outer, struct md_graph *inner)
{
    size_t kept = 0;
    for (size_t i = 0; i < inner->capture_count; i++) {
        const struct md_capture capture = inner->captures[i];
        const struct md_graph_value *from = &outer->values[capture.outer];
        struct md_graph_value *to = &inner->values[capture.inner];
        to->type = from->type;
        to->constant = from->constant;
        if (from->constant == NULL)
            inner->captures[kept++] = capture;
    }
    inner->capture_count = kept;
}

void md_graph_share_constants(struct md_graph *graph)
{
    for (size_t n = 0; n < graph->node_count; n++) {
        for (size_t i = 0; i < graph->nodes[n].subgraph_count; i++) {
            share_with(graph, graph->nodes[n].subgraphs[i]);
            md_graph_share_constants(graph->nodes[n].subgraphs[i]); /* no deeper than MD_MAX_NESTING */
        }
    }
}
