/* wire_tensor.c - see wire_tensor.h. */
#include "wire_tensor.h"

#include "checked.h"

#include <inttypes.h>
#include <string.h>

enum { LENGTH_SIZE = 4 }; /* of a BYTES element's prefix */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "raw tensors are little-endian");

enum md_code md_wire_datatype(const char *name, enum md_datatype *out_datatype, struct md_error *error)
{
    enum md_datatype datatype = md_datatype_from_name(name, strlen(name));
    if (datatype == MD_DATATYPE_NONE || !md_datatype_in(datatype, MD_WIRE_TYPES))
        return md_fail(
            error, MD_INVALID_ARGUMENT,
            "unknown datatype \"%.40s\"; known are BOOL, UINT8 to UINT64, INT8 to INT64, FP16, FP32, FP64, "
            "BF16, BYTES",
            name);
    *out_datatype = datatype;
    return MD_OK;
}

enum md_code md_wire_shape(enum md_datatype datatype, const int64_t *dims, size_t rank,
                           struct md_shape *out_shape, struct md_error *error)
{
    if (rank > MD_MAX_RANK)
        return md_fail(error, MD_INVALID_ARGUMENT, "shape has %zu dimensions, limit is %d", rank,
                       MD_MAX_RANK);
    struct md_shape shape = md_shape_of((int32_t)rank, dims);
    char text[MD_SHAPE_TEXT_SIZE];
    for (size_t i = 0; i < rank; i++)
        if (dims[i] < 0)
            return md_fail(error, MD_INVALID_ARGUMENT,
                           "shape %s: dimension %zu is %" PRId64 ", the least is 0",
                           md_shape_text(&shape, text, sizeof text), i, dims[i]);
    size_t count;
    if (!md_shape_count(&shape, datatype, &count))
        return md_fail(error, MD_INVALID_ARGUMENT, "shape %s of %s has more bytes than the limit %td",
                       md_shape_text(&shape, text, sizeof text), md_datatype_name(datatype), PTRDIFF_MAX);
    *out_shape = shape;
    return MD_OK;
}

static enum md_code check_bools(const uint8_t *bytes, size_t size, struct md_error *error)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] > 1)
            return md_fail(error, MD_INVALID_ARGUMENT, "element %zu is %d, a BOOL is 0 or 1", i, bytes[i]);
    return MD_OK;
}

/* Checks the prefixes against what remains before anything is allocated by their number. */
static enum md_code bytes_from_raw(struct md_arena *arena, const uint8_t *bytes, size_t size,
                                   struct md_tensor *tensor, struct md_error *error)
{
    size_t count = tensor->count, at = 0;
    if (count > size / LENGTH_SIZE)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "%zu raw bytes cannot hold %zu BYTES elements, %zu is the least", size, count,
                       count * LENGTH_SIZE);
    struct md_span *spans = md_arena_allocate(arena, (count + 1) * sizeof *spans);
    if (spans == NULL)
        return md_fail_memory(error, "BYTES elements");
    for (size_t i = 0; i < count; i++) {
        uint32_t length;
        if (size - at < LENGTH_SIZE)
            return md_fail(error, MD_INVALID_ARGUMENT,
                           "raw bytes end at %zu, inside the length of BYTES element %zu of %zu", size, i,
                           count);
        memcpy(&length, bytes + at, sizeof length);
        at += LENGTH_SIZE;
        if (length > size - at)
            return md_fail(error, MD_INVALID_ARGUMENT,
                           "BYTES element %zu has length %" PRIu32 ", but %zu raw bytes remain", i, length,
                           size - at);
        spans[i] = (struct md_span){ (const char *)bytes + at, length };
        at += length;
    }
    if (at != size)
        return md_fail(error, MD_INVALID_ARGUMENT, "%zu raw bytes, but %zu BYTES elements take %zu", size,
                       count, at);
    tensor->bytes = spans;
    return MD_OK;
}

