/* call.h - one RPC from start to status, over the gRPC C core. Internal to the client library.
 *
 * Each call has a completion queue of its own and is plucked by the thread that made it, so calls of many
 * threads share nothing but the channel. Messages are unpacked into the caller's arena. */
#ifndef MD_CALL_H
#define MD_CALL_H

#include "arena.h"
#include "modeld/client.h"

#include <grpc/grpc.h>
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

struct md_client {
    grpc_channel *channel;
    uint32_t default_timeout_ms;
    uint32_t max_message_bytes;
    char *target; /* for messages */
};

/* Writes the code, its name and the formatted message to *error (if not NULL) and returns the code. */
enum md_client_code md_call_fail(struct md_client_error *error, enum md_client_code code, const char *format,
                                 ...) __attribute__((format(printf, 3, 4)));

/* The timeout of a call in milliseconds; options may be NULL. Never 0. */
uint32_t md_call_timeout_ms(const struct md_client *client, const struct md_client_call_options *options);

/* A request's string field: protobuf-c's members are not const, but packing only reads them. NULL becomes "".
 */
char *md_call_string(const char *text);

/* A unary call. On OK *out_response is of response_type and lives in `arena`.
 * Other codes: the RPC's status (message and origin in *error), or RESOURCE_EXHAUSTED, INTERNAL. */
enum md_client_code md_call_unary(struct md_client *client, const char *path, const ProtobufCMessage *request,
                                  const ProtobufCMessageDescriptor *response_type,
                                  const struct md_client_call_options *options, struct md_arena *arena,
                                  ProtobufCMessage **out_response, struct md_client_error *error);

/* A call whose answer is a stream: `on_message` gets each message until it returns false (then the result is
 * OK) or the stream ends (then the result is its status; UNAVAILABLE for an OK end). deadline: absolute. */
typedef bool (*md_call_message_fn)(const ProtobufCMessage *message, void *owner);
enum md_client_code md_call_stream(struct md_client *client, const char *path,
                                   const ProtobufCMessage *request,
                                   const ProtobufCMessageDescriptor *response_type,
                                   const struct md_client_call_options *options, gpr_timespec deadline,
                                   md_call_message_fn on_message, void *owner, struct md_client_error *error);

#endif
