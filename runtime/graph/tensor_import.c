/* tensor_import.c - see tensor_import.h. */
#include "tensor_import.h"

#include "checked.h"
#include "external_data.h"
#include "tensor_data.h"

#include <inttypes.h>
#include <stdint.h>
#include <string.h>

static const char *name_of(const Onnx__TensorProto *proto)
{
    return proto->name != NULL ? proto->name : "";
}

static enum md_code import_shape(const int64_t *dims, size_t rank, enum md_datatype datatype,
                                 struct md_tensor *out_tensor, struct md_error *error)
{
    if (rank > MD_MAX_RANK)
        return md_fail(error, MD_UNIMPLEMENTED, "rank is %zu, limit is %d", rank, MD_MAX_RANK);
    struct md_shape shape = md_shape_of((int32_t)rank, dims);
    for (size_t i = 0; i < rank; i++)
        if (dims[i] < 0)
            return md_fail(error, MD_INVALID_ARGUMENT, "dim %zu is %" PRId64 ", it must be 0 or more", i,
                           dims[i]);
    return md_tensor_describe(datatype, &shape, NULL, out_tensor, error);
}

static enum md_code import_datatype(const Onnx__TensorProto *proto, enum md_datatype *out_datatype,
                                    struct md_error *error)
{
    int32_t number = proto->has_data_type ? proto->data_type : 0;
    if (number == 0)
        return md_fail(error, MD_INVALID_ARGUMENT, "no data_type");
    if (number < 0 || number >= MD_DATATYPE_COUNT)
        return md_fail(error, MD_UNIMPLEMENTED, "data_type is %" PRId32 ", the last one known is %d", number,
                       MD_DATATYPE_COUNT - 1);
    *out_datatype = (enum md_datatype)number;
    return MD_OK;
}

/* ---- plain bytes: raw_data and external data ---- */

static size_t plain_size(const struct md_tensor *tensor)
{
    return md_datatype_is_nibble(tensor->datatype) ? tensor->count / 2 + tensor->count % 2
                                                   : md_tensor_size(tensor);
}

static bool is_clean(const struct md_tensor *tensor, const unsigned char *bytes)
{
    if (tensor->datatype != MD_BOOL)
        return true;
    unsigned char all = 0;
    for (size_t i = 0; i < tensor->count; i++)
        all |= bytes[i];
    return all <= 1;
}

static bool is_aligned(const struct md_tensor *tensor, const void *bytes)
{
    size_t size = md_datatype_size(tensor->datatype);
    size_t alignment = size < _Alignof(max_align_t) ? size : _Alignof(max_align_t);
    return (uintptr_t)bytes % alignment == 0;
}

/* Lets the tensor point to the bytes if it may, else copies them. `bytes` has exactly plain_size bytes. */
static enum md_code adopt(struct md_tensor_source *source, struct md_span bytes, bool may_point,
                          struct md_tensor *tensor, struct md_error *error)
{
    const unsigned char *from = (const unsigned char *)bytes.bytes;
    bool nibbles = md_datatype_is_nibble(tensor->datatype);
    if (tensor->count == 0)
        return MD_OK;
    if (may_point && !nibbles && is_aligned(tensor, from) && is_clean(tensor, from)) {
        tensor->bytes = (void *)(uintptr_t)from; /* constants are never written to */
        return MD_OK;
    }
    size_t size = md_tensor_size(tensor);
    unsigned char *to = md_arena_allocate_alone(source->arena, size);
    if (to == NULL)
        return md_fail_memory(error, "elements");
    tensor->bytes = to;
    if (nibbles)
        md_tensor_data_unpack_nibbles(from, tensor);
    else
        memcpy(to, from, size);
    if (tensor->datatype == MD_BOOL)
        for (size_t i = 0; i < size; i++)
            to[i] = to[i] != 0;
    return MD_OK;
}

static enum md_code check_size(const struct md_tensor *tensor, const char *what, size_t have, size_t needed,
                               const char *unit, struct md_error *error)
{
    if (have == needed)
        return MD_OK;
    char text[MD_SHAPE_TEXT_SIZE];
    return md_fail(error, MD_INVALID_ARGUMENT, "%s has %zu %s, %s of shape %s needs %zu", what, have, unit,
                   md_datatype_name(tensor->datatype), md_shape_text(&tensor->shape, text, sizeof text),
                   needed);
}

/* ---- typed fields ---- */

