/* onnx_wire.c - see onnx_wire.h. */
#include "onnx_wire.h"

#include "allocator.h"
#include "checked.h"
#include "model_import.h"
#include "utf8.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>

enum {
    LENGTH_BYTES =
        5, /* lengths in the lean copy are padded varints, so that they can be written afterwards */
    TENSOR_TOKEN_SIZE = 16 /* offset and size, 64 bits each */
};

/* The lean copy under construction. */
struct lean {
    const struct md_allocator *allocator;
    unsigned char *bytes;
    size_t size;
    size_t capacity;
    const unsigned char *origin; /* first byte of the file */
    struct md_error *error;
};

/* How deep a message lies: graphs inside graphs, and messages inside the innermost graph. */
struct depth {
    unsigned graphs;
    unsigned messages;
};

bool md_wire_varint(struct md_wire_reader *reader, uint64_t *out_value)
{
    uint64_t value = 0;
    const unsigned char *at = reader->at;
    for (unsigned shift = 0; shift < 70 && at < reader->end; shift += 7) {
        unsigned char byte = *at++;
        value |= (uint64_t)(byte & 0x7F) << shift; /* of the tenth byte only the lowest bit stays */
        if ((byte & 0x80) == 0) {
            reader->at = at;
            *out_value = value;
            return true;
        }
    }
    return false;
}

static bool read_payload(struct md_wire_reader *reader, struct md_wire_field *field)
{
    uint64_t size;
    switch (field->type) {
    case MD_WIRE_VARINT:
        return md_wire_varint(reader, &field->varint);
    case MD_WIRE_FIXED64:
        size = 8;
        break;
    case MD_WIRE_FIXED32:
        size = 4;
        break;
    case MD_WIRE_LENGTH:
        if (!md_wire_varint(reader, &size))
            return false;
        break;
    default: /* groups, which ONNX never had, and what is no wire type at all */
        return false;
    }
    if (size > (uint64_t)(reader->end - reader->at))
        return false;
    field->bytes = reader->at;
    field->size = (size_t)size;
    reader->at += size;
    return true;
}

enum md_wire_result md_wire_next(struct md_wire_reader *reader, struct md_wire_field *out_field)
{
    if (reader->at == reader->end)
        return MD_WIRE_END;
    struct md_wire_reader ahead = *reader;
    uint64_t tag;
    if (!md_wire_varint(&ahead, &tag) || tag > UINT32_MAX || tag >> 3 == 0)
        return MD_WIRE_BAD;
    *out_field =
        (struct md_wire_field){ .number = (uint32_t)(tag >> 3), .type = (enum md_wire_type)(tag & 7) };
    if (!read_payload(&ahead, out_field))
        return MD_WIRE_BAD;
    *reader = ahead;
    return MD_WIRE_FIELD;
}

static enum md_code append(struct lean *lean, const void *bytes, size_t size)
{
    if (size > lean->capacity - lean->size) {
        size_t wanted;
        if (!md_checked_add(lean->size, size, &wanted) || wanted > INT_MAX)
            return md_fail(lean->error, MD_INVALID_ARGUMENT,
                           "model has more than %d bytes besides its tensor data, limit of protobuf",
                           INT_MAX);
        size_t grown = wanted > lean->capacity * 2 ? wanted : lean->capacity * 2;
        unsigned char *memory = md_reallocate(lean->allocator, lean->bytes, lean->size, grown);
        if (memory == NULL)
            return md_fail_memory(lean->error, "lean copy of the model");
        lean->bytes = memory;
        lean->capacity = grown;
    }
    if (size > 0)
        memcpy(lean->bytes + lean->size, bytes, size);
    lean->size += size;
    return MD_OK;
}

static enum md_code append_tag(struct lean *lean, uint32_t number, enum md_wire_type type)
{
    unsigned char bytes[5];
    size_t size = 0;
    uint64_t tag = (uint64_t)number << 3 | (uint64_t)type;
    for (; tag >= 0x80; tag >>= 7)
        bytes[size++] = (unsigned char)(tag | 0x80);
    bytes[size++] = (unsigned char)tag;
    return append(lean, bytes, size);
}

static void encode_length(size_t length, unsigned char out_bytes[LENGTH_BYTES])
{
    for (int i = 0; i < LENGTH_BYTES; i++, length >>= 7)
        out_bytes[i] = (unsigned char)((length & 0x7F) | (i + 1 < LENGTH_BYTES ? 0x80u : 0u));
}

