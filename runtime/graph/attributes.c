/* attributes.c - AttributeProto into attributes; references to attributes of functions; subgraphs. See
 * importer.h. */
#include "importer.h"

#include <string.h>

enum { LIST_SEARCH_LIMIT = 8 /* longer lists of names are checked with a map */ };

static const char *kind_name(unsigned kind)
{
    static const char *const names[] = { "UNDEFINED",      "FLOAT",      "INT",        "STRING",
                                         "TENSOR",         "GRAPH",      "FLOATS",     "INTS",
                                         "STRINGS",        "TENSORS",    "GRAPHS",     "SPARSE_TENSOR",
                                         "SPARSE_TENSORS", "TYPE_PROTO", "TYPE_PROTOS" };
    return kind < sizeof names / sizeof names[0] ? names[kind] : "unknown";
}

/* Bit k: the field of kind k has something. */
static unsigned present_kinds(const Onnx__AttributeProto *proto)
{
    unsigned kinds = 0;
    const bool present[] = { false,
                             proto->has_f,
                             proto->has_i,
                             proto->has_s,
                             proto->t != NULL,
                             proto->g != NULL,
                             proto->n_floats > 0,
                             proto->n_ints > 0,
                             proto->n_strings > 0,
                             proto->n_tensors > 0,
                             proto->n_graphs > 0,
                             proto->sparse_tensor != NULL,
                             proto->n_sparse_tensors > 0,
                             proto->tp != NULL,
                             proto->n_type_protos > 0 };
    for (unsigned i = 0; i < sizeof present / sizeof present[0]; i++)
        kinds |= (unsigned)present[i] << i;
    return kinds;
}

/* Kinds whose value cannot be left out: there is no default tensor or graph. */
static bool needs_value(unsigned kind)
{
    return kind == MD_ATTRIBUTE_TENSOR || kind == MD_ATTRIBUTE_GRAPH || kind == MD_ATTRIBUTE_SPARSE_TENSOR ||
           kind == MD_ATTRIBUTE_TYPE;
}

/* The kind is that of `type`; files older than IR 2 have none, then it is that of the only field. */
static enum md_code find_kind(const Onnx__AttributeProto *proto, unsigned *out_kind, struct md_error *error)
{
    unsigned present = present_kinds(proto);
    unsigned only = present != 0 ? (unsigned)__builtin_ctz(present) : 0;
    unsigned kind = proto->has_type ? (unsigned)proto->type : 0;
    if (kind == 0 && (present & (present - 1)) != 0)
        return md_fail(error, MD_INVALID_ARGUMENT, "no type, and both %s and another value", kind_name(only));
    if (kind == 0) /* an empty list leaves no trace, and its readers take one of any kind */
        kind = present != 0 ? only : MD_ATTRIBUTE_INTS;
    if (kind > ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TYPE_PROTOS)
        return md_fail(error, MD_INVALID_ARGUMENT, "type is %u, the last one known is %d", kind,
                       ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TYPE_PROTOS);
    bool has = (present >> kind & 1u) != 0;
    if (!has && present != 0)
        return md_fail(error, MD_INVALID_ARGUMENT, "type is %s, the value is of type %s", kind_name(kind),
                       kind_name(only));
    if (!has && needs_value(kind))
        return md_fail(error, MD_INVALID_ARGUMENT, "type is %s, but there is no value", kind_name(kind));
    *out_kind = kind;
    return MD_OK;
}

/* ---- values ---- */

static enum md_code import_string(struct md_arena *arena, const ProtobufCBinaryData *data,
                                  struct md_span *out_span, struct md_error *error)
{
    const char *copy = md_arena_copy_string(arena, (const char *)data->data, data->len);
    if (copy == NULL)
        return md_fail_memory(error, "string");
    *out_span = (struct md_span){ copy, data->len };
    return MD_OK;
}

static enum md_code import_numbers(struct md_arena *arena, const void *numbers, size_t count, size_t size,
                                   const void **out_copy, struct md_error *error)
{
    void *copy = md_arena_allocate_zeroed(arena, count, size);
    if (copy == NULL)
        return md_fail_memory(error, "list");
    if (count > 0)
        memcpy(copy, numbers, count * size);
    *out_copy = copy;
    return MD_OK;
}

static enum md_code import_strings(struct md_arena *arena, const Onnx__AttributeProto *proto,
                                   struct md_attribute *attribute, struct md_error *error)
{
    struct md_span *strings = md_arena_allocate_zeroed(arena, proto->n_strings, sizeof *strings);
    if (strings == NULL)
        return md_fail_memory(error, "strings");
    for (size_t i = 0; i < proto->n_strings; i++)
        MD_TRY(import_string(arena, &proto->strings[i], &strings[i], error));
    attribute->count = proto->n_strings;
    attribute->value.strings = strings;
    return MD_OK;
}

