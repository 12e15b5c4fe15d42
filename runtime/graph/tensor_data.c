/* tensor_data.c - see tensor_data.h. */
#include "tensor_data.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "ONNX stores little-endian bytes and we read them as they are");

const char *md_data_field_name(enum md_data_field field)
{
    static const char *const names[] = {
        "no data field", "",           "", "",         "float_data",  "int32_data",
        "string_data",   "int64_data", "", "raw_data", "double_data", "uint64_data"
    };
    return names[field];
}

static bool is_data_field(uint32_t number)
{
    return (number >= MD_DATA_FLOAT && number <= MD_DATA_INT64) ||
           (number >= MD_DATA_RAW && number <= MD_DATA_UINT64);
}

/* Entry size of the fields whose entries are all equally long; 0: varints. */
static size_t fixed_size(enum md_data_field field)
{
    return field == MD_DATA_FLOAT ? 4 : field == MD_DATA_DOUBLE ? 8 : 0;
}

static size_t count_varints(const unsigned char *bytes, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++)
        count += (bytes[i] & 0x80) == 0;
    return count;
}

/* Entries in one occurrence of the field; false: it is malformed. */
static bool count_entries(enum md_data_field field, const struct md_wire_field *wire, size_t *out_count)
{
    *out_count = 1;
    if (field == MD_DATA_STRING || field == MD_DATA_RAW) {
        if (field == MD_DATA_RAW)
            *out_count = wire->size;
        return wire->type == MD_WIRE_LENGTH;
    }
    size_t size = fixed_size(field);
    if (wire->type != MD_WIRE_LENGTH)
        return wire->type == (size == 4 ? MD_WIRE_FIXED32 : size == 8 ? MD_WIRE_FIXED64 : MD_WIRE_VARINT);
    if (size > 0) {
        *out_count = wire->size / size;
        return wire->size % size == 0;
    }
    *out_count = count_varints(wire->bytes, wire->size);
    return wire->size == 0 || (wire->bytes[wire->size - 1] & 0x80) == 0;
}

static enum md_code add_occurrence(struct md_tensor_data *data, const struct md_wire_field *wire,
                                   struct md_error *error)
{
    enum md_data_field field = (enum md_data_field)wire->number;
    size_t count;
    if (!count_entries(field, wire, &count))
        return md_fail(error, MD_INVALID_ARGUMENT, "%s is malformed", md_data_field_name(field));
    if (count == 0)
        return MD_OK;
    if (data->field != MD_DATA_NONE && data->field != field)
        return md_fail(error, MD_INVALID_ARGUMENT, "both %s and %s hold data",
                       md_data_field_name(data->field), md_data_field_name(field));
    bool first = data->field == MD_DATA_NONE;
    bool plain = field == MD_DATA_RAW || (first && wire->type == MD_WIRE_LENGTH && fixed_size(field) > 0);
    data->plain =
        plain ? (struct md_span){ (const char *)wire->bytes, wire->size } : (struct md_span){ NULL, 0 };
    data->count =
        field == MD_DATA_RAW ? count : data->count + count; /* of singular fields the last one counts */
    data->field = field;
    return MD_OK;
}

enum md_code md_tensor_data_survey(struct md_span message, struct md_tensor_data *out_data,
                                   struct md_error *error)
{
    struct md_tensor_data data = { .message = message };
    const unsigned char *start = (const unsigned char *)message.bytes;
    struct md_wire_reader reader = { start, start + message.size };
    struct md_wire_field wire;
    while (md_wire_next(&reader, &wire) == MD_WIRE_FIELD) /* md_wire_unpack has seen that none is bad */
        if (is_data_field(wire.number))
            MD_TRY(add_occurrence(&data, &wire, error));
    *out_data = data;
    return MD_OK;
}

/* ---- decoding ---- */

/* The numbers that a datatype may have in a varint field. The 8 and 16 bit patterns come with either sign. */
static void range_of(enum md_datatype datatype, int64_t *out_low, int64_t *out_high)
{
    static const struct {
        int64_t low, high;
    } ranges[MD_DATATYPE_COUNT] = {
        [MD_UINT8] = { 0, UINT8_MAX },
        [MD_INT8] = { INT8_MIN, INT8_MAX },
        [MD_UINT16] = { 0, UINT16_MAX },
        [MD_INT16] = { INT16_MIN, INT16_MAX },
        [MD_INT32] = { INT32_MIN, INT32_MAX },
        [MD_INT64] = { INT64_MIN, INT64_MAX },
        [MD_BOOL] = { INT32_MIN, INT32_MAX },
        [MD_FP16] = { INT16_MIN, UINT16_MAX },
        [MD_BF16] = { INT16_MIN, UINT16_MAX },
        [MD_UINT32] = { 0, UINT32_MAX },
        [MD_UINT64] = { INT64_MIN, INT64_MAX },
        [MD_FP8E4M3FN] = { INT8_MIN, UINT8_MAX },
        [MD_FP8E4M3FNUZ] = { INT8_MIN, UINT8_MAX },
        [MD_FP8E5M2] = { INT8_MIN, UINT8_MAX },
        [MD_FP8E5M2FNUZ] = { INT8_MIN, UINT8_MAX },
        [MD_UINT4] = { INT8_MIN, UINT8_MAX },
        [MD_INT4] = { INT8_MIN, UINT8_MAX },
        [MD_FP4E2M1] = { INT8_MIN, UINT8_MAX },
    };
    *out_low = ranges[datatype].low;
    *out_high = ranges[datatype].high;
}

