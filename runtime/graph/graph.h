/* graph.h - a model in memory: graphs of nodes over values, as the passes and the session see them.
 *
 * Made by md_model_import (model_import.h) or changed by passes before the session is built; immutable afterwards and
 * then safe from any thread. Everything lives in the model's arena, but constants may point into mapped files.
 * Names are kept for messages only: nodes refer to values by index. */
#ifndef MD_GRAPH_H
#define MD_GRAPH_H

#include "arena.h"
#include "attribute.h"
#include "file.h"
#include "tensor.h"

enum { MD_NO_VALUE = -1 };

enum md_type_kind { MD_TYPE_UNKNOWN = 0, MD_TYPE_TENSOR, MD_TYPE_SEQUENCE, MD_TYPE_OPTIONAL };

/* What the file says about a value; all of it is optional. */
struct md_value_type {
    enum md_type_kind kind;
    bool optional;              /* optional(tensor) or optional(sequence): kind is that of the element */
    enum md_datatype datatype;  /* of the tensor, or of the sequence's tensors */
    bool has_shape;
    struct md_shape shape;      /* -1: unknown or symbolic */
    const char **dim_names;     /* rank entries, NULL for a dim without a name; NULL: no names */
};

struct md_graph_value {
    const char *name; /* "" for values made by passes */
    struct md_value_type type;
    const struct md_tensor *constant; /* initializer, or output of a Constant or folded node; else NULL */
    int32_t producer;                 /* node index, or -1: graph input, captured, or constant */
};

/* A value of the enclosing graph that a subgraph reads. */
struct md_capture {
    int32_t outer; /* value index in the enclosing graph */
    int32_t inner; /* value index in this graph */
};

struct md_node {
    const char *name;    /* never empty: unnamed nodes get "op_type#index" */
    const char *domain;  /* "" for ai.onnx */
    const char *op_type;
    int64_t opset;       /* the imported version of the domain */
    struct md_attributes attributes;
    size_t input_count;  /* trailing absent inputs cut off */
    int32_t *inputs;     /* value index or MD_NO_VALUE */
    size_t output_count;
    int32_t *outputs;    /* value index or MD_NO_VALUE */
    size_t subgraph_count;
    struct md_graph **subgraphs; /* If: then_branch, else_branch; Loop, Scan, SequenceMap: body */
};

struct md_graph {
    const char *name;
    size_t value_count;
    struct md_graph_value *values;
    size_t node_count;
    struct md_node *nodes; /* topologically sorted */
    size_t input_count;
    int32_t *inputs;       /* value indices; initializers of IR 3 files that are also inputs are NOT listed */
    size_t output_count;
    int32_t *outputs;
    size_t capture_count;
    struct md_capture *captures;
};

struct md_opset {
    const char *domain;
    int64_t version;
};

struct md_model {
    struct md_arena arena;
    struct md_graph *graph;
    int64_t ir_version;
    const char *producer; /* "pytorch 1.13.1" */
    size_t opset_count;
    const struct md_opset *opsets;
    size_t constant_bytes; /* of all initializers */
    size_t mapping_count;  /* the model file and its external data */
    struct md_file_mapping *mappings; /* name: path in the model's folder */
    size_t released_bytes; /* of the mappings, given back to the system */
    const struct md_allocator *allocator; /* of the struct itself */
};

/* Without a graph. NULL: no memory. Ends with md_model_destroy. */
struct md_model *md_model_create(const struct md_allocator *allocator);
void md_model_destroy(struct md_model *model); /* NULL is allowed */

/* The imported version of a domain; 0: not imported. */
int64_t md_model_opset(const struct md_model *model, const char *domain);

#endif
