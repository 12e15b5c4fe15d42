/* stream.c - see stream.h.
 *
 * A stream is freed when all that is out has come back: `pending` counts batches and jobs, under the list's lock.
 * Whatever comes back changes the state under the lock and ends in settle, which decides what is due. */
#include "stream.h"

#include "admission.h"
#include "allocator.h"
#include "call_info.h"
#include "clock.h"
#include "front_end.h"
#include "message.h"
#include "mutex.h"
#include "rpc_status.h"
#include "telemetry.h"
#include "worker_group.h"

#include <grpc/slice.h>
#include <string.h>

enum { ARENA_BLOCK_SIZE = 8 * 1024, PEER_BLOCK_SIZE = 128 };

/* A message and its answer. */
struct exchange {
    struct md_rpc rpc;
    struct stream *stream;
    struct md_job job;
    grpc_byte_buffer *payload; /* until it is unpacked */
    grpc_byte_buffer *answer;
    size_t payload_bytes;
    bool is_counted; /* against the in-flight limits */
    enum md_code code; /* not OK: the stream ends with it; written before is_done */
    struct md_error error;
    /* with the list's lock held: */
    struct exchange *next;
    bool is_done;
};

struct stream {
    struct md_stream_list *list;
    const struct md_rpc_method *row;
    grpc_call *call;
    struct md_tag read, sent, closed;
    int64_t deadline_us;
    char request_id[33];
    struct md_arena arena; /* of the peer */
    const char *peer;      /* "": nobody asks for it */
    bool ends_on_error;
    int was_cancelled;
    grpc_byte_buffer *payload; /* written by the core, until `read` */
    struct exchange *sending;  /* its answer is under way, until `sent` */
    /* with the list's lock held: */
    struct stream *next;
    struct stream *next_ended;
    struct exchange *head, *tail; /* not yet sent, in the order they came */
    size_t exchange_count;
    int pending;
    bool is_reading, is_sending;
    bool has_begun;  /* initial metadata has been sent, or is with what is being sent */
    bool is_read_out; /* the client sends no more */
    bool is_over;    /* status sent, or the client is gone */
    enum md_code end; /* not OK: to be ended with this */
    struct md_error end_error;
};

struct md_stream_list {
    struct md_server *server;
    struct {
        struct md_mutex lock; /* a leaf */
        struct stream *head;
        size_t count;
        bool ending;
    } synced;
};

/* ---- the end of things ---- */

static void destroy_exchange(struct exchange *exchange)
{
    struct md_server *server = exchange->stream->list->server;
    if (exchange->is_counted)
        md_admission_leave(server, &exchange->rpc, exchange->payload_bytes);
    if (exchange->payload != NULL)
        grpc_byte_buffer_destroy(exchange->payload);
    if (exchange->answer != NULL)
        grpc_byte_buffer_destroy(exchange->answer);
    md_arena_cleanup(&exchange->rpc.arena);
    md_release(server->options.allocator, exchange);
}

static void destroy_stream(struct stream *stream)
{
    struct md_server *server = stream->list->server;
    for (struct exchange *exchange = stream->head, *next; exchange != NULL; exchange = next) {
        next = exchange->next;
        destroy_exchange(exchange);
    }
    grpc_call_unref(stream->call);
    md_arena_cleanup(&stream->arena);
    atomic_fetch_sub_explicit(&server->calls, 1, memory_order_relaxed);
    md_release(server->options.allocator, stream);
}

static void unlink_locked(struct stream *stream)
{
    struct md_stream_list *list = stream->list;
    md_mutex_assert_held(&list->synced.lock);
    struct stream **at = &list->synced.head;
    while (*at != stream)
        at = &(*at)->next;
    *at = stream->next;
    list->synced.count--;
}

static void end_with_locked(struct stream *stream, enum md_code code, const char *message)
{
    if (stream->end != MD_OK || stream->is_over)
        return;
    stream->end = code;
    md_error_set(&stream->end_error, "%s", message);
}

/* ---- what is due ---- */

/* Decided with the lock, done without. */
struct due {
    bool read, send, end, with_metadata;
};

static void take_answer_locked(struct stream *stream)
{
    stream->sending = stream->head;
    stream->head = stream->sending->next;
    if (stream->head == NULL)
        stream->tail = NULL;
    stream->exchange_count--;
}

static struct due take_sending_locked(struct stream *stream)
{
    struct due due = { 0 };
    struct exchange *first = stream->head;
    if (first != NULL && !first->is_done)
        return due;
    if (first != NULL && first->code != MD_OK)
        end_with_locked(stream, first->code, first->error.message);
    else if (first != NULL)
        due.send = true;
    due.end = !due.send && (stream->end != MD_OK || stream->is_read_out);
    if (due.send)
        take_answer_locked(stream);
    if (!due.send && !due.end)
        return due;
    due.with_metadata = !stream->has_begun;
    stream->has_begun = stream->is_sending = true;
    stream->is_over = due.end;
    stream->pending++;
    return due;
}

