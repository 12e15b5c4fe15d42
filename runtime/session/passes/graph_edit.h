/* graph_edit.h - what fusing passes share: looking along the edges of a graph, and rewriting a node in place.
 *
 * A fusing pass finds a pattern from its last node backwards and turns that node into the fused one: its inputs come
 * before it, so the graph stays sorted. The other nodes of the pattern lose their only reader and fall to dead-code.
 * Memory: the model's arena. Private to session/. */
#ifndef MD_GRAPH_EDIT_H
#define MD_GRAPH_EDIT_H

#include "graph.h"

/* Reads of each value: by nodes that are not dead, by subgraphs, as an output. *out_uses has graph->value_count entries. */
MD_NODISCARD enum md_code md_graph_count_uses(struct md_model *model, const struct md_graph *graph,
                                              uint32_t **out_uses, struct md_error *error);
/* Is it this operator of ONNX, with as many inputs as it must have? Passes see models before these are checked. */
bool md_node_is(const struct md_node *node, const char *op_type);
bool md_node_is_in(const struct md_node *node, const char *domain, const char *op_type);
/* The node that makes `value`, if it is this operator of ONNX with output 0; else NULL. value may be MD_NO_VALUE. */
struct md_node *md_graph_producer(const struct md_graph *graph, int32_t value, const char *op_type);
/* The only reader of `value` if it is this operator of ONNX; else NULL. */
struct md_node *md_graph_only_reader(const struct md_graph *graph, const uint32_t *uses, int32_t value,
                                     const char *op_type);
/* The constant behind an input that the node may lack; NULL: none. */
const struct md_tensor *md_graph_constant(const struct md_graph *graph, const struct md_node *node, size_t input);
/* A real constant of one element and of rank 0 or 1. */
bool md_graph_scalar(const struct md_graph *graph, int32_t value, double *out_number);
/* The same, and it is `number` as far as its datatype can say it. */
bool md_graph_scalar_is(const struct md_graph *graph, int32_t value, double number);
/* An FP32 constant of rank 1. */
const struct md_tensor *md_graph_float_row(const struct md_graph *graph, const struct md_node *node, size_t input);
/* Equal to a few of the 24 bits of a float (or, for half precision, of its 8 or 11). */
bool md_number_is(double a, double b);

/* The activation that internal products have for what this node computes, by their attribute's name; NULL: none. */
const char *md_graph_activation(const struct md_node *node);

/* Gives the node another operator and inputs; outputs stay. Names must be static or in the arena; attributes and inputs
 * are copied. Trailing MD_NO_VALUE inputs are cut off. */
MD_NODISCARD enum md_code md_graph_rewrite(struct md_model *model, struct md_node *node, const char *domain,
                                           const char *op_type, const int32_t *inputs, size_t input_count,
                                           const struct md_attribute *attributes, size_t attribute_count,
                                           struct md_error *error);

#endif
