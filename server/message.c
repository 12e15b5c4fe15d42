/* message.c - see message.h. */
#include "message.h"

#include <grpc/byte_buffer_reader.h>
#include <grpc/slice.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    UNPACK_FACTOR = 32, /* a 3-byte text takes about 64 bytes when it is unpacked; see md_message_unpack */
    UNPACK_BASE = 64 * 1024
};

/* What protobuf-c allocates from. It tells "no memory" and "malformed" apart, which a NULL message does not.
 */
struct unpack_memory {
    struct md_arena *arena;
    size_t limit;
    bool exhausted;
};

static void *allocate(void *owner, size_t size)
{
    struct unpack_memory *memory = owner;
    void *block = NULL;
    if (memory->arena->used_bytes <= memory->limit && size <= memory->limit - memory->arena->used_bytes)
        block = md_arena_allocate(memory->arena, size);
    memory->exhausted = memory->exhausted || block == NULL;
    return block;
}

static void release(void *owner, void *block)
{
    (void)owner;
    (void)block; /* the arena is freed whole */
}

enum md_code md_message_unpack(const ProtobufCMessageDescriptor *type, grpc_byte_buffer *payload,
                               struct md_arena *arena, size_t limit, const ProtobufCMessage **out_message,
                               struct md_error *error)
{
    grpc_byte_buffer_reader reader;
    if (!grpc_byte_buffer_reader_init(&reader, payload))
        return md_fail(error, MD_INVALID_ARGUMENT, "malformed request: the message cannot be read");
    grpc_slice slice = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    size_t size = GRPC_SLICE_LENGTH(slice);
    struct unpack_memory memory = { .arena = arena, .limit = limit };
    ProtobufCAllocator allocator = { .alloc = allocate, .free = release, .allocator_data = &memory };
    const ProtobufCMessage *message =
        protobuf_c_message_unpack(type, &allocator, size, GRPC_SLICE_START_PTR(slice));
    grpc_slice_unref(slice);
    if (message == NULL && memory.exhausted)
        return md_fail(error, MD_RESOURCE_EXHAUSTED,
                       "request of %zu bytes takes more than %zu bytes when it is unpacked", size, limit);
    if (message == NULL)
        return md_fail(error, MD_INVALID_ARGUMENT, "malformed request: %zu bytes are not a %s", size,
                       type->name);
    *out_message = message;
    return MD_OK;
}

size_t md_message_unpack_limit(size_t payload_bytes, size_t max_message_bytes)
{
    size_t by_size = payload_bytes > SIZE_MAX / UNPACK_FACTOR - UNPACK_BASE
                         ? SIZE_MAX
                         : payload_bytes * UNPACK_FACTOR + UNPACK_BASE;
    size_t most = max_message_bytes * 4 + UNPACK_BASE;
    return by_size < most ? by_size : most;
}

enum md_code md_message_pack(const ProtobufCMessage *message, grpc_byte_buffer **out_buffer,
                             struct md_error *error)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    if (size > INT32_MAX)
        return md_fail(error, MD_RESOURCE_EXHAUSTED, "the answer has %zu bytes, limit is %d", size,
                       INT32_MAX);
    grpc_slice slice = grpc_slice_malloc(size);
    (void)protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(slice)); /* the size is known */
    *out_buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return MD_OK;
}