static struct due take_due_locked(struct stream *stream)
{
    struct due due = { 0 };
    md_mutex_assert_held(&stream->list->synced.lock);
    if (!stream->is_over && !stream->is_sending)
        due = take_sending_locked(stream);
    if (!stream->is_over && !stream->is_reading && !stream->is_read_out && stream->end == MD_OK &&
        stream->exchange_count < MD_STREAM_DEPTH) {
        due.read = stream->is_reading = true;
        stream->pending++;
    }
    return due;
}

static void start_read(struct stream *stream);
static void start_send(struct stream *stream, struct due due);

/* Something is back, and the state says what. The stream may be gone afterwards. */
static void settle(struct stream *stream)
{
    struct md_stream_list *list = stream->list;
    md_mutex_lock(&list->synced.lock);
    struct due due = take_due_locked(stream);
    bool is_last = --stream->pending == 0; /* never, if something is due: that is pending */
    if (is_last)
        unlink_locked(stream);
    md_mutex_unlock(&list->synced.lock);
    if (is_last) {
        destroy_stream(stream);
        return;
    }
    if (due.send || due.end)
        start_send(stream, due);
    if (due.read) /* pending, so the stream is still there */
        start_read(stream);
}

/* ---- an exchange ---- */

/* The failure as an answer; false: it must be the stream's status. */
static bool answer_failure(struct exchange *exchange)
{
    const struct md_rpc_method *row = exchange->stream->row;
    struct md_rpc *rpc = &exchange->rpc;
    if (row->failure == NULL || exchange->stream->ends_on_error)
        return false;
    rpc->response = row->failure(rpc, exchange->code, exchange->error.message);
    return rpc->response != NULL && md_message_pack(rpc->response, &exchange->answer, NULL) == MD_OK;
}

static void finish(struct exchange *exchange)
{
    struct stream *stream = exchange->stream;
    md_rpc_status_clean(&exchange->error);
    md_call_log(stream->list->server, stream->row->path, &exchange->rpc, exchange->code, &exchange->error,
                exchange->payload_bytes);
    if (exchange->code != MD_OK && answer_failure(exchange))
        exchange->code = MD_OK;
    md_mutex_lock(&stream->list->synced.lock);
    exchange->is_done = true;
    md_mutex_unlock(&stream->list->synced.lock);
    settle(stream);
}

static enum md_code handle(struct exchange *exchange)
{
    struct md_rpc *rpc = &exchange->rpc;
    struct md_server *server = exchange->stream->list->server;
    const struct md_rpc_method *row = exchange->stream->row;
    rpc->started_at_us = md_clock_us();
    MD_TRY(md_admission_check_wanted(rpc, &exchange->error));
    MD_TRY(md_message_unpack(
        row->request_type, exchange->payload, &rpc->arena,
        md_message_unpack_limit(exchange->payload_bytes, server->options.max_message_bytes), &rpc->request,
        &exchange->error));
    grpc_byte_buffer_destroy(exchange->payload);
    exchange->payload = NULL;
    MD_TRY(row->handler(server->services, rpc, &exchange->error));
    return md_message_pack(rpc->response, &exchange->answer, &exchange->error);
}

static void work(void *owner)
{
    struct exchange *exchange = owner;
    md_telemetry_begin(&exchange->rpc);
    exchange->code = handle(exchange);
    md_telemetry_end(exchange->stream->list->server->services, &exchange->rpc, NULL, exchange->stream->row->path,
                     exchange->code);
    finish(exchange);
}

static enum md_code admit(struct exchange *exchange)
{
    if ((exchange->stream->row->flags & MD_RPC_INFERENCE) == 0)
        return MD_OK;
    MD_TRY(md_admission_enter(exchange->stream->list->server, &exchange->rpc, exchange->payload_bytes,
                              &exchange->error));
    exchange->is_counted = true;
    return MD_OK;
}

static void start_exchange(struct exchange *exchange)
{
    struct md_server *server = exchange->stream->list->server;
    unsigned flags = exchange->stream->row->flags;
    exchange->code = admit(exchange);
    if (exchange->code == MD_OK && (flags & MD_RPC_INLINE) != 0) {
        work(exchange);
        return;
    }
    struct md_worker_group *group = (flags & MD_RPC_INFERENCE) != 0 ? server->inference : server->control;
    if (exchange->code == MD_OK && md_worker_group_push(group, &exchange->job))
        return;
    if (exchange->code == MD_OK)
        exchange->code = md_fail(&exchange->error, MD_RESOURCE_EXHAUSTED, "the queue for %s is full",
                                 exchange->stream->row->path);
    finish(exchange);
}

