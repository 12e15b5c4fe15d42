/* functions.c - model-local functions: the nodes of the body take the place of the call. See importer.h.
 *
 * What a hostile file could do with it is bounded: calls inside calls by MD_MAX_NESTING, recursion is found
 * by looking at the calls around, and growth by MD_MAX_NODES and MD_MAX_INLINED_BYTES. */
#include "importer.h"

#include <inttypes.h>
#include <string.h>

static const char *text_of(const char *text)
{
    return text != NULL ? text : "";
}

/* "domain\nname\noverload" in scratch, *out_key.bytes NULL: no memory. */
static struct md_span key_of(struct md_importer *importer, const char *domain, const char *name,
                             const char *overload)
{
    const char *key =
        md_arena_printf(&importer->scratch, "%s\n%s\n%s", domain, text_of(name), text_of(overload));
    return key != NULL ? md_span_of(key) : (struct md_span){ NULL, 0 };
}

static enum md_code index_opsets(struct md_function *function, struct md_error *error)
{
    const Onnx__FunctionProto *proto = function->proto;
    for (size_t i = 0; i < proto->n_opset_import; i++) {
        struct md_span domain = md_span_of(md_domain_normalize(proto->opset_import[i]->domain));
        int32_t twin = md_name_map_find(&function->opsets, domain);
        if (twin < 0 && !md_name_map_add(&function->opsets, domain, (int32_t)i))
            return md_fail_memory(error, "opsets of a function");
        if (twin >= 0 && proto->opset_import[twin]->version != proto->opset_import[i]->version)
            return md_fail(error, MD_INVALID_ARGUMENT,
                           "domain \"%s\" is imported with version %" PRId64 " and %" PRId64, domain.bytes,
                           proto->opset_import[twin]->version, proto->opset_import[i]->version);
    }
    return MD_OK;
}

static enum md_code index_defaults(struct md_function *function, struct md_error *error)
{
    const Onnx__FunctionProto *proto = function->proto;
    for (size_t i = 0; i < proto->n_attribute_proto; i++) {
        const Onnx__AttributeProto *attribute = proto->attribute_proto[i];
        struct md_span name = md_span_of(text_of(attribute->name));
        if (attribute->g != NULL || attribute->ref_attr_name != NULL)
            return md_fail(error, MD_UNIMPLEMENTED, "default of attribute \"%s\" is a graph or a reference",
                           name.bytes);
        if (md_name_map_find(&function->defaults, name) >= 0)
            return md_fail(error, MD_INVALID_ARGUMENT, "attribute \"%s\" has two defaults", name.bytes);
        if (!md_name_map_add(&function->defaults, name, (int32_t)i))
            return md_fail_memory(error, "defaults of a function");
    }
    return MD_OK;
}

static enum md_code import_function(struct md_importer *importer, size_t index, struct md_error *error)
{
    struct md_function *function = &importer->functions[index];
    const Onnx__FunctionProto *proto = importer->proto->functions[index];
    function->proto = proto;
    function->domain = md_domain_normalize(proto->domain);
    function->size = protobuf_c_message_get_packed_size(&proto->base);
    md_name_map_init(&function->opsets, &importer->scratch, importer->seed);
    md_name_map_init(&function->defaults, &importer->scratch, importer->seed);
    struct md_span key = key_of(importer, function->domain, proto->name, proto->overload);
    if (key.bytes == NULL)
        return md_fail_memory(error, "functions");
    if (text_of(proto->name)[0] == '\0')
        return md_fail(error, MD_INVALID_ARGUMENT, "no name");
    if (md_name_map_find(&importer->function_names, key) >= 0)
        return md_fail(error, MD_INVALID_ARGUMENT, "defined twice in domain \"%s\"", function->domain);
    if (!md_name_map_add(&importer->function_names, key, (int32_t)index))
        return md_fail_memory(error, "functions");
    MD_TRY(index_opsets(function, error));
    return index_defaults(function, error);
}

