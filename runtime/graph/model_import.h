/* model_import.h - ONNX files and bytes into a model.
 *
 * Parsing is protobuf-c from proto/onnx/onnx.proto behind a scan that bounds nesting and lifts tensor bytes out
 * of the way, so that weights are not copied: constants point into the mapped file where alignment allows.
 * Checked here: structure, names, types of attributes, sizes of initializers, cycles, external data; operators
 * are checked by the session, which knows the tables. Every error names the node or tensor.
 * Model-local functions are inlined; Constant nodes become constants; nodes come out topologically sorted. */
#ifndef MD_MODEL_IMPORT_H
#define MD_MODEL_IMPORT_H

#include "graph.h"

/* Limits against hostile files; each is named in the message when it is exceeded. */
enum {
    MD_MAX_NESTING = 32,          /* of messages inside messages, subgraphs inside subgraphs, functions in functions */
    MD_MAX_NODES = 1000000,       /* of the whole model after inlining */
    MD_MAX_VALUES = 4000000
};

/* `bytes` is borrowed until the model is destroyed if keep_bytes is true (a mapping, a static array), else for the
 * call only. `directory` is where external data may lie; NULL: external data is refused.
 * OK: *out_model is owned by the caller, who releases it with md_model_destroy.
 * INVALID_ARGUMENT: not a valid model. UNIMPLEMENTED: a feature this build lacks, named.
 * NOT_FOUND: an external data file is missing. RESOURCE_EXHAUSTED: memory. */
MD_NODISCARD enum md_code md_model_import(const struct md_allocator *allocator, const void *bytes, size_t size,
                                          bool keep_bytes, const char *directory, struct md_model **out_model,
                                          struct md_error *error);
/* Maps the file, then as above with the file's own directory; the mapping belongs to the model. */
MD_NODISCARD enum md_code md_model_open(const struct md_allocator *allocator, const char *path,
                                        struct md_model **out_model, struct md_error *error);

/* One serialized TensorProto, SequenceProto or OptionalProto (the .pb files of conformance cases) as a value, by
 * the type that the model states. Memory is the arena's; `bytes` is borrowed for the call only. */
MD_NODISCARD enum md_code md_value_import(struct md_arena *arena, const void *bytes, size_t size,
                                          const struct md_value_type *type, struct md_value *out_value,
                                          struct md_error *error);

#endif