/* Takes the payload. NULL: no memory. */
static struct exchange *make_exchange(struct stream *stream, grpc_byte_buffer *payload)
{
    const struct md_allocator *allocator = stream->list->server->options.allocator;
    struct exchange *exchange = md_allocate_zeroed(allocator, 1, sizeof *exchange);
    if (exchange == NULL) {
        grpc_byte_buffer_destroy(payload);
        return NULL;
    }
    exchange->stream = stream;
    exchange->payload = payload;
    exchange->payload_bytes = grpc_byte_buffer_length(payload);
    exchange->job = (struct md_job){ .function = work, .owner = exchange };
    struct md_rpc *rpc = &exchange->rpc;
    md_arena_init(&rpc->arena, allocator, ARENA_BLOCK_SIZE);
    rpc->arrived_at_us = rpc->started_at_us = md_clock_us();
    rpc->deadline_us = stream->deadline_us;
    rpc->peer = stream->peer;
    memcpy(rpc->request_id, stream->request_id, sizeof rpc->request_id);
    atomic_init(&rpc->cancelled, false);
    return exchange;
}

static void append_locked(struct stream *stream, struct exchange *exchange)
{
    if (stream->tail == NULL)
        stream->head = exchange;
    else
        stream->tail->next = exchange;
    stream->tail = exchange;
    stream->exchange_count++;
    stream->pending++; /* until finish */
    if (stream->is_over) /* the client has gone since */
        atomic_store_explicit(&exchange->rpc.cancelled, true, memory_order_relaxed);
}

/* ---- what comes back ---- */

static void on_read(void *owner, bool ok)
{
    struct stream *stream = owner;
    struct md_stream_list *list = stream->list;
    grpc_byte_buffer *payload = stream->payload;
    stream->payload = NULL;
    struct exchange *exchange = payload == NULL ? NULL : make_exchange(stream, payload);
    md_mutex_lock(&list->synced.lock);
    stream->is_reading = false;
    stream->is_read_out = !ok || payload == NULL;
    if (payload != NULL && exchange == NULL)
        end_with_locked(stream, MD_RESOURCE_EXHAUSTED, "out of memory: stream");
    bool is_wanted = exchange != NULL && stream->end == MD_OK;
    if (is_wanted)
        append_locked(stream, exchange);
    md_mutex_unlock(&list->synced.lock);
    if (is_wanted)
        start_exchange(exchange);
    else if (exchange != NULL) /* it crossed the end of the stream */
        destroy_exchange(exchange);
    settle(stream);
}

static void on_sent(void *owner, bool ok)
{
    struct stream *stream = owner;
    if (stream->sending != NULL)
        destroy_exchange(stream->sending);
    stream->sending = NULL;
    md_mutex_lock(&stream->list->synced.lock);
    stream->is_sending = false;
    stream->is_over = stream->is_over || !ok;
    md_mutex_unlock(&stream->list->synced.lock);
    settle(stream);
}

static void on_closed(void *owner, bool ok)
{
    struct stream *stream = owner;
    (void)ok; /* however it closed, nothing can be sent any more */
    md_mutex_lock(&stream->list->synced.lock);
    stream->is_over = true;
    for (struct exchange *exchange = stream->head; exchange != NULL; exchange = exchange->next)
        atomic_store_explicit(&exchange->rpc.cancelled, true, memory_order_relaxed);
    md_mutex_unlock(&stream->list->synced.lock);
    settle(stream);
}

/* ---- what is started: the completion may free the stream before these return ---- */

static void start_read(struct stream *stream)
{
    grpc_op op;
    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_RECV_MESSAGE;
    op.data.recv_message.recv_message = &stream->payload;
    md_tag_submitted(&stream->read);
    if (grpc_call_start_batch(stream->call, &op, 1, &stream->read, NULL) != GRPC_CALL_OK)
        on_read(stream, false); /* a bug of ours; nothing will come back */
}

static void start_send(struct stream *stream, struct due due)
{
    grpc_op ops[2];
    grpc_metadata details;
    size_t count = 0;
    bool has_details = due.end && md_call_retry_details(stream->end, stream->end_error.message, &details);
    memset(ops, 0, sizeof ops);
    if (due.with_metadata)
        ops[count++].op = GRPC_OP_SEND_INITIAL_METADATA;
    grpc_slice message =
        due.end ? grpc_slice_from_copied_string(stream->end_error.message) : grpc_empty_slice();
    if (due.end) {
        ops[count].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
        ops[count].data.send_status_from_server.status = (grpc_status_code)stream->end;
        ops[count].data.send_status_from_server.trailing_metadata = has_details ? &details : NULL;
        ops[count].data.send_status_from_server.trailing_metadata_count = has_details ? 1 : 0;
        ops[count++].data.send_status_from_server.status_details = stream->end == MD_OK ? NULL : &message;
    } else {
        ops[count].op = GRPC_OP_SEND_MESSAGE;
        ops[count++].data.send_message.send_message = stream->sending->answer;
    }
    md_tag_submitted(&stream->sent);
    if (grpc_call_start_batch(stream->call, ops, count, &stream->sent, NULL) != GRPC_CALL_OK)
        on_sent(stream, false); /* a bug of ours; nothing will come back */
    grpc_slice_unref(message);
    if (has_details)
        grpc_slice_unref(details.value);
}

