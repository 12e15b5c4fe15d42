/* call.c - see call.h. The trailing status decides; error_string tells whether the server or the transport
 * said it, which the status alone does not. */
#include "call.h"

#include "allocator.h"
#include "status.h"
#include "status_details.h"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Everything that one RPC holds; zero is "nothing held", so one cleanup serves every exit. */
struct rpc {
    struct md_client *client;
    uint32_t timeout_ms;
    grpc_completion_queue *queue;
    grpc_call *call;
    grpc_byte_buffer *request;
    grpc_byte_buffer *response;
    grpc_metadata request_metadata[1];
    size_t request_metadata_count;
    uint32_t flags; /* of the initial metadata */
    grpc_metadata_array initial_metadata, trailing_metadata;
    grpc_status_code status;
    grpc_slice status_details;
    const char *error_string;
};

enum md_client_code md_call_fail(struct md_client_error *error, enum md_client_code code, const char *format,
                                 ...)
{
    if (error == NULL)
        return code;
    *error = (struct md_client_error){ .code = code, .name = md_client_code_name(code) };
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error->message, sizeof error->message, format,
                    arguments); /* a cut message is a message */
    va_end(arguments);
    return code;
}

uint32_t md_call_timeout_ms(const struct md_client *client, const struct md_client_call_options *options)
{
    return options != NULL && options->timeout_ms != 0 ? options->timeout_ms : client->default_timeout_ms;
}

char *md_call_string(const char *text)
{
    static char empty[1];
    return text != NULL ? (char *)(uintptr_t)text : empty;
}

static void rpc_begin(struct rpc *rpc, struct md_client *client, const char *path,
                      const struct md_client_call_options *options, gpr_timespec deadline)
{
    *rpc = (struct rpc){ .client = client, .timeout_ms = md_call_timeout_ms(client, options) };
    rpc->queue = grpc_completion_queue_create_for_pluck(NULL);
    rpc->status_details = grpc_empty_slice();
    grpc_metadata_array_init(&rpc->initial_metadata);
    grpc_metadata_array_init(&rpc->trailing_metadata);
    if (options != NULL && options->wait_for_connection)
        rpc->flags =
            GRPC_INITIAL_METADATA_WAIT_FOR_READY | GRPC_INITIAL_METADATA_WAIT_FOR_READY_EXPLICITLY_SET;
    if (options != NULL && options->request_id != NULL) {
        rpc->request_metadata[0].key = grpc_slice_from_static_string("x-request-id");
        rpc->request_metadata[0].value = grpc_slice_from_copied_string(options->request_id);
        rpc->request_metadata_count = 1;
    }
    rpc->call = grpc_channel_create_call(client->channel, NULL, GRPC_PROPAGATE_DEFAULTS, rpc->queue,
                                         grpc_slice_from_static_string(path), NULL, deadline, NULL);
}

static void rpc_end(struct rpc *rpc)
{
    if (rpc->call != NULL)
        grpc_call_unref(rpc->call);
    grpc_completion_queue_shutdown(rpc->queue);
    grpc_completion_queue_destroy(rpc->queue);
    if (rpc->request != NULL)
        grpc_byte_buffer_destroy(rpc->request);
    if (rpc->response != NULL)
        grpc_byte_buffer_destroy(rpc->response);
    if (rpc->request_metadata_count > 0)
        grpc_slice_unref(rpc->request_metadata[0].value);
    grpc_metadata_array_destroy(&rpc->initial_metadata);
    grpc_metadata_array_destroy(&rpc->trailing_metadata);
    grpc_slice_unref(rpc->status_details);
    gpr_free((void *)(uintptr_t)rpc->error_string);
}

/* Packs straight into the slice that is sent. */
static enum md_client_code pack_request(struct rpc *rpc, const ProtobufCMessage *message,
                                        struct md_client_error *error)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    if (size > rpc->client->max_message_bytes)
        return md_call_fail(error, MD_CLIENT_RESOURCE_EXHAUSTED,
                            "the request has %zu bytes, max_message_bytes is %u", size,
                            rpc->client->max_message_bytes);
    grpc_slice slice = grpc_slice_malloc(size);
    (void)protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(slice)); /* the size is known */
    rpc->request = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return MD_CLIENT_OK;
}

/* protobuf-c over an arena: nothing is released before the whole arena is. */
static void *arena_allocate(void *owner, size_t size)
{
    return md_arena_allocate(owner, size);
}

static void arena_release(void *owner, void *memory)
{
    (void)owner;
    (void)memory;
}