enum md_code md_functions_import(struct md_importer *importer, struct md_error *error)
{
    size_t count = importer->proto->n_functions;
    importer->functions = md_arena_allocate_zeroed(&importer->scratch, count, sizeof *importer->functions);
    if (importer->functions == NULL)
        return md_fail_memory(error, "functions");
    for (size_t i = 0; i < count; i++) {
        enum md_code code = import_function(importer, i, error);
        if (code != MD_OK)
            return md_fail_prefix(error, code, "function \"%s\"",
                                  text_of(importer->proto->functions[i]->name));
    }
    return MD_OK;
}

enum md_code md_function_find(struct md_importer *importer, const Onnx__NodeProto *node,
                              const struct md_function **out_function, struct md_error *error)
{
    *out_function = NULL;
    if (importer->function_names.count == 0)
        return MD_OK;
    struct md_span key = key_of(importer, md_domain_normalize(node->domain), node->op_type, node->overload);
    if (key.bytes == NULL)
        return md_fail_memory(error, "name of a function");
    int32_t index = md_name_map_find(&importer->function_names, key);
    if (index >= 0)
        *out_function = &importer->functions[index];
    return MD_OK;
}

/* ---- inlining ---- */

/* What all calls together may add: a small file cannot ask for much. */
static size_t inlined_limit(const struct md_importer *importer)
{
    size_t size = importer->tensors.bytes.size;
    if (size <= MD_MIN_INLINED_BYTES / MD_MAX_INLINED_FACTOR)
        return MD_MIN_INLINED_BYTES;
    return size < MD_MAX_INLINED_BYTES / MD_MAX_INLINED_FACTOR ? size * MD_MAX_INLINED_FACTOR
                                                               : MD_MAX_INLINED_BYTES;
}

static enum md_code check_call(struct md_importer *importer, const struct md_call *call,
                               struct md_error *error)
{
    const Onnx__FunctionProto *proto = call->function->proto;
    for (const struct md_call *outer = call->caller->call; outer != NULL; outer = outer->caller->call)
        if (outer->function == call->function)
            return md_fail(error, MD_INVALID_ARGUMENT, "function \"%s\" calls itself, by way of node \"%s\"",
                           proto->name, outer->name);
    if (call->depth > MD_MAX_NESTING)
        return md_fail(error, MD_INVALID_ARGUMENT, "functions call each other deeper than %d",
                       MD_MAX_NESTING);
    if (call->node->n_input > proto->n_input || call->node->n_output > proto->n_output)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "%zu inputs and %zu outputs, function \"%s\" has %zu and %zu", call->node->n_input,
                       call->node->n_output, proto->name, proto->n_input, proto->n_output);
    size_t limit = inlined_limit(importer);
    if (call->function->size > limit - importer->inlined_bytes)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "function \"%s\": the bodies of all calls have more than %zu bytes", proto->name,
                       limit);
    importer->inlined_bytes += call->function->size;
    return MD_OK;
}

static enum md_code index_attributes(struct md_importer *importer, struct md_call *call,
                                     struct md_error *error)
{
    md_name_map_init(&call->attributes, &importer->scratch, importer->seed);
    for (size_t i = 0; i < call->node->n_attribute; i++) {
        const char *name = text_of(call->node->attribute[i]->name);
        if (md_name_map_find(&call->attributes, md_span_of(name)) >= 0)
            return md_fail(error, MD_INVALID_ARGUMENT, "attribute \"%s\" occurs twice", name);
        if (!md_name_map_add(&call->attributes, md_span_of(name), (int32_t)i))
            return md_fail_memory(error, "attributes of a call");
    }
    return MD_OK;
}

