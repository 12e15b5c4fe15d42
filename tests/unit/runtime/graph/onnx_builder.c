/* onnx_builder.c - see onnx_builder.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "onnx_builder.h"

#include "allocator.h"

#include <string.h>

/* A zeroed message of a type, initialised as protobuf-c wants it. */
#define NEW(builder, type, descriptor) ((type *)new_message(builder, sizeof(type), &(descriptor)))

void *onnx_zeroed(struct onnx_builder *builder, size_t count, size_t size)
{
    void *memory = md_arena_allocate_zeroed(&builder->arena, count, size);
    assert_non_null(memory);
    return memory;
}

static void *new_message(struct onnx_builder *builder, size_t size,
                         const ProtobufCMessageDescriptor *descriptor)
{
    void *message = onnx_zeroed(builder, 1, size);
    protobuf_c_message_init(descriptor, message);
    return message;
}
char *onnx_text(struct onnx_builder *builder, const char *text)
{
    char *copy = md_arena_copy_string(&builder->arena, text, strlen(text));
    assert_non_null(copy);
    return copy;
}

void onnx_append_pointer(struct onnx_builder *builder, void *items, size_t *count, void *item)
{
    void **old;
    void **grown = onnx_zeroed(builder, *count + 1, sizeof *grown);
    memcpy(&old, items, sizeof old);
    if (*count > 0)
        memcpy(grown, old, *count * sizeof *grown);
    grown[*count] = item;
    memcpy(items, &grown, sizeof grown);
    *count += 1;
}

static void append_names(struct onnx_builder *builder, char ***items, size_t *count, const char *names)
{
    while (names[0] != '\0') {
        size_t size = strcspn(names, ",");
        char *name = md_arena_copy_string(&builder->arena, names, size);
        assert_non_null(name);
        onnx_append_pointer(builder, items, count, name);
        names += size + (names[size] == ',');
    }
}

void onnx_builder_init(struct onnx_builder *builder)
{
    memset(builder, 0, sizeof *builder);
    md_arena_init(&builder->arena, md_process_allocator(), 0);
    builder->model = NEW(builder, Onnx__ModelProto, onnx__model_proto__descriptor);
    builder->model->has_ir_version = true;
    builder->model->ir_version = 8;
    builder->model->graph = onnx_new_graph(builder, "g");
    onnx_add_opset(builder, "", 17);
}

void onnx_builder_cleanup(struct onnx_builder *builder)
{
    md_arena_cleanup(&builder->arena);
}

static Onnx__OperatorSetIdProto *new_opset(struct onnx_builder *builder, const char *domain, int64_t version)
{
    Onnx__OperatorSetIdProto *opset =
        NEW(builder, Onnx__OperatorSetIdProto, onnx__operator_set_id_proto__descriptor);
    opset->domain = onnx_text(builder, domain);
    opset->has_version = true;
    opset->version = version;
    return opset;
}

void onnx_add_opset(struct onnx_builder *builder, const char *domain, int64_t version)
{
    onnx_append_pointer(builder, &builder->model->opset_import, &builder->model->n_opset_import,
                        new_opset(builder, domain, version));
}

Onnx__GraphProto *onnx_new_graph(struct onnx_builder *builder, const char *name)
{
    Onnx__GraphProto *graph = NEW(builder, Onnx__GraphProto, onnx__graph_proto__descriptor);
    graph->name = onnx_text(builder, name);
    return graph;
}

Onnx__NodeProto *onnx_new_node(struct onnx_builder *builder, const char *op_type, const char *name,
                               const char *inputs, const char *outputs)
{
    Onnx__NodeProto *node = NEW(builder, Onnx__NodeProto, onnx__node_proto__descriptor);
    node->op_type = onnx_text(builder, op_type);
    node->name = name[0] != '\0' ? onnx_text(builder, name) : NULL;
    append_names(builder, &node->input, &node->n_input, inputs);
    append_names(builder, &node->output, &node->n_output, outputs);
    return node;
}

Onnx__NodeProto *onnx_add_node(struct onnx_builder *builder, Onnx__GraphProto *graph, const char *op_type,
                               const char *name, const char *inputs, const char *outputs)
{
    Onnx__NodeProto *node = onnx_new_node(builder, op_type, name, inputs, outputs);
    onnx_append_pointer(builder, &graph->node, &graph->n_node, node);
    return node;
}

