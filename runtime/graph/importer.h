/* importer.h - what the parts of the importer share. Private to this folder.
 *
 * One graph under construction is a scope: its values, nodes and captures. Names are looked up in frames:
 *
 *   frame of the graph          scope 0   names of the graph
 *   +- frame of a branch        scope 1   parent: the graph, so what is found there is captured into scope 1
 *   +- frame of a call          scope 0   no parent: a function sees its formal names only; its nodes go to
 *                                         the scope of the caller, which is what inlining means
 *
 * Threads: one per import. Memory: what the model keeps is in model->arena, all else in scratch. */
#ifndef MD_IMPORTER_H
#define MD_IMPORTER_H

#include "external_data.h"
#include "model_import.h"
#include "name_map.h"
#include "tensor_import.h"

enum {
    /* Serialized bodies of all function calls together: a thousand times the file, within these bounds. */
    MD_MIN_INLINED_BYTES = 4 * 1024 * 1024,
    MD_MAX_INLINED_BYTES = 64 * 1024 * 1024,
    MD_MAX_INLINED_FACTOR = 1000,
    MD_MAX_INLINED_NAME = 255 /* names of inlined nodes and values: the call's name is cut */
};

struct md_function {
    const Onnx__FunctionProto *proto;
    const char *domain;
    size_t size;                 /* serialized */
    struct md_name_map opsets;   /* domain to index in proto->opset_import */
    struct md_name_map defaults; /* name to index in proto->attribute_proto */
};

struct md_importer {
    struct md_model *model;
    struct md_arena scratch;
    struct md_tensor_source tensors;
    struct md_external_data external;
    uint64_t seed; /* of the name maps */
    const Onnx__ModelProto *proto;
    struct md_name_map opsets; /* domain to index in model->opsets */
    struct md_function *functions;
    struct md_name_map function_names; /* domain, op_type and overload to index in functions */
    struct md_name_map shared; /* address of an AttributeProto of a function body to index in shared_items */
    struct md_attribute *shared_items;
    size_t shared_count, shared_capacity;
    size_t node_count, value_count; /* of the whole model */
    size_t name_count;              /* bound in all frames */
    size_t inlined_bytes;
    bool located; /* the error's message names a node */
};

struct md_scope {
    struct md_scope *parent;
    const char *name; /* of the graph */
    size_t depth;
    struct md_graph_value *values;
    size_t value_count, value_capacity;
    struct md_node *nodes;
    size_t node_count, node_capacity;
    struct md_capture *captures;
    size_t capture_count, capture_capacity;
    struct md_name_map captured; /* four bytes of the outer index to the inner index */
};

/* Who defines a name. Numbers from 0 on: index of the node. */
enum { MD_BOUND_INPUT = -1, MD_BOUND_INITIALIZER = -2, MD_BOUND_PENDING = -3, MD_BOUND_CAPTURE = -4 };

struct md_binding {
    int32_t value; /* in the frame's scope, or MD_NO_VALUE: a formal input that the call leaves out */
    int32_t definer;
};

struct md_call {
    const struct md_function *function;
    const Onnx__NodeProto *node;
    struct md_frame *caller;
    const char *name;              /* of the calling node */
    struct md_name_map attributes; /* name to index in node->attribute */
    size_t depth;
};

struct md_frame {
    struct md_frame *parent; /* NULL: the model's graph, or a function body */
    struct md_scope *scope;
    const struct md_call *call; /* also of graphs inside a function body; NULL: not in a function */
    struct md_name_map names;   /* name to index in bindings */
    struct md_binding *bindings;
    size_t binding_count, binding_capacity;
    Onnx__NodeProto **nodes; /* for messages */
};

/* ---- scope.c: values, names and captures ---- */
/* A larger copy of an array of scratch. NULL: no memory. */
void *md_grow(struct md_importer *importer, void *items, size_t count, size_t *capacity, size_t item_size);
/* Makes room for one more item. False: no memory, the import ends. */
#define MD_GROW(importer, items, count, capacity)                                                            \
    ((count) < (capacity) ||                                                                                 \
     ((items) = md_grow(importer, items, count, &(capacity), sizeof *(items))) != NULL)
/* A copy of `name`, with "call/" in front if `call` is not NULL; cut to MD_MAX_INLINED_NAME bytes then. */
const char *md_inlined_name(struct md_arena *arena, const struct md_call *call, const char *name);
void md_frame_init(struct md_importer *importer, struct md_frame *frame, struct md_frame *parent,
                   struct md_scope *scope, const struct md_call *call);
void md_scope_init(struct md_importer *importer, struct md_scope *scope, struct md_scope *parent,
                   const char *name);
