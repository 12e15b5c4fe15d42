/* attribute.h - the named constants of an ONNX node, as operators read them.
 *
 * Memory: everything belongs to the model's arena. A getter checks the kind: an attribute of the wrong kind is
 * INVALID_ARGUMENT with the attribute's name and both kinds; an absent one gives the default. */
#ifndef MD_ATTRIBUTE_H
#define MD_ATTRIBUTE_H

#include "tensor.h"

/* The numbers are ONNX's (AttributeProto.AttributeType). */
enum md_attribute_kind {
    MD_ATTRIBUTE_FLOAT = 1,
    MD_ATTRIBUTE_INT = 2,
    MD_ATTRIBUTE_STRING = 3,
    MD_ATTRIBUTE_TENSOR = 4,
    MD_ATTRIBUTE_GRAPH = 5,
    MD_ATTRIBUTE_FLOATS = 6,
    MD_ATTRIBUTE_INTS = 7,
    MD_ATTRIBUTE_STRINGS = 8,
    MD_ATTRIBUTE_TENSORS = 9,
    MD_ATTRIBUTE_GRAPHS = 10,
    MD_ATTRIBUTE_SPARSE_TENSOR = 11,
    MD_ATTRIBUTE_TYPE = 13
};

struct md_graph;

struct md_attribute {
    const char *name;
    enum md_attribute_kind kind;
    size_t count; /* of floats, ints, strings, tensors */
    union {
        float f;
        int64_t i;
        struct md_span string;
        struct md_tensor tensor;         /* a sparse tensor is made dense at import */
        struct md_graph *graph;          /* also listed in the node's subgraphs */
        enum md_datatype type;           /* element type of a tensor, sequence or optional type */
        const float *floats;
        const int64_t *ints;
        const struct md_span *strings;
        const struct md_tensor *tensors;
    } value;
};

struct md_attributes {
    const struct md_attribute *items;
    size_t count;
};

/* NULL: absent. */
const struct md_attribute *md_attribute_find(const struct md_attributes *attributes, const char *name);

MD_NODISCARD enum md_code md_attribute_int(const struct md_attributes *attributes, const char *name, int64_t absent,
                                           int64_t *out_value, struct md_error *error);
MD_NODISCARD enum md_code md_attribute_float(const struct md_attributes *attributes, const char *name, float absent,
                                             float *out_value, struct md_error *error);
/* absent may be NULL: then an absent attribute gives a span with bytes == NULL. */
MD_NODISCARD enum md_code md_attribute_string(const struct md_attributes *attributes, const char *name,
                                              const char *absent, struct md_span *out_value,
                                              struct md_error *error);
/* Absent: *out_values NULL and *out_count 0. Borrowed from the attributes. */
MD_NODISCARD enum md_code md_attribute_ints(const struct md_attributes *attributes, const char *name,
                                            const int64_t **out_values, size_t *out_count, struct md_error *error);
MD_NODISCARD enum md_code md_attribute_floats(const struct md_attributes *attributes, const char *name,
                                              const float **out_values, size_t *out_count, struct md_error *error);
MD_NODISCARD enum md_code md_attribute_strings(const struct md_attributes *attributes, const char *name,
                                               const struct md_span **out_values, size_t *out_count,
                                               struct md_error *error);
/* Absent: *out_tensor NULL. */
MD_NODISCARD enum md_code md_attribute_tensor(const struct md_attributes *attributes, const char *name,
                                              const struct md_tensor **out_tensor, struct md_error *error);

#endif