/* The field as it is, with its length in the padded form. */
static enum md_code append_field(struct lean *lean, const struct md_wire_field *field)
{
    MD_TRY(append_tag(lean, field->number, field->type));
    if (field->type == MD_WIRE_VARINT) {
        unsigned char bytes[10];
        size_t size = 0;
        uint64_t value = field->varint;
        for (; value >= 0x80; value >>= 7)
            bytes[size++] = (unsigned char)(value | 0x80);
        bytes[size++] = (unsigned char)value;
        return append(lean, bytes, size);
    }
    if (field->type == MD_WIRE_LENGTH) {
        unsigned char bytes[LENGTH_BYTES];
        encode_length(field->size, bytes); /* append refuses what five bytes cannot hold */
        MD_TRY(append(lean, bytes, sizeof bytes));
    }
    return append(lean, field->bytes, field->size);
}

static bool is_tensor_payload(const ProtobufCMessageDescriptor *type, uint32_t number)
{
    return type == &onnx__tensor_proto__descriptor &&
           (number == 9 || (number >= 4 && number <= 7) || number == 10 || number == 11);
}

static bool wire_type_fits(const ProtobufCFieldDescriptor *field, enum md_wire_type type)
{
    enum md_wire_type wanted;
    switch (field->type) {
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32:
        wanted = MD_WIRE_FIXED32;
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
        wanted = MD_WIRE_FIXED64;
        break;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return type == MD_WIRE_LENGTH;
    default:
        wanted = MD_WIRE_VARINT;
        break;
    }
    return type == wanted || (type == MD_WIRE_LENGTH && field->label == PROTOBUF_C_LABEL_REPEATED);
}

static enum md_code check_field(const struct lean *lean, const ProtobufCMessageDescriptor *message,
                                const ProtobufCFieldDescriptor *known, const struct md_wire_field *field,
                                const unsigned char *start)
{
    long long place = (long long)(start - lean->origin);
    if (!wire_type_fits(known, field->type))
        return md_fail(lean->error, MD_INVALID_ARGUMENT,
                       "field \"%s\" of %s at byte %lld has wire type %d, which is not that of its type",
                       known->name, message->short_name, place, (int)field->type);
    if (known->type != PROTOBUF_C_TYPE_STRING)
        return MD_OK;
    const char *text = (const char *)field->bytes;
    if (memchr(text, '\0', field->size) != NULL || md_utf8_valid_prefix(text, field->size) != field->size)
        return md_fail(lean->error, MD_INVALID_ARGUMENT,
                       "field \"%s\" of %s at byte %lld is text of %zu bytes that are not UTF-8 without NUL",
                       known->name, message->short_name, place, field->size);
    return MD_OK;
}

/* One level more. Subgraphs are counted apart from other messages: 32 Ifs inside each other are 96 messages.
 */
static enum md_code enter(const struct lean *lean, const ProtobufCMessageDescriptor *type,
                          struct depth *depth)
{
    bool is_graph = type == &onnx__graph_proto__descriptor;
    depth->messages = is_graph ? 0 : depth->messages + 1;
    depth->graphs += is_graph;
    if (depth->messages <= MD_MAX_NESTING && depth->graphs <= MD_MAX_NESTING)
        return MD_OK;
    return md_fail(lean->error, MD_INVALID_ARGUMENT, "%s lie inside each other deeper than %d",
                   is_graph ? "graphs" : "messages", MD_MAX_NESTING);
}

static enum md_code append_message(struct lean *lean, const ProtobufCMessageDescriptor *type,
                                   struct md_wire_reader reader, struct depth depth);

static enum md_code append_submessage(struct lean *lean, const ProtobufCMessageDescriptor *type,
                                      const struct md_wire_field *field, struct depth depth)
{
    MD_TRY(append_tag(lean, field->number, MD_WIRE_LENGTH));
    unsigned char length[LENGTH_BYTES] = { 0 };
    size_t place = lean->size;
    MD_TRY(append(lean, length, sizeof length));
    MD_TRY(append_message(lean, type, (struct md_wire_reader){ field->bytes, field->bytes + field->size },
                          depth));
    encode_length(lean->size - place - LENGTH_BYTES, length);
    memcpy(lean->bytes + place, length, sizeof length);
    return MD_OK;
}

static enum md_code append_tensor_token(struct lean *lean, struct md_wire_reader whole)
{
    uint64_t token[2] = { (uint64_t)(whole.at - lean->origin), (uint64_t)(whole.end - whole.at) };
    _Static_assert(sizeof token == TENSOR_TOKEN_SIZE, "token holds two numbers");
    struct md_wire_field field = {
        .number = 9, .type = MD_WIRE_LENGTH, .bytes = (const unsigned char *)token, .size = sizeof token
    };
    return append_field(lean, &field);
}

