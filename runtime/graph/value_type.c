/* value_type.c - TypeProto, what a file says about a value; see importer.h. */
#include "importer.h"

#include <string.h>

static enum md_code import_dim(struct md_arena *arena, const Onnx__TensorShapeProto__Dimension *dim,
                               size_t index, size_t rank, struct md_value_type *type, struct md_error *error)
{
    type->shape.dims[index] = -1;
    if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && dim->dim_value >= 0)
        type->shape.dims[index] = dim->dim_value; /* exporters write -1 for what they do not know */
    if (dim->value_case != ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM || dim->dim_param[0] == '\0')
        return MD_OK;
    if (type->dim_names == NULL)
        type->dim_names = md_arena_allocate_zeroed(arena, rank, sizeof *type->dim_names);
    if (type->dim_names == NULL)
        return md_fail_memory(error, "dim names");
    type->dim_names[index] = md_arena_copy_string(arena, dim->dim_param, strlen(dim->dim_param));
    return type->dim_names[index] != NULL ? MD_OK : md_fail_memory(error, "dim names");
}

static enum md_code import_tensor_type(struct md_arena *arena, const Onnx__TypeProto__Tensor *proto,
                                       struct md_value_type *type, struct md_error *error)
{
    int32_t number = proto->has_elem_type ? proto->elem_type : 0;
    if (number < 0 || number >= MD_DATATYPE_COUNT)
        return MD_OK; /* of an unknown kind: who needs the value will say so */
    type->kind = MD_TYPE_TENSOR;
    type->datatype = (enum md_datatype)number;
    if (proto->shape == NULL)
        return MD_OK;
    size_t rank = proto->shape->n_dim;
    if (rank > MD_MAX_RANK)
        return md_fail(error, MD_UNIMPLEMENTED, "rank is %zu, limit is %d", rank, MD_MAX_RANK);
    type->has_shape = true;
    type->shape.rank = (int32_t)rank;
    for (size_t i = 0; i < rank; i++)
        MD_TRY(import_dim(arena, proto->shape->dim[i], i, rank, type, error));
    return MD_OK;
}

/* The elements' type of a sequence. Only tensors can be elements; a sequence of others stays unknown. */
static void import_sequence_type(const Onnx__TypeProto__Sequence *proto, struct md_value_type *type)
{
    const Onnx__TypeProto *element = proto->elem_type;
    if (element == NULL || element->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
        return;
    const Onnx__TypeProto__Tensor *tensor = element->tensor_type;
    int32_t number = tensor->has_elem_type ? tensor->elem_type : 0;
    if (number < 0 || number >= MD_DATATYPE_COUNT)
        return;
    type->kind = MD_TYPE_SEQUENCE;
    type->datatype = (enum md_datatype)number;
}

enum md_code md_value_type_import(struct md_arena *arena, const Onnx__TypeProto *proto,
                                  struct md_value_type *out_type, struct md_error *error)
{
    struct md_value_type type = { 0 };
    if (proto != NULL && proto->value_case == ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE) {
        type.optional = true;
        proto = proto->optional_type->elem_type;
    }
    if (proto != NULL && proto->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
        MD_TRY(import_tensor_type(arena, proto->tensor_type, &type, error));
    else if (proto != NULL && proto->value_case == ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE)
        import_sequence_type(proto->sequence_type, &type);
    *out_type = type;
    return MD_OK;
}
