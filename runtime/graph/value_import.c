/* value_import.c - the .pb files of conformance cases: TensorProto, SequenceProto, OptionalProto as values.
 * See model_import.h. */
#include "model_import.h"

#include "tensor_import.h"

#include <string.h>

static enum md_code import_tensor_value(struct md_tensor_source *source, const Onnx__TensorProto *proto,
                                        struct md_value *out_value, struct md_error *error)
{
    struct md_value value = { .kind = MD_VALUE_TENSOR };
    MD_TRY(md_tensor_import(source, proto, &value.tensor, error));
    *out_value = value;
    return MD_OK;
}

/* One reference is the arena's and never given back, so that md_value_clear leaves the memory alone. */
static struct md_sequence *allocate_sequence(struct md_arena *arena, size_t count, enum md_datatype datatype)
{
    struct md_sequence *sequence = NULL;
    if (count <= (SIZE_MAX - sizeof *sequence) / sizeof sequence->items[0])
        sequence = md_arena_allocate_zeroed(arena, 1, sizeof *sequence + count * sizeof sequence->items[0]);
    if (sequence == NULL)
        return NULL;
    sequence->references = 2;
    sequence->datatype = datatype;
    sequence->count = count;
    sequence->allocator = arena->allocator;
    return sequence;
}

static enum md_code import_sequence_value(struct md_tensor_source *source, const Onnx__SequenceProto *proto,
                                          const struct md_value_type *type, struct md_value *out_value,
                                          struct md_error *error)
{
    if (proto->n_sparse_tensor_values + proto->n_sequence_values + proto->n_optional_values > 0)
        return md_fail(error, MD_UNIMPLEMENTED, "sequence \"%s\" has elements that are not tensors",
                       proto->name != NULL ? proto->name : "");
    struct md_sequence *sequence = allocate_sequence(source->arena, proto->n_tensor_values, type->datatype);
    if (sequence == NULL)
        return md_fail_memory(error, "sequence");
    for (size_t i = 0; i < sequence->count; i++)
        MD_TRY(import_tensor_value(source, proto->tensor_values[i], &sequence->items[i], error));
    if (sequence->count > 0)
        sequence->datatype = sequence->items[0].tensor.datatype;
    *out_value = (struct md_value){ .kind = MD_VALUE_SEQUENCE, .sequence = sequence };
    return MD_OK;
}

static enum md_code import_optional_value(struct md_tensor_source *source, const Onnx__OptionalProto *proto,
                                          const struct md_value_type *type, struct md_value *out_value,
                                          struct md_error *error)
{
    if (proto->tensor_value != NULL)
        return import_tensor_value(source, proto->tensor_value, out_value, error);
    if (proto->sequence_value != NULL)
        return import_sequence_value(source, proto->sequence_value, type, out_value, error);
    if (proto->sparse_tensor_value != NULL || proto->optional_value != NULL)
        return md_fail(error, MD_UNIMPLEMENTED, "optional \"%s\" holds neither a tensor nor a sequence",
                       proto->name != NULL ? proto->name : "");
    *out_value = (struct md_value){ .kind = MD_VALUE_NONE };
    return MD_OK;
}

static const ProtobufCMessageDescriptor *descriptor_of(const struct md_value_type *type)
{
    if (type->optional)
        return &onnx__optional_proto__descriptor;
    return type->kind == MD_TYPE_SEQUENCE ? &onnx__sequence_proto__descriptor
                                          : &onnx__tensor_proto__descriptor;
}

enum md_code md_value_import(struct md_arena *arena, const void *bytes, size_t size,
                             const struct md_value_type *type, struct md_value *out_value,
                             struct md_error *error)
{
    struct md_arena scratch;
    struct md_tensor_source source = { .arena = arena, .bytes = { bytes, size } };
    const ProtobufCMessageDescriptor *descriptor = descriptor_of(type);
    ProtobufCMessage *message = NULL;
    md_arena_init(&scratch, arena->allocator, 0);
    enum md_code code = md_wire_unpack(descriptor, source.bytes, &scratch, &message, error);
    if (code == MD_OK && descriptor == &onnx__tensor_proto__descriptor)
        code = import_tensor_value(&source, (const Onnx__TensorProto *)message, out_value, error);
    else if (code == MD_OK && descriptor == &onnx__sequence_proto__descriptor)
        code = import_sequence_value(&source, (const Onnx__SequenceProto *)message, type, out_value, error);
    else if (code == MD_OK)
        code = import_optional_value(&source, (const Onnx__OptionalProto *)message, type, out_value, error);
    md_arena_cleanup(&scratch);
    return code;
}