static enum md_code import_tensors(struct md_importer *importer, const Onnx__AttributeProto *proto,
                                   struct md_attribute *attribute, struct md_error *error)
{
    struct md_tensor *tensors =
        md_arena_allocate_zeroed(&importer->model->arena, proto->n_tensors, sizeof *tensors);
    if (tensors == NULL)
        return md_fail_memory(error, "tensors");
    for (size_t i = 0; i < proto->n_tensors; i++)
        MD_TRY(md_tensor_import(&importer->tensors, proto->tensors[i], &tensors[i], error));
    attribute->count = proto->n_tensors;
    attribute->value.tensors = tensors;
    return MD_OK;
}

static enum md_code import_type(struct md_importer *importer, const Onnx__TypeProto *proto,
                                struct md_attribute *attribute, struct md_error *error)
{
    struct md_value_type type;
    MD_TRY(md_value_type_import(&importer->scratch, proto, &type, error));
    attribute->value.type = type.datatype;
    return MD_OK;
}

/* Everything but graphs. */
static enum md_code import_value(struct md_importer *importer, const Onnx__AttributeProto *proto,
                                 unsigned kind, struct md_attribute *attribute, struct md_error *error)
{
    struct md_arena *arena = &importer->model->arena;
    const void *numbers = NULL;
    switch (kind) {
    case MD_ATTRIBUTE_FLOAT:
        attribute->value.f = proto->has_f ? proto->f : 0.0F;
        return MD_OK;
    case MD_ATTRIBUTE_INT:
        attribute->value.i = proto->has_i ? proto->i : 0;
        return MD_OK;
    case MD_ATTRIBUTE_STRING:
        return import_string(arena, &proto->s, &attribute->value.string, error);
    case MD_ATTRIBUTE_TENSOR:
        return md_tensor_import(&importer->tensors, proto->t, &attribute->value.tensor, error);
    case MD_ATTRIBUTE_SPARSE_TENSOR:
        return md_sparse_tensor_import(&importer->tensors, proto->sparse_tensor, &attribute->value.tensor,
                                       error);
    case MD_ATTRIBUTE_FLOATS:
        MD_TRY(import_numbers(arena, proto->floats, proto->n_floats, sizeof *proto->floats, &numbers, error));
        attribute->count = proto->n_floats;
        attribute->value.floats = numbers;
        return MD_OK;
    case MD_ATTRIBUTE_INTS:
        MD_TRY(import_numbers(arena, proto->ints, proto->n_ints, sizeof *proto->ints, &numbers, error));
        attribute->count = proto->n_ints;
        attribute->value.ints = numbers;
        return MD_OK;
    case MD_ATTRIBUTE_STRINGS:
        return import_strings(arena, proto, attribute, error);
    case MD_ATTRIBUTE_TENSORS:
        return import_tensors(importer, proto, attribute, error);
    case MD_ATTRIBUTE_TYPE:
        return import_type(importer, proto->tp, attribute, error);
    default:
        return md_fail(error, MD_UNIMPLEMENTED, "attributes of type %s are not implemented", kind_name(kind));
    }
}

/* ---- attributes that function bodies share ---- */

/* A body may be inlined a thousand times: the values of its attributes are imported once. */
static enum md_code import_shared(struct md_importer *importer, const Onnx__AttributeProto *proto,
                                  unsigned kind, struct md_attribute *attribute, struct md_error *error)
{
    struct md_span key = { (const char *)&proto, sizeof proto };
    int32_t found = md_name_map_find(&importer->shared, key);
    if (found >= 0) {
        attribute->count = importer->shared_items[found].count;
        attribute->value = importer->shared_items[found].value;
        return MD_OK;
    }
    MD_TRY(import_value(importer, proto, kind, attribute, error));
    key.bytes = md_arena_copy_string(&importer->scratch, key.bytes, key.size);
    if (key.bytes == NULL ||
        !MD_GROW(importer, importer->shared_items, importer->shared_count, importer->shared_capacity) ||
        !md_name_map_add(&importer->shared, key, (int32_t)importer->shared_count))
        return md_fail_memory(error, "attributes of functions");
    importer->shared_items[importer->shared_count++] = *attribute;
    return MD_OK;
}

/* Follows ref_attr_name to where the value is written and to the frame it was written in: the caller's, its
 * caller's, or the default of the function. *out_proto NULL: nobody gives it, so the attribute is absent.
 * Calls are not nested deeper than MD_MAX_NESTING, so this is not either. */
static enum md_code follow_reference(struct md_frame *frame, const Onnx__AttributeProto *proto,
                                     struct md_frame **out_frame, const Onnx__AttributeProto **out_proto,
                                     struct md_error *error)
{
    *out_frame = frame;
    *out_proto = proto;
    if (proto->ref_attr_name == NULL || proto->ref_attr_name[0] == '\0')
        return MD_OK;
    const struct md_call *call = frame->call;
    if (call == NULL)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "refers to attribute \"%s\" of a function, but is not in one", proto->ref_attr_name);
    struct md_span name = md_span_of(proto->ref_attr_name);
    int32_t given = md_name_map_find(&call->attributes, name);
    *out_proto = NULL;
    if (given >= 0)
        MD_TRY(follow_reference(call->caller, call->node->attribute[given], out_frame, out_proto, error));
    if (*out_proto != NULL)
        return MD_OK;
    int32_t index = md_name_map_find(&call->function->defaults, name);
    if (index >= 0)
        *out_proto = call->function->proto->attribute_proto[index];
    return MD_OK;
}

