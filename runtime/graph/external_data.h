/* external_data.h - files beside the model that hold its tensors.
 *
 * A location is a plain relative path below the model's directory: absolute paths, "..", and symbolic links
 * that lead out of the directory are refused. Every file is mapped once and stays mapped as long as the
 * model. */
#ifndef MD_EXTERNAL_DATA_H
#define MD_EXTERNAL_DATA_H

#include "graph.h"
#include "name_map.h"
#include "onnx_wire.h"

struct md_external_data {
    struct md_model *model; /* gets the mappings */
    struct md_arena *scratch;
    const char *directory;    /* NULL: external data is refused */
    struct md_name_map files; /* location to index of the mapping */
    size_t mapping_capacity;
    size_t mapped_bytes;
    size_t copied_bytes;
};

/* The bytes that `tensor` refers to: `needed` of them unless the tensor says otherwise. `external` may be
 * NULL. INVALID_ARGUMENT: bad location, or offset and length that the file does not have. NOT_FOUND: no such
 * file. */
MD_NODISCARD enum md_code md_external_data_find(struct md_external_data *external,
                                                const Onnx__TensorProto *tensor, size_t needed,
                                                struct md_span *out_bytes, struct md_error *error);
/* Tensors that overlap in the file must not multiply it in memory: counts bytes that are copied.
 * INVALID_ARGUMENT: more than four times the files. */
MD_NODISCARD enum md_code md_external_data_count_copy(struct md_external_data *external, size_t size,
                                                      struct md_error *error);
/* Makes room for one more entry of model->mappings, so that adding it cannot fail. */
MD_NODISCARD enum md_code md_model_reserve_mapping(struct md_model *model, size_t *capacity,
                                                   struct md_error *error);

#endif