/* The bytes as the tensor's own if their address allows it. A tensor's bytes are void *, but nobody writes
 * inputs. */
static enum md_code adopt(struct md_arena *arena, const uint8_t *bytes, size_t size, struct md_tensor *tensor,
                          struct md_error *error)
{
    if (size == 0 || (uintptr_t)bytes % md_datatype_size(tensor->datatype) == 0) {
        tensor->bytes = (void *)(uintptr_t)bytes;
        return MD_OK;
    }
    tensor->bytes = md_arena_allocate(arena, size);
    if (tensor->bytes == NULL)
        return md_fail_memory(error, "tensor");
    memcpy(tensor->bytes, bytes, size);
    return MD_OK;
}

enum md_code md_wire_tensor_from_raw(struct md_arena *arena, enum md_datatype datatype,
                                     const struct md_shape *shape, const uint8_t *bytes, size_t size,
                                     struct md_tensor *out_tensor, struct md_error *error)
{
    struct md_tensor tensor;
    char text[MD_SHAPE_TEXT_SIZE];
    MD_TRY(md_tensor_describe(datatype, shape, NULL, &tensor, error));
    if (datatype == MD_BYTES) {
        MD_TRY(bytes_from_raw(arena, bytes, size, &tensor, error));
    } else {
        if (size != md_tensor_size(&tensor))
            return md_fail(error, MD_INVALID_ARGUMENT, "%zu raw bytes, but shape %s of %s takes %zu", size,
                           md_shape_text(shape, text, sizeof text), md_datatype_name(datatype),
                           md_tensor_size(&tensor));
        if (datatype == MD_BOOL)
            MD_TRY(check_bools(bytes, size, error));
        MD_TRY(adopt(arena, bytes, size, &tensor, error));
    }
    *out_tensor = tensor;
    return MD_OK;
}

static enum md_code bytes_to_raw(struct md_arena *arena, const struct md_tensor *tensor, uint8_t **out_bytes,
                                 size_t *out_size, struct md_error *error)
{
    const struct md_span *spans = md_elements(const struct md_span, tensor);
    size_t size = 0;
    for (size_t i = 0; i < tensor->count; i++) {
        if (spans[i].size > UINT32_MAX)
            return md_fail(error, MD_RESOURCE_EXHAUSTED, "BYTES element %zu has %zu bytes, limit is %" PRIu32,
                           i, spans[i].size, UINT32_MAX);
        if (!md_checked_add(size, LENGTH_SIZE + spans[i].size, &size))
            return md_fail_memory(error, "BYTES elements");
    }
    uint8_t *bytes = md_arena_allocate(arena, size), *at = bytes;
    if (bytes == NULL)
        return md_fail_memory(error, "BYTES elements");
    for (size_t i = 0; i < tensor->count; i++) {
        uint32_t length = (uint32_t)spans[i].size;
        memcpy(at, &length, sizeof length);
        if (length > 0)
            memcpy(at + LENGTH_SIZE, spans[i].bytes, length);
        at += LENGTH_SIZE + length;
    }
    *out_bytes = bytes;
    *out_size = size;
    return MD_OK;
}

enum md_code md_wire_tensor_to_raw(struct md_arena *arena, const struct md_tensor *tensor,
                                   uint8_t **out_bytes, size_t *out_size, struct md_error *error)
{
    if (!md_datatype_in(tensor->datatype, MD_WIRE_TYPES))
        return md_fail(error, MD_UNIMPLEMENTED, "datatype %s has no name on the wire",
                       md_datatype_name(tensor->datatype));
    if (tensor->datatype == MD_BYTES)
        return bytes_to_raw(arena, tensor, out_bytes, out_size, error);
    size_t size = md_tensor_size(tensor);
    uint8_t *bytes = md_arena_allocate(arena, size);
    if (bytes == NULL)
        return md_fail_memory(error, "answer");
    if (size > 0)
        memcpy(bytes, tensor->bytes, size);
    *out_bytes = bytes;
    *out_size = size;
    return MD_OK;
}
