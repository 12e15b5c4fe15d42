/* onnx_wire.h - from serialized ONNX messages to protobuf-c structs, safely and without copying tensor data.
 *
 * protobuf-c alone cannot be trusted with a file: its unpack recurses without a limit, refuses fields of
 * 2 GiB and copies all bytes. So the file is first scanned along protobuf-c's own descriptors into a lean copy:
 *
 *   file  [ graph [ node ... ] [ initializer dims type name RAW_DATA(400 MB) ] ]
 *   lean  [ graph [ node ... ] [ initializer dims type name raw_data(16 B)   ] ]   -> protobuf-c unpack
 *                                                           |
 *                                                           offset and size of that TensorProto in the file
 *
 * Every TensorProto loses all its data fields (raw_data, float_data, ...) and gets one made-up raw_data that
 * says where the message lies in the file; tensor_import.c walks it there (md_wire_next). Unknown fields are
 * dropped. Threads: none of this keeps state. Memory: the caller's scratch arena. */
#ifndef MD_ONNX_WIRE_H
#define MD_ONNX_WIRE_H

#include "arena.h"
#include "span.h"
#include "status.h"

#include <protobuf-c/protobuf-c.h>

#include "onnx/onnx.pb-c.h"

enum md_wire_type { MD_WIRE_VARINT = 0, MD_WIRE_FIXED64 = 1, MD_WIRE_LENGTH = 2, MD_WIRE_FIXED32 = 5 };

struct md_wire_reader {
    const unsigned char *at;
    const unsigned char *end;
};

struct md_wire_field {
    uint32_t number;
    enum md_wire_type type;
    uint64_t varint;            /* of MD_WIRE_VARINT */
    const unsigned char *bytes; /* of the other types: the payload */
    size_t size;
};

enum md_wire_result { MD_WIRE_FIELD, MD_WIRE_END, MD_WIRE_BAD };

/* False at the end of the bytes or when the number is longer than ten bytes. */
bool md_wire_varint(struct md_wire_reader *reader, uint64_t *out_value);
/* Reads one field and stays inside [at, end). On MD_WIRE_BAD the reader stands where the field began. */
enum md_wire_result md_wire_next(struct md_wire_reader *reader, struct md_wire_field *out_field);

/* Unpacks a message of `type` (a descriptor of onnx.proto). *out_message lives in `scratch`, is never freed
 * by itself, and every TensorProto in it is read with md_wire_tensor. INVALID_ARGUMENT: not such a message,
 * nested deeper than MD_MAX_NESTING, a text that is not UTF-8; the message names the field and its place.
 * RESOURCE_EXHAUSTED: memory. */
MD_NODISCARD enum md_code md_wire_unpack(const ProtobufCMessageDescriptor *type, struct md_span bytes,
                                         struct md_arena *scratch, ProtobufCMessage **out_message,
                                         struct md_error *error);

/* The serialized TensorProto that `tensor` was made from, inside `bytes` (those given to md_wire_unpack). */
struct md_span md_wire_tensor(struct md_span bytes, const Onnx__TensorProto *tensor);

#endif