static enum md_code add_subgraph(struct md_importer *importer, struct md_frame *frame,
                                 struct md_frame *written, const Onnx__AttributeProto *proto,
                                 struct md_node *node, struct md_attribute *attribute, struct md_error *error)
{
    struct md_graph *graph;
    MD_TRY(md_graph_import(importer, proto->g, written, frame->scope, &graph, error));
    attribute->value.graph = graph;
    size_t at = node->subgraph_count++;
    if (strcmp(attribute->name, "then_branch") ==
        0) { /* the order of If's branches is ours, not the file's */
        node->subgraphs[at] = node->subgraphs[0];
        at = 0;
    }
    node->subgraphs[at] = graph;
    return MD_OK;
}

/* *out_present false: a reference to what the caller does not give. */
static enum md_code import_attribute(struct md_importer *importer, struct md_frame *frame,
                                     const Onnx__AttributeProto *proto, struct md_node *node,
                                     struct md_attribute *attribute, bool *out_present,
                                     struct md_error *error)
{
    const Onnx__AttributeProto *found;
    struct md_frame *written;
    unsigned kind;
    MD_TRY(follow_reference(frame, proto, &written, &found, error));
    *out_present = found != NULL;
    if (found == NULL)
        return MD_OK;
    MD_TRY(find_kind(found, &kind, error));
    const char *name = md_arena_copy_string(&importer->model->arena, proto->name, strlen(proto->name));
    if (name == NULL)
        return md_fail_memory(error, "name");
    *attribute = (struct md_attribute){ .name = name, .kind = (enum md_attribute_kind)kind };
    if (kind == MD_ATTRIBUTE_GRAPH)
        return add_subgraph(importer, frame, written, found, node, attribute, error);
    return frame->call != NULL ? import_shared(importer, found, kind, attribute, error)
                               : import_value(importer, found, kind, attribute, error);
}

static enum md_code check_names(struct md_importer *importer, const Onnx__NodeProto *proto,
                                struct md_error *error)
{
    struct md_name_map names;
    md_name_map_init(&names, &importer->scratch, importer->seed);
    for (size_t i = 0; i < proto->n_attribute; i++) {
        const char *name = proto->attribute[i]->name;
        if (name == NULL || name[0] == '\0')
            return md_fail(error, MD_INVALID_ARGUMENT, "attribute %zu has no name", i);
        int32_t twin = -1;
        if (proto->n_attribute > LIST_SEARCH_LIMIT)
            twin = md_name_map_find(&names, md_span_of(name));
        for (size_t j = 0; j < i && proto->n_attribute <= LIST_SEARCH_LIMIT && twin < 0; j++)
            twin = strcmp(proto->attribute[j]->name, name) == 0 ? (int32_t)j : -1;
        if (twin >= 0)
            return md_fail(error, MD_INVALID_ARGUMENT,
                           "attribute \"%s\" occurs twice, as number %d and number %zu", name, (int)twin, i);
        if (proto->n_attribute > LIST_SEARCH_LIMIT && !md_name_map_add(&names, md_span_of(name), (int32_t)i))
            return md_fail_memory(error, "names of attributes");
    }
    return MD_OK;
}

enum md_code md_attributes_import(struct md_importer *importer, struct md_frame *frame,
                                  const Onnx__NodeProto *proto, struct md_node *node, struct md_error *error)
{
    if (proto->n_attribute == 0)
        return MD_OK;
    MD_TRY(check_names(importer, proto, error));
    struct md_arena *arena = &importer->model->arena;
    struct md_attribute *items = md_arena_allocate_zeroed(arena, proto->n_attribute, sizeof *items);
    size_t graphs = 0;
    for (size_t i = 0; i < proto->n_attribute; i++) {
        const Onnx__AttributeProto *attribute = proto->attribute[i];
        graphs += attribute->g != NULL || attribute->ref_attr_name != NULL;
    }
    node->subgraphs = md_arena_allocate_zeroed(arena, graphs, sizeof *node->subgraphs);
    if (items == NULL || node->subgraphs == NULL)
        return md_fail_memory(error, "attributes");
    node->attributes.items = items;
    for (size_t i = 0; i < proto->n_attribute; i++) {
        bool present;
        enum md_code code = import_attribute(importer, frame, proto->attribute[i], node,
                                             &items[node->attributes.count], &present, error);
        if (code != MD_OK && importer->located) /* a node of a subgraph is named */
            return code;
        if (code != MD_OK)
            return md_fail_prefix(error, code, "attribute \"%s\"", proto->attribute[i]->name);
        node->attributes.count += present;
    }
    return MD_OK;
}