static enum md_data_field field_of(enum md_datatype datatype)
{
    switch (datatype) {
    case MD_FP32:
    case MD_COMPLEX64:
        return MD_DATA_FLOAT;
    case MD_FP64:
    case MD_COMPLEX128:
        return MD_DATA_DOUBLE;
    case MD_INT64:
        return MD_DATA_INT64;
    case MD_UINT32:
    case MD_UINT64:
        return MD_DATA_UINT64;
    case MD_BYTES:
        return MD_DATA_STRING;
    default:
        return MD_DATA_INT32;
    }
}

/* Entries of the typed field for all elements. */
static size_t entry_count(const struct md_tensor *tensor)
{
    if (tensor->datatype == MD_COMPLEX64 || tensor->datatype == MD_COMPLEX128)
        return tensor->count * 2; /* fits: md_shape_count has multiplied with 8 or 16 */
    return md_datatype_is_nibble(tensor->datatype) ? tensor->count / 2 + tensor->count % 2 : tensor->count;
}

static enum md_code import_typed(struct md_tensor_source *source, const struct md_tensor_data *data,
                                 struct md_tensor *tensor, struct md_error *error)
{
    enum md_data_field wanted = field_of(tensor->datatype);
    if (data->field != MD_DATA_NONE && data->field != wanted)
        return md_fail(error, MD_INVALID_ARGUMENT, "data is in %s, that of %s belongs in %s",
                       md_data_field_name(data->field), md_datatype_name(tensor->datatype),
                       md_data_field_name(wanted));
    MD_TRY(check_size(tensor, md_data_field_name(data->field), data->count, entry_count(tensor), "entries",
                      error));
    if (data->plain.bytes != NULL)
        return adopt(source, data->plain, source->keep_bytes, tensor, error);
    if (tensor->count == 0)
        return MD_OK;
    tensor->bytes =
        md_arena_allocate_zeroed(source->arena, tensor->count, md_datatype_size(tensor->datatype));
    if (tensor->bytes == NULL)
        return md_fail_memory(error, "elements");
    return md_tensor_data_decode(data, tensor, source->arena, error);
}

static enum md_code import_external(struct md_tensor_source *source, const Onnx__TensorProto *proto,
                                    struct md_tensor *tensor, struct md_error *error)
{
    if (tensor->datatype == MD_BYTES)
        return md_fail(error, MD_INVALID_ARGUMENT, "strings cannot be external data");
    struct md_span bytes;
    MD_TRY(md_external_data_find(source->external, proto, plain_size(tensor), &bytes, error));
    MD_TRY(check_size(tensor, "external data", bytes.size, plain_size(tensor), "bytes", error));
    if (tensor->count == 0)
        return MD_OK;
    bool pointed = !md_datatype_is_nibble(tensor->datatype) && tensor->datatype != MD_BOOL &&
                   is_aligned(tensor, bytes.bytes);
    if (!pointed)
        MD_TRY(md_external_data_count_copy(source->external, bytes.size, error));
    return adopt(source, bytes, true, tensor, error);
}

static enum md_code import_tensor(struct md_tensor_source *source, const Onnx__TensorProto *proto,
                                  struct md_tensor *out_tensor, struct md_error *error)
{
    enum md_datatype datatype;
    struct md_tensor tensor;
    MD_TRY(import_datatype(proto, &datatype, error));
    MD_TRY(import_shape(proto->dims, proto->n_dims, datatype, &tensor, error));
    if (proto->has_data_location && proto->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL) {
        MD_TRY(import_external(source, proto, &tensor, error));
        *out_tensor = tensor;
        return MD_OK;
    }
    struct md_tensor_data data;
    MD_TRY(md_tensor_data_survey(md_wire_tensor(source->bytes, proto), &data, error));
    if (data.field == MD_DATA_RAW) {
        if (datatype == MD_BYTES)
            return md_fail(error, MD_INVALID_ARGUMENT, "strings cannot be in raw_data");
        MD_TRY(check_size(&tensor, "raw_data", data.count, plain_size(&tensor), "bytes", error));
        MD_TRY(adopt(source, data.plain, source->keep_bytes, &tensor, error));
    } else {
        MD_TRY(import_typed(source, &data, &tensor, error));
    }
    *out_tensor = tensor;
    return MD_OK;
}

enum md_code md_tensor_import(struct md_tensor_source *source, const Onnx__TensorProto *proto,
                              struct md_tensor *out_tensor, struct md_error *error)
{
    enum md_code code = import_tensor(source, proto, out_tensor, error);
    if (code != MD_OK)
        return md_fail_prefix(error, code, "tensor \"%s\"", name_of(proto));
    source->constant_bytes += md_tensor_size(out_tensor);
    return MD_OK;
}