static enum md_client_code unpack_response(struct rpc *rpc, const ProtobufCMessageDescriptor *type,
                                           struct md_arena *arena, ProtobufCMessage **out_message,
                                           struct md_client_error *error)
{
    grpc_byte_buffer_reader reader;
    ProtobufCAllocator allocator = { arena_allocate, arena_release, arena };
    if (rpc->response == NULL || !grpc_byte_buffer_reader_init(&reader, rpc->response))
        return md_call_fail(error, MD_CLIENT_INTERNAL, "%s answered OK without a message",
                            rpc->client->target);
    grpc_slice slice = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    size_t size = GRPC_SLICE_LENGTH(slice);
    ProtobufCMessage *message =
        protobuf_c_message_unpack(type, &allocator, size, GRPC_SLICE_START_PTR(slice));
    grpc_slice_unref(slice);
    if (message == NULL)
        return md_call_fail(error, MD_CLIENT_INTERNAL, "the answer of %s (%zu bytes) is not a %s",
                            rpc->client->target, size, type->name);
    *out_message = message;
    return MD_CLIENT_OK;
}

/* "failed to connect to all addresses; last error: UNKNOWN: ...: Connection refused" -> "Connection refused".
 */
static const char *shortest_reason(const char *details)
{
    const char *last = strstr(details, "last error: ");
    if (last == NULL)
        return details;
    const char *colon = strrchr(last, ':');
    return colon[1] == ' ' ? colon + 2 : colon + 1;
}

static enum md_client_code transport_failure(const struct rpc *rpc, const char *details,
                                             struct md_client_error *error)
{
    const char *target = rpc->client->target;
    enum md_client_code code = (enum md_client_code)rpc->status;
    if (code == MD_CLIENT_DEADLINE_EXCEEDED)
        return md_call_fail(error, code, "no answer from %s within %u ms", target, rpc->timeout_ms);
    if (code != MD_CLIENT_UNAVAILABLE)
        return md_call_fail(error, code, "%s: %s", target, details);
    if (strncmp(details, "failed to connect", 17) == 0 || strstr(details, "resolution") != NULL)
        return md_call_fail(error, code, "cannot connect to %s: is modeld running? (%s)", target,
                            shortest_reason(details));
    return md_call_fail(error, code, "lost the connection to %s: is modeld running? (%s)", target, details);
}

static uint32_t retry_after_ms(const grpc_metadata_array *trailing)
{
    for (size_t i = 0; i < trailing->count; i++) {
        grpc_slice value = trailing->metadata[i].value;
        if (grpc_slice_str_cmp(trailing->metadata[i].key, "grpc-status-details-bin") == 0)
            return md_status_details_retry_after_ms(GRPC_SLICE_START_PTR(value), GRPC_SLICE_LENGTH(value));
    }
    return 0;
}

/* The core writes "Error received from peer" for a connection that breaks under a call, too. */
static bool is_from_server(const struct rpc *rpc, const char *details)
{
    static const char *const broken[] = { "Socket closed",      "Connection reset", "Broken pipe",
                                          "keepalive watchdog", "Stream removed",   "Connection timed out" };
    if (rpc->error_string != NULL && strstr(rpc->error_string, "Error received from peer") == NULL)
        return false;
    for (size_t i = 0; rpc->status == GRPC_STATUS_UNAVAILABLE && i < sizeof broken / sizeof broken[0]; i++)
        if (strncmp(details, broken[i], strlen(broken[i])) == 0)
            return false;
    return true;
}

static enum md_client_code failure_of(const struct rpc *rpc, struct md_client_error *error)
{
    char details[sizeof error->message];
    size_t size = GRPC_SLICE_LENGTH(rpc->status_details);
    (void)snprintf(details, sizeof details, "%.*s", (int)(size < sizeof details ? size : sizeof details),
                   (const char *)GRPC_SLICE_START_PTR(rpc->status_details));
    if (!is_from_server(rpc, details))
        return transport_failure(rpc, details, error);
    enum md_client_code code = md_call_fail(error, (enum md_client_code)rpc->status, "%s", details);
    if (error != NULL) {
        error->from_server = 1;
        error->retry_after_ms = retry_after_ms(&rpc->trailing_metadata);
    }
    return code;
}