/* A second occurrence of a singular message would be merged by protobuf; nobody writes that, and it is
 * refused. */
static enum md_code check_once(const struct lean *lean, const ProtobufCMessageDescriptor *type,
                               const ProtobufCFieldDescriptor *known, uint64_t *seen)
{
    uint64_t bit = UINT64_C(1) << (known - type->fields); /* messages of ONNX have fewer than 64 fields */
    if (known->type == PROTOBUF_C_TYPE_MESSAGE && known->label != PROTOBUF_C_LABEL_REPEATED &&
        (*seen & bit) != 0)
        return md_fail(lean->error, MD_INVALID_ARGUMENT, "field \"%s\" of %s occurs twice", known->name,
                       type->short_name);
    *seen |= bit;
    return MD_OK;
}

static enum md_code append_message(struct lean *lean, const ProtobufCMessageDescriptor *type,
                                   struct md_wire_reader reader, struct depth depth)
{
    MD_TRY(enter(lean, type, &depth));
    const struct md_wire_reader whole = reader;
    uint64_t seen = 0;
    for (;;) {
        const unsigned char *start = reader.at;
        struct md_wire_field field;
        enum md_wire_result result = md_wire_next(&reader, &field);
        if (result == MD_WIRE_END)
            break;
        if (result == MD_WIRE_BAD)
            return md_fail(
                lean->error, MD_INVALID_ARGUMENT,
                "not an ONNX file, or cut off: no field of %s at byte %lld (its message ends at %lld)",
                type->short_name, (long long)(start - lean->origin), (long long)(whole.end - lean->origin));
        const ProtobufCFieldDescriptor *known = protobuf_c_message_descriptor_get_field(type, field.number);
        if (known == NULL)
            continue;
        MD_TRY(check_field(lean, type, known, &field, start));
        MD_TRY(check_once(lean, type, known, &seen));
        if (is_tensor_payload(type, field.number))
            continue;
        if (known->type == PROTOBUF_C_TYPE_MESSAGE)
            MD_TRY(append_submessage(lean, known->descriptor, &field, depth));
        else
            MD_TRY(append_field(lean, &field));
    }
    return type == &onnx__tensor_proto__descriptor ? append_tensor_token(lean, whole) : MD_OK;
}

/* ---- protobuf-c over an arena ---- */

struct unpack_memory {
    struct md_arena *arena;
    bool failed;
};

static void *unpack_allocate(void *data, size_t size)
{
    struct unpack_memory *memory = data;
    void *bytes = md_arena_allocate(memory->arena, size);
    if (bytes == NULL)
        memory->failed = true;
    return bytes;
}

static void unpack_free(void *data, void *pointer)
{
    (void)data;
    (void)pointer; /* goes with the arena */
}

enum md_code md_wire_unpack(const ProtobufCMessageDescriptor *type, struct md_span bytes,
                            struct md_arena *scratch, ProtobufCMessage **out_message, struct md_error *error)
{
    const unsigned char *start =
        bytes.size == 0 ? (const unsigned char *)"" : (const unsigned char *)bytes.bytes;
    struct lean lean = { .allocator = scratch->allocator, .origin = start, .error = error };
    enum md_code code = append_message(&lean, type, (struct md_wire_reader){ start, start + bytes.size },
                                       (struct depth){ 0, 0 });
    if (code != MD_OK)
        goto done;
    struct unpack_memory memory = { scratch, false };
    ProtobufCAllocator allocator = { unpack_allocate, unpack_free, &memory };
    ProtobufCMessage *message = protobuf_c_message_unpack(type, &allocator, lean.size, lean.bytes);
    if (message != NULL)
        *out_message = message;
    else if (memory.failed)
        code = md_fail_memory(error, type->short_name);
    else
        code = md_fail(error, MD_INVALID_ARGUMENT, "bytes are not a valid %s: a list of numbers is malformed",
                       type->short_name);
done:
    md_release(lean.allocator, lean.bytes);
    return code;
}

struct md_span md_wire_tensor(struct md_span bytes, const Onnx__TensorProto *tensor)
{
    uint64_t token[2] = { 0, 0 };
    if (tensor->raw_data.len == sizeof token)
        memcpy(token, tensor->raw_data.data, sizeof token);
    return (struct md_span){ bytes.bytes + token[0], (size_t)token[1] };
}