static Onnx__ValueInfoProto *new_info(struct onnx_builder *builder, const char *name)
{
    Onnx__ValueInfoProto *info = NEW(builder, Onnx__ValueInfoProto, onnx__value_info_proto__descriptor);
    info->name = onnx_text(builder, name);
    return info;
}

Onnx__ValueInfoProto *onnx_add_input(struct onnx_builder *builder, Onnx__GraphProto *graph, const char *name)
{
    Onnx__ValueInfoProto *info = new_info(builder, name);
    onnx_append_pointer(builder, &graph->input, &graph->n_input, info);
    return info;
}

Onnx__ValueInfoProto *onnx_add_output(struct onnx_builder *builder, Onnx__GraphProto *graph, const char *name)
{
    Onnx__ValueInfoProto *info = new_info(builder, name);
    onnx_append_pointer(builder, &graph->output, &graph->n_output, info);
    return info;
}

Onnx__TensorProto *onnx_new_tensor(struct onnx_builder *builder, const char *name, int32_t datatype,
                                   size_t rank, const int64_t *dims)
{
    Onnx__TensorProto *tensor = NEW(builder, Onnx__TensorProto, onnx__tensor_proto__descriptor);
    tensor->name = name[0] != '\0' ? onnx_text(builder, name) : NULL;
    tensor->has_data_type = true;
    tensor->data_type = datatype;
    tensor->n_dims = rank;
    tensor->dims = onnx_zeroed(builder, rank, sizeof *tensor->dims);
    if (rank > 0)
        memcpy(tensor->dims, dims, rank * sizeof *dims);
    return tensor;
}

void onnx_set_raw(struct onnx_builder *builder, Onnx__TensorProto *tensor, const void *bytes, size_t size)
{
    tensor->has_raw_data = true;
    tensor->raw_data.data = onnx_zeroed(builder, 1, size);
    tensor->raw_data.len = size;
    if (size > 0)
        memcpy(tensor->raw_data.data, bytes, size);
}

Onnx__TensorProto *onnx_new_floats(struct onnx_builder *builder, const char *name, const float *values,
                                   size_t count)
{
    Onnx__TensorProto *tensor =
        onnx_new_tensor(builder, name, MD_FP32, 1, (const int64_t[]){ (int64_t)count });
    onnx_set_raw(builder, tensor, values, count * sizeof *values);
    return tensor;
}

void onnx_add_initializer(struct onnx_builder *builder, Onnx__GraphProto *graph, Onnx__TensorProto *tensor)
{
    onnx_append_pointer(builder, &graph->initializer, &graph->n_initializer, tensor);
}

void onnx_add_external(struct onnx_builder *builder, Onnx__TensorProto *tensor, const char *key,
                       const char *value)
{
    Onnx__StringStringEntryProto *entry =
        NEW(builder, Onnx__StringStringEntryProto, onnx__string_string_entry_proto__descriptor);
    entry->key = onnx_text(builder, key);
    entry->value = onnx_text(builder, value);
    tensor->has_data_location = true;
    tensor->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    onnx_append_pointer(builder, &tensor->external_data, &tensor->n_external_data, entry);
}

Onnx__AttributeProto *onnx_add_attribute(struct onnx_builder *builder, Onnx__NodeProto *node,
                                         const char *name, int type)
{
    Onnx__AttributeProto *attribute = NEW(builder, Onnx__AttributeProto, onnx__attribute_proto__descriptor);
    attribute->name = onnx_text(builder, name);
    attribute->has_type = type != 0;
    attribute->type = (Onnx__AttributeProto__AttributeType)type;
    onnx_append_pointer(builder, &node->attribute, &node->n_attribute, attribute);
    return attribute;
}

void onnx_add_int(struct onnx_builder *builder, Onnx__NodeProto *node, const char *name, int64_t value)
{
    Onnx__AttributeProto *attribute = onnx_add_attribute(builder, node, name, MD_ATTRIBUTE_INT);
    attribute->has_i = true;
    attribute->i = value;
}

