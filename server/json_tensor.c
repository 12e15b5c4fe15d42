/* json_tensor.c - see json_tensor.h. */
#include "json_tensor.h"

#include "text.h"
#include "utf8.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_SIZE = 4 }; /* of a BYTES element's prefix */

/* ---- in ---- */

struct reader {
    enum md_datatype datatype;
    const struct md_shape *shape;
    size_t count; /* of elements that the shape takes */
    size_t index; /* of the next element */
    uint8_t *bytes;
    size_t size;     /* BYTES: written so far */
    size_t capacity; /* BYTES */
};

static const struct {
    enum md_datatype datatype;
    int64_t least, most;
} whole_limits[] = {
    { MD_INT8, INT8_MIN, INT8_MAX },   { MD_INT16, INT16_MIN, INT16_MAX }, { MD_INT32, INT32_MIN, INT32_MAX },
    { MD_INT64, INT64_MIN, INT64_MAX }, { MD_UINT8, 0, UINT8_MAX },         { MD_UINT16, 0, UINT16_MAX },
    { MD_UINT32, 0, UINT32_MAX },      { MD_UINT64, 0, INT64_MAX },        { MD_BOOL, 0, 1 },
};

static enum md_code wrong_kind(const struct reader *reader, const json_t *element, struct md_error *error)
{
    static const char *const kinds[] = { "an object", "an array", "a string", "a whole number",
                                         "a fraction", "true",    "false",    "null" };
    return md_fail(error, MD_INVALID_ARGUMENT, "element %zu is %s, which is no %s", reader->index,
                   kinds[json_typeof(element)], md_datatype_name(reader->datatype));
}

static enum md_code read_whole(struct reader *reader, const json_t *element, struct md_error *error)
{
    size_t width = md_datatype_size(reader->datatype), row = 0;
    bool is_bool = reader->datatype == MD_BOOL && json_is_boolean(element);
    if (!json_is_integer(element) && !is_bool)
        return wrong_kind(reader, element, error);
    int64_t value = is_bool ? json_is_true(element) : json_integer_value(element);
    while (whole_limits[row].datatype != reader->datatype)
        row++;
    if (value < whole_limits[row].least || value > whole_limits[row].most)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "element %zu is %" PRId64 ", limits of %s are %" PRId64 " to %" PRId64,
                       reader->index, value, md_datatype_name(reader->datatype), whole_limits[row].least,
                       whole_limits[row].most);
    memcpy(reader->bytes + reader->index * width, &value, width); /* little-endian, as the host */
    return MD_OK;
}

/* The largest number, and the first above it that rounds to infinity: the nine digits of the largest FP32 are a
 * little more than it is. */
static const struct {
    enum md_datatype datatype;
    double most, above;
} float_limits[] = { { MD_FP16, 65504, 65520 },
                     { MD_BF16, 0x1.fep127, 0x1.ffp127 },
                     { MD_FP32, 0x1.fffffep127, 0x1.ffffffp127 },
                     { MD_FP64, DBL_MAX, HUGE_VAL } };

static enum md_code read_float(struct reader *reader, const json_t *element, struct md_error *error)
{
    size_t row = 0;
    if (!json_is_number(element))
        return wrong_kind(reader, element, error);
    double value = json_number_value(element);
    while (float_limits[row].datatype != reader->datatype)
        row++;
    if (!(fabs(value) < float_limits[row].above))
        return md_fail(error, MD_INVALID_ARGUMENT, "element %zu is %.9g, limits of %s are %.9g and %.9g", reader->index,
                       value, md_datatype_name(reader->datatype), -float_limits[row].most, float_limits[row].most);
    struct md_tensor tensor = { .datatype = reader->datatype, .count = reader->count, .bytes = reader->bytes };
    md_tensor_set_double(&tensor, reader->index, value);
    return MD_OK;
}

static enum md_code read_string(struct reader *reader, const json_t *element, struct md_error *error)
{
    if (!json_is_string(element))
        return wrong_kind(reader, element, error);
    uint32_t length = (uint32_t)json_string_length(element);
    /* The room was counted from the same elements. */
    memcpy(reader->bytes + reader->size, &length, LENGTH_SIZE);
    memcpy(reader->bytes + reader->size + LENGTH_SIZE, json_string_value(element), length);
    reader->size += LENGTH_SIZE + length;
    return MD_OK;
}

static enum md_code read_element(struct reader *reader, const json_t *element, struct md_error *error)
{
    enum md_code code = reader->datatype == MD_BYTES                              ? read_string(reader, element, error)
                        : md_datatype_in(reader->datatype, MD_TYPES_FLOAT) ? read_float(reader, element, error)
                                                                           : read_whole(reader, element, error);
    reader->index++;
    return code;
}

/* `axis`: which dimension this array is; -1: all of them, the array is flat. */
static enum md_code read_array(struct reader *reader, const json_t *data, int32_t axis, struct md_error *error)
{
    char text[MD_SHAPE_TEXT_SIZE];
    size_t wanted = axis < 0 ? reader->count : (size_t)reader->shape->dims[axis];
    if (!json_is_array(data))
        return md_fail(error, MD_INVALID_ARGUMENT, "data is nested %d deep, shape %s has %d dimensions", axis,
                       md_shape_text(reader->shape, text, sizeof text), reader->shape->rank);
    if (json_array_size(data) != wanted)
        return md_fail(error, MD_INVALID_ARGUMENT, "%zu elements in data%s, shape %s takes %zu", json_array_size(data),
                       axis < 0 ? "" : " at one level", md_shape_text(reader->shape, text, sizeof text), wanted);
    bool is_last = axis < 0 || axis == reader->shape->rank - 1;
    for (size_t i = 0; i < wanted; i++) {
        const json_t *item = json_array_get(data, i);
        MD_TRY(is_last ? read_element(reader, item, error) : read_array(reader, item, axis + 1, error));
    }
    return MD_OK;
}