/* A new value. `name` is copied, with the name of the call in front if `call` is not NULL. */
MD_NODISCARD enum md_code md_scope_add_value(struct md_importer *importer, struct md_scope *scope,
                                             const struct md_call *call, const char *name, int32_t *out_value,
                                             struct md_error *error);
/* Gives a value a name in the frame. INVALID_ARGUMENT: the name is taken; names both who define it. */
MD_NODISCARD enum md_code md_frame_bind(struct md_importer *importer, struct md_frame *frame,
                                        const char *name, int32_t value, int32_t definer,
                                        struct md_error *error);
/* The binding of the frame itself, not of those around it; NULL: none. */
struct md_binding *md_frame_find(const struct md_frame *frame, const char *name);
/* Looks the name up here and outwards, capturing as needed. *out_found false: nobody defines it. */
MD_NODISCARD enum md_code md_frame_resolve(struct md_importer *importer, struct md_frame *frame,
                                           const char *name, int32_t *out_value, bool *out_found,
                                           struct md_error *error);
/* Text such as `input`, `initializer` or `node "Add#3"` for messages; cut at the buffer's size. */
void md_frame_definer_text(const struct md_frame *frame, int32_t definer, char *buffer, size_t size);

/* ---- value_type.c ---- */
/* proto may be NULL. UNIMPLEMENTED: more than MD_MAX_RANK dims. RESOURCE_EXHAUSTED. */
MD_NODISCARD enum md_code md_value_type_import(struct md_arena *arena, const Onnx__TypeProto *proto,
                                               struct md_value_type *out_type, struct md_error *error);

/* ---- attributes.c ---- */
/* All attributes of a node, references to the function's attributes resolved; graphs become node->subgraphs.
 */
MD_NODISCARD enum md_code md_attributes_import(struct md_importer *importer, struct md_frame *frame,
                                               const Onnx__NodeProto *proto, struct md_node *node,
                                               struct md_error *error);

/* ---- functions.c ---- */
MD_NODISCARD enum md_code md_functions_import(struct md_importer *importer, struct md_error *error);
/* The function that a node calls; NULL: none, it is an operator. */
MD_NODISCARD enum md_code md_function_find(struct md_importer *importer, const Onnx__NodeProto *node,
                                           const struct md_function **out_function, struct md_error *error);
/* Adds the nodes of the body to the frame's scope. */
MD_NODISCARD enum md_code md_function_inline(struct md_importer *importer, struct md_frame *frame,
                                             const struct md_function *function, const Onnx__NodeProto *node,
                                             const char *name, struct md_error *error);

/* ---- nodes.c ---- */
/* Binds all outputs, then adds all nodes: the order in the file does not matter. */
MD_NODISCARD enum md_code md_nodes_import(struct md_importer *importer, struct md_frame *frame,
                                          Onnx__NodeProto **nodes, size_t count, struct md_error *error);
/* Counts the node, gives it its outputs' producer. */
MD_NODISCARD enum md_code md_scope_add_node(struct md_importer *importer, struct md_scope *scope,
                                            const struct md_node *node, struct md_error *error);
/* The imported version of the domain where the frame is. */
MD_NODISCARD enum md_code md_frame_opset(const struct md_importer *importer, const struct md_frame *frame,
                                         const char *domain, int64_t *out_version, struct md_error *error);
/* "" for NULL and for "ai.onnx". */
const char *md_domain_normalize(const char *domain);

/* ---- constant_node.c ---- */
/* The value of a Constant node from its attributes. */
MD_NODISCARD enum md_code md_constant_import(struct md_importer *importer,
                                             const struct md_attributes *attributes,
                                             struct md_tensor *out_tensor, struct md_error *error);
/* Makes a value constant, with the type of the tensor, which is copied to the arena. */
MD_NODISCARD enum md_code md_scope_set_constant(struct md_importer *importer, struct md_scope *scope,
                                                int32_t value, const struct md_tensor *tensor,
                                                struct md_error *error);

/* ---- graph_import.c ---- */
/* `parent`: where the graph's free names are looked up. `scope`: the graph that the new one is part of. Both
 * NULL for the model's graph. */
MD_NODISCARD enum md_code md_graph_import(struct md_importer *importer, const Onnx__GraphProto *proto,
                                          struct md_frame *parent, struct md_scope *scope,
                                          struct md_graph **out_graph, struct md_error *error);
/* Constants that subgraphs capture become constants there, and captures get the type of the outer value. */
void md_graph_share_constants(struct md_graph *graph);

/* ---- topological_sort.c ---- */
/* Orders scope->nodes so that every node comes after those it reads from; nodes that are in order stay. Sets
 * the producers. INVALID_ARGUMENT: a cycle, with the names of its nodes. */
MD_NODISCARD enum md_code md_topological_sort(struct md_importer *importer, struct md_scope *scope,
                                              struct md_error *error);

#endif