static enum md_code bind_inputs(struct md_importer *importer, struct md_frame *body, struct md_error *error)
{
    const struct md_call *call = body->call;
    const Onnx__FunctionProto *proto = call->function->proto;
    for (size_t i = 0; i < proto->n_input; i++) {
        int32_t value = MD_NO_VALUE;
        bool found = true;
        const char *actual = i < call->node->n_input ? call->node->input[i] : "";
        if (actual[0] != '\0')
            MD_TRY(md_frame_resolve(importer, call->caller, actual, &value, &found, error));
        if (!found)
            return md_fail(error, MD_INVALID_ARGUMENT,
                           "input %zu is \"%s\", which no node, input or initializer defines", i, actual);
        MD_TRY(md_frame_bind(importer, body, proto->input[i], value, MD_BOUND_INPUT, error));
    }
    return MD_OK;
}

/* An output that is one of the inputs: the call becomes an Identity. */
static enum md_code add_identity(struct md_importer *importer, const struct md_frame *body, int32_t from,
                                 int32_t to, struct md_error *error)
{
    struct md_arena *arena = &importer->model->arena;
    int32_t *ends = md_arena_allocate(arena, 2 * sizeof *ends);
    struct md_node node = { .name = md_inlined_name(arena, body->call, "Identity"),
                            .domain = "",
                            .op_type = "Identity",
                            .input_count = from == MD_NO_VALUE ? 0 : 1,
                            .output_count = 1 };
    if (ends == NULL || node.name == NULL)
        return md_fail_memory(error, "node");
    ends[0] = from;
    ends[1] = to;
    node.inputs = &ends[0];
    node.outputs = &ends[1];
    MD_TRY(md_frame_opset(importer, body, "", &node.opset, error));
    return md_scope_add_node(importer, body->scope, &node, error);
}

/* The formal outputs name the values that the call makes; the others are values like any in the body. */
static enum md_code bind_outputs(struct md_importer *importer, struct md_frame *body, struct md_error *error)
{
    const struct md_call *call = body->call;
    const Onnx__FunctionProto *proto = call->function->proto;
    for (size_t i = 0; i < call->node->n_output; i++) {
        if (call->node->output[i][0] == '\0')
            continue;
        int32_t value = md_frame_find(call->caller, call->node->output[i])->value;
        const struct md_binding *twin = md_frame_find(body, proto->output[i]);
        if (twin != NULL && twin->definer == MD_BOUND_INPUT)
            MD_TRY(add_identity(importer, body, twin->value, value, error));
        else
            MD_TRY(md_frame_bind(importer, body, proto->output[i], value, MD_BOUND_PENDING, error));
    }
    return MD_OK;
}

static enum md_code check_outputs(const struct md_frame *body, struct md_error *error)
{
    const Onnx__FunctionProto *proto = body->call->function->proto;
    for (size_t i = 0; i < proto->n_output; i++) {
        const struct md_binding *binding = md_frame_find(body, proto->output[i]);
        if (binding == NULL || binding->definer == MD_BOUND_PENDING)
            return md_fail(error, MD_INVALID_ARGUMENT,
                           "output \"%s\" of function \"%s\" is defined by no node", proto->output[i],
                           proto->name);
    }
    return MD_OK;
}

enum md_code md_function_inline(struct md_importer *importer, struct md_frame *frame,
                                const struct md_function *function, const Onnx__NodeProto *node,
                                const char *name, struct md_error *error)
{
    struct md_call call = { .function = function,
                            .node = node,
                            .caller = frame,
                            .name = name,
                            .depth = frame->call != NULL ? frame->call->depth + 1 : 1 };
    struct md_frame body;
    MD_TRY(check_call(importer, &call, error));
    MD_TRY(index_attributes(importer, &call, error));
    md_frame_init(importer, &body, NULL, frame->scope, &call);
    MD_TRY(bind_inputs(importer, &body, error));
    MD_TRY(bind_outputs(importer, &body, error));
    MD_TRY(md_nodes_import(importer, &body, function->proto->node, function->proto->n_node, error));
    return check_outputs(&body, error);
}
