/* message.h - protobuf-c messages to and from gRPC's byte buffers. Unpacking goes into the request's arena.
 */
#ifndef MD_MESSAGE_H
#define MD_MESSAGE_H

#include "arena.h"
#include "status.h"

#include <grpc/grpc.h>
#include <protobuf-c/protobuf-c.h>

/* *out_message lives in the arena. `limit`: of the arena's bytes; a small message may unpack into many
 * objects. INVALID_ARGUMENT: malformed. RESOURCE_EXHAUSTED: memory or limit. */
MD_NODISCARD enum md_code md_message_unpack(const ProtobufCMessageDescriptor *type, grpc_byte_buffer *payload,
                                            struct md_arena *arena, size_t limit,
                                            const ProtobufCMessage **out_message, struct md_error *error);

/* The `limit` for a message of this size, where messages may have max_message_bytes. */
size_t md_message_unpack_limit(size_t payload_bytes, size_t max_message_bytes);

/* *out_buffer is owned by the caller (grpc_byte_buffer_destroy). RESOURCE_EXHAUSTED: it is above 2 GiB. */
MD_NODISCARD enum md_code md_message_pack(const ProtobufCMessage *message, grpc_byte_buffer **out_buffer,
                                          struct md_error *error);

#endif