/* Bytes that the strings in `data` take, whatever its nesting. */
static size_t string_room(const json_t *data, int depth)
{
    size_t room = 0;
    if (json_is_string(data))
        return LENGTH_SIZE + json_string_length(data);
    if (depth < MD_MAX_RANK)
        for (size_t i = 0; i < json_array_size(data); i++)
            room += string_room(json_array_get(data, i), depth + 1);
    return room;
}

enum md_code md_json_tensor_to_raw(struct md_arena *arena, enum md_datatype datatype, const struct md_shape *shape,
                                   const json_t *data, uint8_t **out_bytes, size_t *out_size, struct md_error *error)
{
    struct reader reader = { .datatype = datatype, .shape = shape };
    bool is_nested = shape->rank > 1 && json_is_array(json_array_get(data, 0));
    char text[MD_SHAPE_TEXT_SIZE];
    if (!json_is_array(data))
        return md_fail(error, MD_INVALID_ARGUMENT, "data is no array");
    if (!md_shape_count(shape, datatype, &reader.count))
        return md_fail(error, MD_INVALID_ARGUMENT, "shape %s is too large", md_shape_text(shape, text, sizeof text));
    /* Against the body before memory is asked for: a shape costs the client nothing. */
    if (!is_nested && json_array_size(data) != reader.count)
        return read_array(&reader, data, -1, error);
    size_t first = is_nested ? (size_t)shape->dims[0] : reader.count;
    if (json_array_size(data) != first)
        return read_array(&reader, data, 0, error);
    size_t size = datatype == MD_BYTES ? string_room(data, 0) : reader.count * md_datatype_size(datatype);
    reader.bytes = md_arena_allocate_zeroed(arena, size + 1, 1);
    if (reader.bytes == NULL)
        return md_fail_memory(error, "tensor");
    MD_TRY(read_array(&reader, data, is_nested ? 0 : -1, error));
    *out_bytes = reader.bytes;
    *out_size = size;
    return MD_OK;
}

/* ---- out ---- */

/* The shortest of the usual two forms that reads back the same. */
static enum md_code write_float(struct md_text *text, enum md_datatype datatype, double value, size_t index,
                                struct md_error *error)
{
    char buffer[40];
    bool is_double = datatype == MD_FP64;
    if (!isfinite(value))
        return md_fail(error, MD_INVALID_ARGUMENT, "element %zu is %s, JSON has no such number; ask for binary_data",
                       index, isnan(value) ? "NaN" : "infinite");
    int size = snprintf(buffer, sizeof buffer, is_double ? "%.15g" : "%.6g", value);
    bool is_exact = is_double ? strtod(buffer, NULL) == value : strtof(buffer, NULL) == (float)value;
    if (!is_exact)
        size = snprintf(buffer, sizeof buffer, is_double ? "%.17g" : "%.9g", value);
    md_text_add(text, buffer, (size_t)size);
    return MD_OK;
}

static enum md_code write_strings(struct md_text *text, const uint8_t *bytes, size_t size, struct md_error *error)
{
    size_t at = 0;
    for (size_t index = 0; at + LENGTH_SIZE <= size; index++) {
        uint32_t length;
        memcpy(&length, bytes + at, LENGTH_SIZE);
        at += LENGTH_SIZE;
        if (length > size - at)
            return md_fail(error, MD_INTERNAL, "element %zu has %" PRIu32 " bytes, %zu are left", index, length,
                           size - at);
        if (md_utf8_valid_prefix((const char *)bytes + at, length) != length)
            return md_fail(error, MD_INVALID_ARGUMENT,
                           "element %zu is not UTF-8, as JSON needs it; ask for binary_data", index);
        md_text_put(text, index > 0 ? "," : "");
        md_text_json(text, (const char *)bytes + at, length);
        at += length;
    }
    return MD_OK;
}

enum md_code md_json_tensor_write(struct md_text *text, enum md_datatype datatype, const uint8_t *bytes, size_t size,
                                  struct md_error *error)
{
    md_text_put(text, "[");
    if (datatype == MD_BYTES)
        MD_TRY(write_strings(text, bytes, size, error));
    size_t count = datatype == MD_BYTES ? 0 : size / md_datatype_size(datatype);
    const struct md_tensor tensor = { .datatype = datatype, .count = count, .bytes = (void *)(uintptr_t)bytes };
    for (size_t i = 0; i < count; i++) {
        md_text_put(text, i > 0 ? "," : "");
        if (md_datatype_in(datatype, MD_TYPES_FLOAT))
            MD_TRY(write_float(text, datatype, md_tensor_double(&tensor, i), i, error));
        else if (datatype == MD_BOOL)
            md_text_put(text, bytes[i] != 0 ? "true" : "false");
        else if (datatype == MD_UINT64)
            md_text_print(text, "%" PRIu64, (uint64_t)md_tensor_int(&tensor, i));
        else
            md_text_print(text, "%" PRId64, md_tensor_int(&tensor, i));
    }
    md_text_put(text, "]");
    return MD_OK;
}