void onnx_add_graph(struct onnx_builder *builder, Onnx__NodeProto *node, const char *name,
                    Onnx__GraphProto *graph)
{
    onnx_add_attribute(builder, node, name, MD_ATTRIBUTE_GRAPH)->g = graph;
}

void onnx_add_reference(struct onnx_builder *builder, Onnx__NodeProto *node, const char *name, int type,
                        const char *reference)
{
    onnx_add_attribute(builder, node, name, type)->ref_attr_name = onnx_text(builder, reference);
}

Onnx__FunctionProto *onnx_add_function(struct onnx_builder *builder, const char *domain, const char *name,
                                       const char *inputs, const char *outputs)
{
    Onnx__FunctionProto *function = NEW(builder, Onnx__FunctionProto, onnx__function_proto__descriptor);
    function->name = onnx_text(builder, name);
    function->domain = onnx_text(builder, domain);
    append_names(builder, &function->input, &function->n_input, inputs);
    append_names(builder, &function->output, &function->n_output, outputs);
    onnx_append_pointer(builder, &function->opset_import, &function->n_opset_import,
                        new_opset(builder, "", 18));
    onnx_append_pointer(builder, &builder->model->functions, &builder->model->n_functions, function);
    return function;
}

Onnx__NodeProto *onnx_add_function_node(struct onnx_builder *builder, Onnx__FunctionProto *function,
                                        const char *op_type, const char *name, const char *inputs,
                                        const char *outputs)
{
    Onnx__NodeProto *node = onnx_new_node(builder, op_type, name, inputs, outputs);
    onnx_append_pointer(builder, &function->node, &function->n_node, node);
    return node;
}

struct md_span onnx_pack(struct onnx_builder *builder, const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    unsigned char *bytes = onnx_zeroed(builder, 1, size + 1);
    assert_int_equal(protobuf_c_message_pack(message, bytes), size);
    return (struct md_span){ (const char *)bytes, size };
}

struct md_model *onnx_import_ok(struct onnx_builder *builder)
{
    struct md_span bytes = onnx_pack(builder, &builder->model->base);
    struct md_model *model = NULL;
    builder->error.message[0] = '\0';
    enum md_code code = md_model_import(md_process_allocator(), bytes.bytes, bytes.size, false, NULL, &model,
                                        &builder->error);
    if (code != MD_OK)
        fail_msg("%s: %s", md_code_name(code), builder->error.message);
    return model;
}

void onnx_import_fails(struct onnx_builder *builder, enum md_code code, ...)
{
    struct md_span bytes = onnx_pack(builder, &builder->model->base);
    struct md_model *model = NULL;
    enum md_code got = md_model_import(md_process_allocator(), bytes.bytes, bytes.size, false, NULL, &model,
                                       &builder->error);
    if (got != code)
        fail_msg("%s instead of %s: %s", md_code_name(got), md_code_name(code),
                 got ? builder->error.message : "");
    assert_null(model);
    va_list texts;
    va_start(texts, code);
    for (const char *text = va_arg(texts, const char *); text != NULL; text = va_arg(texts, const char *))
        if (strstr(builder->error.message, text) == NULL)
            fail_msg("message \"%s\" does not have \"%s\"", builder->error.message, text);
    va_end(texts);
}

const struct md_node *onnx_find_node(const struct md_graph *graph, const char *name)
{
    for (size_t i = 0; i < graph->node_count; i++)
        if (strcmp(graph->nodes[i].name, name) == 0)
            return &graph->nodes[i];
    fail_msg("graph \"%s\" has no node \"%s\"", graph->name, name);
    return NULL;
}

int32_t onnx_find_value(const struct md_graph *graph, const char *name)
{
    for (size_t i = 0; i < graph->value_count; i++)
        if (strcmp(graph->values[i].name, name) == 0)
            return (int32_t)i;
    fail_msg("graph \"%s\" has no value \"%s\"", graph->name, name);
    return MD_NO_VALUE;
}

const struct md_tensor *onnx_find_constant(const struct md_graph *graph, const char *name)
{
    const struct md_tensor *constant = graph->values[onnx_find_value(graph, name)].constant;
    if (constant == NULL)
        fail_msg("value \"%s\" is no constant", name);
    return constant;
}
