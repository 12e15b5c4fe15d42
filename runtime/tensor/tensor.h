/* tensor.h - shapes, tensors, and the values that flow along the edges of a graph.
 *
 * A tensor is a description and a pointer: it never owns its bytes. A value owns a share of the buffer that
 * holds them: values of one run are reference counted without atomics, because one thread runs one graph. */
#ifndef MD_TENSOR_H
#define MD_TENSOR_H

#include "datatype.h"
#include "span.h"
#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MD_MAX_RANK = 12 };

struct md_shape {
    int32_t rank;             /* 0: scalar */
    int64_t dims[MD_MAX_RANK]; /* row-major; 0 is a legal size; -1 means "any" in signatures only */
};

struct md_tensor {
    enum md_datatype datatype;
    struct md_shape shape;
    size_t count; /* product of the dims */
    void *bytes;  /* count elements, dense, row-major; may be NULL when count is 0 */
};

/* Typed pointer to the elements: md_elements(const float, tensor). */
#define md_elements(type, tensor) ((type *)(tensor)->bytes)

/* ---- shapes ---- */
struct md_shape md_shape_of(int32_t rank, const int64_t *dims); /* rank <= MD_MAX_RANK */
bool md_shape_equal(const struct md_shape *a, const struct md_shape *b);
/* Product of dims [from, to). The caller has checked the whole product (md_shape_count). */
size_t md_shape_product(const struct md_shape *shape, int32_t from, int32_t to);
/* Checks rank, signs and overflow of count * element size (limit: PTRDIFF_MAX). False if it does not hold. */
bool md_shape_count(const struct md_shape *shape, enum md_datatype datatype, size_t *out_count);
/* Text such as "[1,600]" in `buffer`, which is returned; cut at size. 160 bytes hold any shape of plain numbers. */
const char *md_shape_text(const struct md_shape *shape, char *buffer, size_t size);
enum { MD_SHAPE_TEXT_SIZE = 160 };
/* numpy broadcasting of two shapes (ONNX, "Broadcasting"). False: they do not fit. */
bool md_shape_broadcast(const struct md_shape *a, const struct md_shape *b, struct md_shape *out_shape);
/* Element strides of `shape` when broadcast to `target` (0 along broadcast dims); strides has target->rank entries. */
void md_broadcast_strides(const struct md_shape *shape, const struct md_shape *target, int64_t *out_strides);
/* Dense row-major element strides. */
void md_shape_strides(const struct md_shape *shape, int64_t *out_strides);
/* Turns axis in [-rank, rank) into [0, rank). False: out of range. */
bool md_axis_normalize(int64_t axis, int32_t rank, int32_t *out_axis);

/* ---- tensors ---- */
/* Bytes of all elements. */
size_t md_tensor_size(const struct md_tensor *tensor);
/* A tensor over the caller's bytes. INVALID_ARGUMENT: the shape is negative or too large. */
MD_NODISCARD enum md_code md_tensor_describe(enum md_datatype datatype, const struct md_shape *shape, void *bytes,
                                             struct md_tensor *out_tensor, struct md_error *error);
/* Element `index` of an integer or BOOL tensor as int64 (UINT64 above INT64_MAX wraps). */
int64_t md_tensor_int(const struct md_tensor *tensor, size_t index);
/* Element `index` of any numeric tensor (all real types, integers, BOOL) as double. */
double md_tensor_double(const struct md_tensor *tensor, size_t index);
/* Stores `value` as the tensor's own type, rounding floats, truncating to integers (value must fit). */
void md_tensor_set_double(struct md_tensor *tensor, size_t index, double value);

/* ---- values ---- */
struct md_allocator;

/* Memory of one or more values of a run. */
struct md_buffer {
    void *bytes;
    size_t size;
    uint32_t references;
    void (*free_buffer)(struct md_buffer *buffer); /* called when references becomes 0; NULL: memory is borrowed */
    void *owner;                                   /* of whoever made it */
    uint64_t tag;                                  /* of whoever made it */
};

enum md_value_kind { MD_VALUE_NONE = 0, MD_VALUE_TENSOR = 1, MD_VALUE_SEQUENCE = 2 };

/* A tensor, a sequence of values, or nothing (an absent optional input or an empty optional: an optional
 * that has an element is the element itself). */
struct md_value {
    enum md_value_kind kind;
    struct md_tensor tensor;
    struct md_buffer *buffer;      /* shared; NULL: the bytes are borrowed and outlive the run */
    struct md_sequence *sequence;  /* shared */
};

struct md_sequence {
    uint32_t references;
    enum md_datatype datatype; /* of the elements; matters when it is empty */
    size_t count;
    const struct md_allocator *allocator;
    struct md_value items[]; /* owned; never change once the sequence is in a second value */
};

/* NULL when there is no memory. References: 1. Items are MD_VALUE_NONE. */
struct md_sequence *md_sequence_create(const struct md_allocator *allocator, enum md_datatype datatype, size_t count);
/* *out_value becomes another owner of what `value` holds. What *out_value held before is NOT released. */
void md_value_share(const struct md_value *value, struct md_value *out_value);
/* Drops the share and leaves MD_VALUE_NONE. */
void md_value_clear(struct md_value *value);

#endif