static void watch_for_close(struct stream *stream)
{
    grpc_op op;
    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_RECV_CLOSE_ON_SERVER;
    op.data.recv_close_on_server.cancelled = &stream->was_cancelled;
    md_tag_submitted(&stream->closed);
    if (grpc_call_start_batch(stream->call, &op, 1, &stream->closed, NULL) != GRPC_CALL_OK)
        on_closed(stream, false); /* a bug of ours, as above */
}

/* ---- beginning ---- */

static bool asks_for_status(const grpc_metadata_array *metadata)
{
    for (size_t i = 0; i < metadata->count; i++)
        if (grpc_slice_str_cmp(metadata->metadata[i].key, "triton_grpc_error") == 0)
            return grpc_slice_str_cmp(metadata->metadata[i].value, "true") == 0;
    return false;
}

static void admit_stream_locked(struct stream *stream)
{
    struct md_stream_list *list = stream->list;
    if (list->synced.ending || md_services_phase(list->server->services) == MD_PHASE_DRAINING)
        end_with_locked(stream, MD_UNAVAILABLE, "the server is draining");
    else if (list->synced.count >= MD_STREAM_LIMIT)
        end_with_locked(stream, MD_RESOURCE_EXHAUSTED, "1024 streams are open, which is the limit");
    stream->next = list->synced.head;
    list->synced.head = stream;
    list->synced.count++;
}

void md_stream_begin(struct md_stream_list *list, const struct md_rpc_method *row, grpc_call *call,
                     gpr_timespec deadline, const grpc_metadata_array *metadata)
{
    struct md_server *server = list->server;
    struct stream *stream = md_allocate_zeroed(server->options.allocator, 1, sizeof *stream);
    if (stream == NULL) {
        grpc_call_unref(call); /* no memory: the client sees a stream that was cancelled */
        return;
    }
    stream->list = list;
    stream->row = row;
    stream->call = call;
    stream->read = (struct md_tag){ on_read, stream };
    stream->sent = (struct md_tag){ on_sent, stream };
    stream->closed = (struct md_tag){ on_closed, stream };
    stream->deadline_us = md_call_deadline_us(deadline);
    md_call_request_id(server, metadata, stream->request_id);
    md_arena_init(&stream->arena, server->options.allocator, PEER_BLOCK_SIZE);
    bool needs_peer = server->options.log_requests || md_admission_needs_peer(server);
    stream->peer = needs_peer ? md_call_peer(call, &stream->arena) : "";
    stream->ends_on_error = asks_for_status(metadata);
    stream->pending = 2; /* close, and this function */
    atomic_fetch_add_explicit(&server->calls, 1, memory_order_relaxed);
    atomic_store_explicit(&server->last_arrival_us, md_clock_us(), memory_order_relaxed);
    md_mutex_lock(&list->synced.lock);
    admit_stream_locked(stream);
    md_mutex_unlock(&list->synced.lock);
    watch_for_close(stream);
    settle(stream);
}

/* ---- the list ---- */

void md_stream_list_end(struct md_stream_list *list)
{
    struct stream *ended = NULL;
    md_mutex_lock(&list->synced.lock);
    list->synced.ending = true;
    for (struct stream *stream = list->synced.head; stream != NULL; stream = stream->next) {
        end_with_locked(stream, MD_UNAVAILABLE, "the server is draining");
        stream->pending++; /* until it is settled below */
        stream->next_ended = ended;
        ended = stream;
    }
    md_mutex_unlock(&list->synced.lock);
    for (struct stream *next; ended != NULL; ended = next) {
        next = ended->next_ended;
        settle(ended);
    }
}

enum md_code md_stream_list_create(struct md_server *server, struct md_stream_list **out_list,
                                   struct md_error *error)
{
    struct md_stream_list *list = md_allocate_zeroed(server->options.allocator, 1, sizeof *list);
    if (list == NULL)
        return md_fail_memory(error, "streams");
    list->server = server;
    md_mutex_init(&list->synced.lock);
    *out_list = list;
    return MD_OK;
}

void md_stream_list_destroy(struct md_stream_list *list)
{
    if (list == NULL)
        return;
    md_mutex_cleanup(&list->synced.lock);
    md_release(list->server->options.allocator, list);
}
