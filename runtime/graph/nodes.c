/* nodes.c - NodeProto into nodes: names, opsets, inputs and outputs; see importer.h. */
#include "importer.h"

#include <inttypes.h>
#include <string.h>

static const char *text_of(const char *text)
{
    return text != NULL ? text : "";
}

const char *md_domain_normalize(const char *domain)
{
    return domain == NULL || strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

/* The version that a list of imports has for the domain; 0: none. */
static int64_t imported_version(const struct md_importer *importer, const struct md_frame *frame,
                                const char *domain)
{
    struct md_span name = md_span_of(domain);
    if (frame->call != NULL) {
        const struct md_function *function = frame->call->function;
        int32_t index = md_name_map_find(&function->opsets, name);
        if (index >= 0)
            return function->proto->opset_import[index]->version;
    }
    int32_t index = md_name_map_find(&importer->opsets, name);
    return index >= 0 ? importer->model->opsets[index].version : 0;
}

enum md_code md_frame_opset(const struct md_importer *importer, const struct md_frame *frame,
                            const char *domain, int64_t *out_version, struct md_error *error)
{
    int64_t version = imported_version(importer, frame, domain);
    if (version < 0)
        return md_fail(error, MD_INVALID_ARGUMENT, "domain \"%s\" is imported with version %" PRId64, domain,
                       version);
    bool must_import =
        domain[0] == '\0' && importer->model->ir_version >= 3; /* older files have no imports */
    if (version == 0 && must_import)
        return md_fail(error, MD_INVALID_ARGUMENT, "the model imports no opset of the domain \"ai.onnx\"");
    *out_version = version != 0 ? version : 1;
    return MD_OK;
}

static enum md_code bind_outputs(struct md_importer *importer, struct md_frame *frame,
                                 const Onnx__NodeProto *proto, int32_t index, struct md_error *error)
{
    for (size_t i = 0; i < proto->n_output; i++) {
        const char *name = proto->output[i];
        if (name[0] == '\0')
            continue;
        struct md_binding *binding = md_frame_find(frame, name);
        if (binding != NULL && binding->definer == MD_BOUND_PENDING) {
            binding->definer = index;
            continue;
        }
        int32_t value;
        if (binding == NULL)
            MD_TRY(md_scope_add_value(importer, frame->scope, frame->call, name, &value, error));
        else
            value = MD_NO_VALUE; /* md_frame_bind says who has the name */
        MD_TRY(md_frame_bind(importer, frame, name, value, index, error));
    }
    return MD_OK;
}

static enum md_code import_inputs(struct md_importer *importer, struct md_frame *frame,
                                  const Onnx__NodeProto *proto, struct md_node *node, struct md_error *error)
{
    size_t count = proto->n_input;
    while (count > 0 && proto->input[count - 1][0] == '\0')
        count--;
    node->input_count = count;
    node->inputs = md_arena_allocate_zeroed(&importer->model->arena, count, sizeof *node->inputs);
    if (node->inputs == NULL)
        return md_fail_memory(error, "inputs");
    for (size_t i = 0; i < count; i++) {
        bool found = true;
        node->inputs[i] = MD_NO_VALUE;
        if (proto->input[i][0] != '\0')
            MD_TRY(md_frame_resolve(importer, frame, proto->input[i], &node->inputs[i], &found, error));
        if (!found)
            return md_fail(error, MD_INVALID_ARGUMENT,
                           "input %zu is \"%s\", which no node, input or initializer defines", i,
                           proto->input[i]);
    }
    while (node->input_count > 0 && node->inputs[node->input_count - 1] == MD_NO_VALUE)
        node->input_count--; /* a function's input that the call leaves out */
    return MD_OK;
}

static enum md_code import_outputs(struct md_importer *importer, const struct md_frame *frame,
                                   const Onnx__NodeProto *proto, struct md_node *node, struct md_error *error)
{
    node->output_count = proto->n_output;
    node->outputs = md_arena_allocate_zeroed(&importer->model->arena, proto->n_output, sizeof *node->outputs);
    if (node->outputs == NULL)
        return md_fail_memory(error, "outputs");
    for (size_t i = 0; i < proto->n_output; i++)
        node->outputs[i] =
            proto->output[i][0] == '\0' ? MD_NO_VALUE : md_frame_find(frame, proto->output[i])->value;
    return MD_OK;
}

enum md_code md_scope_add_node(struct md_importer *importer, struct md_scope *scope,
                               const struct md_node *node, struct md_error *error)
{
    if (importer->node_count >= MD_MAX_NODES)
        return md_fail(error, MD_INVALID_ARGUMENT, "the model has more than %d nodes", MD_MAX_NODES);
    if (!MD_GROW(importer, scope->nodes, scope->node_count, scope->node_capacity))
        return md_fail_memory(error, "nodes");
    for (size_t i = 0; i < node->output_count; i++)
        if (node->outputs[i] != MD_NO_VALUE)
            scope->values[node->outputs[i]].producer = (int32_t)scope->node_count;
    scope->nodes[scope->node_count++] = *node;
    importer->node_count++;
    return MD_OK;
}

/* The node becomes its value. */
static enum md_code import_constant(struct md_importer *importer, struct md_frame *frame,
                                    const Onnx__NodeProto *proto, const struct md_node *node,
                                    struct md_error *error)
{
    struct md_tensor tensor;
    if (proto->n_output != 1 || proto->output[0][0] == '\0')
        return md_fail(error, MD_INVALID_ARGUMENT, "a Constant has %zu outputs, it must have one",
                       proto->n_output);
    MD_TRY(md_constant_import(importer, &node->attributes, &tensor, error));
    return md_scope_set_constant(importer, frame->scope, md_frame_find(frame, proto->output[0])->value,
                                 &tensor, error);
}

static enum md_code import_operator(struct md_importer *importer, struct md_frame *frame,
                                    const Onnx__NodeProto *proto, const char *name, struct md_error *error)
{
    struct md_arena *arena = &importer->model->arena;
    const char *domain = md_domain_normalize(proto->domain);
    struct md_node node = { .name = name,
                            .domain = md_arena_copy_string(arena, domain, strlen(domain)),
                            .op_type = md_arena_copy_string(arena, proto->op_type, strlen(proto->op_type)) };
    if (node.domain == NULL || node.op_type == NULL)
        return md_fail_memory(error, "node");
    MD_TRY(md_attributes_import(importer, frame, proto, &node, error));
    if (domain[0] == '\0' && strcmp(proto->op_type, "Constant") == 0)
        return import_constant(importer, frame, proto, &node, error);
    MD_TRY(md_frame_opset(importer, frame, domain, &node.opset, error));
    MD_TRY(import_inputs(importer, frame, proto, &node, error));
    MD_TRY(import_outputs(importer, frame, proto, &node, error));
    return md_scope_add_node(importer, frame->scope, &node, error);
}

/* The name of the file, or "op_type#index"; inside functions behind that of the call. */
static enum md_code name_node(struct md_importer *importer, const struct md_frame *frame,
                              const Onnx__NodeProto *proto, size_t index, const char **out_name,
                              struct md_error *error)
{
    struct md_arena *arena = &importer->model->arena;
    const char *name = text_of(proto->name);
    if (name[0] == '\0')
        name = md_arena_printf(&importer->scratch, "%s#%zu", text_of(proto->op_type), index);
    if (name != NULL)
        name = md_inlined_name(arena, frame->call, name);
    *out_name = name;
    return name != NULL ? MD_OK : md_fail_memory(error, "name of a node");
}

static enum md_code import_node(struct md_importer *importer, struct md_frame *frame,
                                const Onnx__NodeProto *proto, size_t index, struct md_error *error)
{
    const char *name;
    const struct md_function *function;
    MD_TRY(name_node(importer, frame, proto, index, &name, error));
    enum md_code code;
    if (proto->op_type == NULL || proto->op_type[0] == '\0')
        code = md_fail(error, MD_INVALID_ARGUMENT, "no op_type");
    else
        code = md_function_find(importer, proto, &function, error);
    if (code == MD_OK)
        code = function != NULL ? md_function_inline(importer, frame, function, proto, name, error)
                                : import_operator(importer, frame, proto, name, error);
    if (code == MD_OK || importer->located) /* an inner node is named, with the path of calls to it */
        return code;
    importer->located = true;
    const struct md_scope *scope = frame->scope;
    return scope->parent == NULL
               ? md_fail_prefix(error, code, "node \"%s\" (%s)", name, text_of(proto->op_type))
               : md_fail_prefix(error, code, "node \"%s\" (%s) of graph \"%s\"", name,
                                text_of(proto->op_type), scope->name);
}

enum md_code md_nodes_import(struct md_importer *importer, struct md_frame *frame, Onnx__NodeProto **nodes,
                             size_t count, struct md_error *error)
{
    frame->nodes = nodes;
    if (count > MD_MAX_NODES)
        return md_fail(error, MD_INVALID_ARGUMENT, "graph \"%s\" has %zu nodes, limit is %d",
                       frame->scope->name, count, MD_MAX_NODES);
    for (size_t i = 0; i < count; i++)
        MD_TRY(bind_outputs(importer, frame, nodes[i], (int32_t)i, error));
    for (size_t i = 0; i < count; i++)
        MD_TRY(import_node(importer, frame, nodes[i], i, error));
    return MD_OK;
}
