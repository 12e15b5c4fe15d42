/* sparse_tensor.c - SparseTensorProto made dense: values at indices, zero elsewhere. See tensor_import.h. */
#include "checked.h"
#include "tensor_import.h"

#include <inttypes.h>
#include <string.h>

static enum md_code describe_dense(struct md_tensor_source *source, const Onnx__SparseTensorProto *proto,
                                   enum md_datatype datatype, struct md_tensor *out_dense,
                                   struct md_error *error)
{
    if (proto->n_dims > MD_MAX_RANK)
        return md_fail(error, MD_UNIMPLEMENTED, "rank is %zu, limit is %d", proto->n_dims, MD_MAX_RANK);
    struct md_shape shape = md_shape_of((int32_t)proto->n_dims, proto->dims);
    MD_TRY(md_tensor_describe(datatype, &shape, NULL, out_dense, error));
    size_t size = md_tensor_size(out_dense);
    if (size > MD_MAX_DENSE_BYTES - source->dense_bytes)
        return md_fail(error, MD_UNIMPLEMENTED, "dense form has %zu bytes after %zu of others, limit is %d",
                       size, source->dense_bytes, MD_MAX_DENSE_BYTES);
    source->dense_bytes += size;
    out_dense->bytes = md_arena_allocate_zeroed(source->arena, out_dense->count, md_datatype_size(datatype));
    return out_dense->bytes != NULL ? MD_OK : md_fail_memory(error, "dense form");
}

/* Indices are [count], linear, or [count, rank], one coordinate per dim. */
static enum md_code check_indices(const struct md_tensor *values, const struct md_tensor *indices,
                                  int32_t rank, struct md_error *error)
{
    char text[MD_SHAPE_TEXT_SIZE];
    const struct md_shape *shape = &indices->shape;
    bool linear = shape->rank == 1;
    bool coordinates = shape->rank == 2 && shape->dims[1] == rank;
    if (indices->datatype != MD_INT64)
        return md_fail(error, MD_INVALID_ARGUMENT, "indices are %s, they must be INT64",
                       md_datatype_name(indices->datatype));
    if (values->shape.rank == 1 && (linear || coordinates) && (size_t)shape->dims[0] == values->count)
        return MD_OK;
    return md_fail(error, MD_INVALID_ARGUMENT,
                   "indices have shape %s, %zu values of rank %" PRId32 " need [%zu] or [%zu,%" PRId32 "]",
                   md_shape_text(shape, text, sizeof text), values->count, rank, values->count, values->count,
                   rank);
}

/* Linear place of value `nth`; false: outside. */
static bool place_of(const struct md_tensor *indices, const struct md_tensor *dense, size_t nth,
                     size_t *out_place)
{
    const int64_t *entries = md_elements(const int64_t, indices);
    if (indices->shape.rank == 1) {
        *out_place = (size_t)entries[nth];
        return entries[nth] >= 0 && (size_t)entries[nth] < dense->count;
    }
    size_t place = 0;
    for (int32_t i = 0; i < dense->shape.rank; i++) {
        int64_t at = entries[nth * (size_t)dense->shape.rank + (size_t)i];
        if (at < 0 || at >= dense->shape.dims[i])
            return false;
        place = place * (size_t)dense->shape.dims[i] + (size_t)at;
    }
    *out_place = place;
    return place < dense->count;
}

static enum md_code import_sparse(struct md_tensor_source *source, const Onnx__SparseTensorProto *proto,
                                  struct md_tensor *out_tensor, struct md_error *error)
{
    struct md_tensor values, indices, dense;
    if (proto->values == NULL || proto->indices == NULL)
        return md_fail(error, MD_INVALID_ARGUMENT, "no %s", proto->values == NULL ? "values" : "indices");
    MD_TRY(md_tensor_import(source, proto->values, &values, error));
    MD_TRY(md_tensor_import(source, proto->indices, &indices, error));
    MD_TRY(describe_dense(source, proto, values.datatype, &dense, error));
    MD_TRY(check_indices(&values, &indices, dense.shape.rank, error));
    size_t size = md_datatype_size(dense.datatype);
    for (size_t nth = 0; nth < values.count; nth++) {
        size_t place;
        if (!place_of(&indices, &dense, nth, &place))
            return md_fail(error, MD_INVALID_ARGUMENT, "index of value %zu lies outside the tensor", nth);
        memcpy((char *)dense.bytes + place * size, (const char *)values.bytes + nth * size, size);
    }
    *out_tensor = dense;
    return MD_OK;
}

enum md_code md_sparse_tensor_import(struct md_tensor_source *source, const Onnx__SparseTensorProto *proto,
                                     struct md_tensor *out_tensor, struct md_error *error)
{
    enum md_code code = import_sparse(source, proto, out_tensor, error);
    const char *name = proto->values != NULL && proto->values->name != NULL ? proto->values->name : "";
    return code == MD_OK ? MD_OK : md_fail_prefix(error, code, "sparse tensor \"%s\"", name);
}
