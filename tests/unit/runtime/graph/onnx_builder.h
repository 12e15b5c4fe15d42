/* onnx_builder.h - ONNX models made by hand, for tests: protobuf-c structs in an arena, packed at the end.
 *
 *     struct onnx_builder builder;
 *     onnx_builder_init(&builder);
 *     Onnx__GraphProto *graph = builder.model->graph;
 *     onnx_add_input(&builder, graph, "x");
 *     onnx_add_node(&builder, graph, "Relu", "relu", "x", "y");
 *     onnx_add_output(&builder, graph, "y");
 *     struct md_model *model = onnx_import_ok(&builder);
 *     ...
 *     onnx_builder_cleanup(&builder);
 *
 * Lists of names are one text: "a,b,,c". Include after cmocka.h. Helpers fail the running test when they
 * cannot do their work. */
#ifndef MD_ONNX_BUILDER_H
#define MD_ONNX_BUILDER_H

#include "arena.h"
#include "model_import.h"

#include "onnx/onnx.pb-c.h"

struct onnx_builder {
    struct md_arena arena;
    Onnx__ModelProto *model; /* IR 8, opset 17, an empty graph "g" */
    struct md_error error;   /* of the last import */
};

void onnx_builder_init(struct onnx_builder *builder);
void onnx_builder_cleanup(struct onnx_builder *builder);

/* ---- pieces ---- */
char *onnx_text(struct onnx_builder *builder, const char *text);
void *onnx_zeroed(struct onnx_builder *builder, size_t count, size_t size);
/* Appends a pointer to a repeated field: onnx_append(builder, &graph->node, &graph->n_node, node). */
void onnx_append_pointer(struct onnx_builder *builder, void *items, size_t *count, void *item);
void onnx_add_opset(struct onnx_builder *builder, const char *domain, int64_t version);
Onnx__GraphProto *onnx_new_graph(struct onnx_builder *builder, const char *name);
Onnx__NodeProto *onnx_new_node(struct onnx_builder *builder, const char *op_type, const char *name,
                               const char *inputs, const char *outputs);
Onnx__NodeProto *onnx_add_node(struct onnx_builder *builder, Onnx__GraphProto *graph, const char *op_type,
                               const char *name, const char *inputs, const char *outputs);
Onnx__ValueInfoProto *onnx_add_input(struct onnx_builder *builder, Onnx__GraphProto *graph, const char *name);
Onnx__ValueInfoProto *onnx_add_output(struct onnx_builder *builder, Onnx__GraphProto *graph,
                                      const char *name);
/* FP32 tensor of one dim in raw_data. */
Onnx__TensorProto *onnx_new_floats(struct onnx_builder *builder, const char *name, const float *values,
                                   size_t count);
Onnx__TensorProto *onnx_new_tensor(struct onnx_builder *builder, const char *name, int32_t datatype,
                                   size_t rank, const int64_t *dims);
void onnx_set_raw(struct onnx_builder *builder, Onnx__TensorProto *tensor, const void *bytes, size_t size);
void onnx_add_initializer(struct onnx_builder *builder, Onnx__GraphProto *graph, Onnx__TensorProto *tensor);
void onnx_add_external(struct onnx_builder *builder, Onnx__TensorProto *tensor, const char *key,
                       const char *value);

/* ---- attributes ---- */
Onnx__AttributeProto *onnx_add_attribute(struct onnx_builder *builder, Onnx__NodeProto *node,
                                         const char *name, int type);
void onnx_add_int(struct onnx_builder *builder, Onnx__NodeProto *node, const char *name, int64_t value);
void onnx_add_graph(struct onnx_builder *builder, Onnx__NodeProto *node, const char *name,
                    Onnx__GraphProto *graph);
void onnx_add_reference(struct onnx_builder *builder, Onnx__NodeProto *node, const char *name, int type,
                        const char *reference);

/* ---- functions ---- */
Onnx__FunctionProto *onnx_add_function(struct onnx_builder *builder, const char *domain, const char *name,
                                       const char *inputs, const char *outputs);
Onnx__NodeProto *onnx_add_function_node(struct onnx_builder *builder, Onnx__FunctionProto *function,
                                        const char *op_type, const char *name, const char *inputs,
                                        const char *outputs);

/* ---- packing and importing ---- */
struct md_span onnx_pack(struct onnx_builder *builder, const ProtobufCMessage *message);
/* Owned by the caller (md_model_destroy). */
struct md_model *onnx_import_ok(struct onnx_builder *builder);
/* Fails the test unless the import fails with the code and every text of the NULL-terminated list is in its
 * message. */
void onnx_import_fails(struct onnx_builder *builder, enum md_code code, ...) __attribute__((sentinel));

/* ---- looking at models ---- */
const struct md_node *onnx_find_node(const struct md_graph *graph,
                                     const char *name);                  /* fails the test if absent */
int32_t onnx_find_value(const struct md_graph *graph, const char *name); /* fails the test if absent */
const struct md_tensor *onnx_find_constant(const struct md_graph *graph, const char *name);

#endif