static void store_nibbles(struct md_tensor *tensor, size_t index, unsigned char packed)
{
    unsigned char *elements = tensor->bytes;
    unsigned char nibbles[2] = { packed & 0x0F, packed >> 4 };
    for (size_t i = 0; i < 2 && index * 2 + i < tensor->count; i++) {
        unsigned char nibble = nibbles[i];
        if (tensor->datatype == MD_INT4 && nibble >= 8)
            nibble = (unsigned char)(nibble | 0xF0);
        elements[index * 2 + i] = nibble;
    }
}

void md_tensor_data_unpack_nibbles(const unsigned char *packed, struct md_tensor *tensor)
{
    for (size_t i = 0; i < (tensor->count + 1) / 2; i++)
        store_nibbles(tensor, i, packed[i]);
}

static enum md_code store_integer(struct md_tensor *tensor, size_t index, int64_t value,
                                  struct md_error *error)
{
    int64_t low, high;
    range_of(tensor->datatype, &low, &high);
    if (value < low || value > high)
        return md_fail(error, MD_INVALID_ARGUMENT, "entry %zu is %lld, out of the range [%lld,%lld] of %s",
                       index, (long long)value, (long long)low, (long long)high,
                       md_datatype_name(tensor->datatype));
    if (md_datatype_is_nibble(tensor->datatype)) {
        store_nibbles(tensor, index, (unsigned char)value);
        return MD_OK;
    }
    if (tensor->datatype == MD_BOOL)
        value = value != 0;
    size_t size = md_datatype_size(tensor->datatype);
    memcpy((unsigned char *)tensor->bytes + index * size, &value,
           size); /* little-endian: the low bytes come first */
    return MD_OK;
}

/* Decodes the varints of one occurrence from `index` on. */
static enum md_code decode_varints(enum md_data_field field, const struct md_wire_field *wire,
                                   struct md_tensor *tensor, size_t *index, struct md_error *error)
{
    bool single = wire->type == MD_WIRE_VARINT;
    struct md_wire_reader reader = { NULL, NULL };
    if (!single)
        reader = (struct md_wire_reader){ wire->bytes, wire->bytes + wire->size };
    uint64_t value = wire->varint;
    while (single || md_wire_varint(&reader, &value)) {
        int64_t number = field == MD_DATA_INT32 ? (int32_t)(uint32_t)value : (int64_t)value;
        MD_TRY(store_integer(tensor, *index, number, error));
        *index += 1;
        if (single)
            return MD_OK;
    }
    if (reader.at != reader.end)
        return md_fail(error, MD_INVALID_ARGUMENT, "entry %zu of %s is longer than ten bytes", *index,
                       md_data_field_name(field));
    return MD_OK;
}

static enum md_code store_string(const struct md_wire_field *wire, struct md_tensor *tensor, size_t index,
                                 struct md_arena *arena, struct md_error *error)
{
    const char *copy = md_arena_copy_string(arena, (const char *)wire->bytes, wire->size);
    if (copy == NULL)
        return md_fail_memory(error, "string tensor");
    md_elements(struct md_span, tensor)[index] = (struct md_span){ copy, wire->size };
    return MD_OK;
}

enum md_code md_tensor_data_decode(const struct md_tensor_data *data, struct md_tensor *tensor,
                                   struct md_arena *arena, struct md_error *error)
{
    const unsigned char *start = (const unsigned char *)data->message.bytes;
    struct md_wire_reader reader = { start, start + data->message.size };
    struct md_wire_field wire;
    size_t index = 0;
    size_t entry = fixed_size(data->field);
    while (md_wire_next(&reader, &wire) == MD_WIRE_FIELD) {
        if (wire.number != (uint32_t)data->field)
            continue;
        if (data->field == MD_DATA_STRING) {
            MD_TRY(store_string(&wire, tensor, index++, arena, error));
        } else if (entry > 0) {
            if (wire.size > 0)
                memcpy((unsigned char *)tensor->bytes + index * entry, wire.bytes, wire.size);
            index += wire.size / entry;
        } else {
            MD_TRY(decode_varints(data->field, &wire, tensor, &index, error));
        }
    }
    return MD_OK;
}
