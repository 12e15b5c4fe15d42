/* tensor_import.h - TensorProto and SparseTensorProto into tensors: raw_data, typed fields and external
 * files.
 *
 * The elements are checked against the shape before memory is taken for them, so a small file cannot ask for
 * much. Where it is allowed and aligned a tensor points into the file, otherwise into the arena. Threads: one
 * at a time per source. */
#ifndef MD_TENSOR_IMPORT_H
#define MD_TENSOR_IMPORT_H

#include "onnx_wire.h"
#include "tensor.h"

struct md_external_data;

enum { MD_MAX_DENSE_BYTES = 256 * 1024 * 1024 }; /* of all sparse tensors of one file, made dense */

/* Where tensors come from and go to. */
struct md_tensor_source {
    struct md_arena *arena;
    struct md_span bytes;              /* those given to md_wire_unpack */
    bool keep_bytes;                   /* tensors may point into `bytes` */
    struct md_external_data *external; /* NULL: external data is refused */
    size_t dense_bytes;                /* made dense so far */
    size_t constant_bytes;             /* of all tensors so far */
};

/* INVALID_ARGUMENT: shape, type and data do not fit. UNIMPLEMENTED: a datatype or rank this build lacks.
 * NOT_FOUND: no such external file. RESOURCE_EXHAUSTED: memory. Messages name the tensor. */
MD_NODISCARD enum md_code md_tensor_import(struct md_tensor_source *source, const Onnx__TensorProto *proto,
                                           struct md_tensor *out_tensor, struct md_error *error);
MD_NODISCARD enum md_code md_sparse_tensor_import(struct md_tensor_source *source,
                                                  const Onnx__SparseTensorProto *proto,
                                                  struct md_tensor *out_tensor, struct md_error *error);

#endif