/* Runs one batch to its end. The call's deadline bounds the wait. */
static bool run_batch(struct rpc *rpc, const grpc_op *ops, size_t count)
{
    if (grpc_call_start_batch(rpc->call, ops, count, rpc, NULL) != GRPC_CALL_OK)
        return false;
    grpc_event event = grpc_completion_queue_pluck(rpc->queue, rpc, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
    return event.type == GRPC_OP_COMPLETE && event.success;
}

static size_t request_ops(struct rpc *rpc, grpc_op *ops)
{
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[0].flags = rpc->flags;
    ops[0].data.send_initial_metadata.metadata = rpc->request_metadata;
    ops[0].data.send_initial_metadata.count = rpc->request_metadata_count;
    ops[1].op = GRPC_OP_SEND_MESSAGE;
    ops[1].data.send_message.send_message = rpc->request;
    ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    ops[3].op = GRPC_OP_RECV_INITIAL_METADATA;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &rpc->initial_metadata;
    return 4;
}

static void message_op(struct rpc *rpc, grpc_op *op)
{
    op->op = GRPC_OP_RECV_MESSAGE;
    op->data.recv_message.recv_message = &rpc->response;
}

static void status_op(struct rpc *rpc, grpc_op *op)
{
    op->op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    op->data.recv_status_on_client.trailing_metadata = &rpc->trailing_metadata;
    op->data.recv_status_on_client.status = &rpc->status;
    op->data.recv_status_on_client.status_details = &rpc->status_details;
    op->data.recv_status_on_client.error_string = &rpc->error_string;
}

enum md_client_code md_call_unary(struct md_client *client, const char *path, const ProtobufCMessage *request,
                                  const ProtobufCMessageDescriptor *response_type,
                                  const struct md_client_call_options *options, struct md_arena *arena,
                                  ProtobufCMessage **out_response, struct md_client_error *error)
{
    struct rpc rpc;
    gpr_timespec deadline =
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                     gpr_time_from_millis(md_call_timeout_ms(client, options), GPR_TIMESPAN));
    rpc_begin(&rpc, client, path, options, deadline);
    enum md_client_code code = pack_request(&rpc, request, error);
    if (code != MD_CLIENT_OK)
        goto end;
    grpc_op ops[6];
    memset(ops, 0, sizeof ops);
    size_t count = request_ops(&rpc, ops);
    message_op(&rpc, &ops[count++]);
    status_op(&rpc, &ops[count++]);
    if (!run_batch(&rpc, ops, count))
        code =
            md_call_fail(error, MD_CLIENT_INTERNAL, "cannot start the call %s to %s", path, client->target);
    else if (rpc.status != GRPC_STATUS_OK)
        code = failure_of(&rpc, error);
    else
        code = unpack_response(&rpc, response_type, arena, out_response, error);
end:
    rpc_end(&rpc);
    return code;
}

/* Receives until on_message has enough. True: it has. False: the stream is over or broken. */
static bool receive_messages(struct rpc *rpc, const ProtobufCMessageDescriptor *type,
                             md_call_message_fn on_message, void *owner)
{
    for (;;) {
        grpc_op op;
        memset(&op, 0, sizeof op);
        message_op(rpc, &op);
        if (!run_batch(rpc, &op, 1) || rpc->response == NULL)
            return false;
        struct md_arena arena;
        md_arena_init(&arena, md_process_allocator(), 0);
        ProtobufCMessage *message = NULL;
        bool enough =
            unpack_response(rpc, type, &arena, &message, NULL) == MD_CLIENT_OK && !on_message(message, owner);
        md_arena_cleanup(&arena);
        grpc_byte_buffer_destroy(rpc->response);
        rpc->response = NULL;
        if (enough)
            return true;
    }
}

enum md_client_code md_call_stream(struct md_client *client, const char *path,
                                   const ProtobufCMessage *request,
                                   const ProtobufCMessageDescriptor *response_type,
                                   const struct md_client_call_options *options, gpr_timespec deadline,
                                   md_call_message_fn on_message, void *owner, struct md_client_error *error)
{
    struct rpc rpc;
    rpc_begin(&rpc, client, path, options, deadline);
    enum md_client_code code = pack_request(&rpc, request, error);
    if (code != MD_CLIENT_OK)
        goto end;
    grpc_op ops[4];
    memset(ops, 0, sizeof ops);
    size_t count = request_ops(&rpc, ops);
    bool enough = run_batch(&rpc, ops, count) && receive_messages(&rpc, response_type, on_message, owner);
    if (enough)
        (void)grpc_call_cancel(rpc.call, NULL); /* the status batch below then ends at once */
    memset(ops, 0, sizeof ops);
    status_op(&rpc, &ops[0]);
    bool ended = run_batch(&rpc, ops, 1);
    if (enough)
        code = MD_CLIENT_OK;
    else if (ended && rpc.status != GRPC_STATUS_OK)
        code = failure_of(&rpc, error);
    else
        code = md_call_fail(error, MD_CLIENT_UNAVAILABLE, "%s ended the stream %s", client->target, path);
end:
    rpc_end(&rpc);
    return code;
}
