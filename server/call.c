/* call.c - see call.h. */
#include "call.h"

#include "admission.h"
#include "allocator.h"
#include "call_info.h"
#include "clock.h"
#include "front_end.h"
#include "gateway.h"
#include "log.h"
#include "message.h"
#include "rpc_status.h"
#include "telemetry.h"
#include "worker_group.h"

#include <grpc/slice.h>
#include <inttypes.h>
#include <string.h>

enum { ARENA_BLOCK_SIZE = 8 * 1024 };

struct md_call {
    struct md_rpc rpc; /* first: nothing hangs on it, but a debugger likes it */
    struct md_server *server;
    struct md_method *method;
    struct md_job job;
    struct md_tag arrived, closed, sent;

    grpc_call *call; /* the rest is of one call, and cleared before the slot is posted again */
    gpr_timespec deadline;
    grpc_metadata_array metadata;
    grpc_byte_buffer *payload; /* until it is unpacked */
    grpc_byte_buffer *answer;
    size_t payload_bytes;
    bool is_counted;    /* against the in-flight limits */
    int was_cancelled;  /* the core writes it before `closed` */
    bool closes_with_answer; /* answered at once: one batch says both */
    atomic_int pending; /* batches that are out; acquire-release: who takes the last one owns the call */
    enum md_code code;
    struct md_error error;
    grpc_metadata trailers[2]; /* grpc-status-details-bin, endpoint-load-metrics-bin */
    size_t trailer_count;
    grpc_metadata initial; /* traceparent */
};

/* ---- the slot ---- */

static void forget(struct md_call *call)
{
    struct md_server *server = call->server;
    if (call->is_counted)
        md_admission_leave(server, &call->rpc, call->payload_bytes);
    atomic_fetch_sub_explicit(&call->method->calls, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&server->calls, 1, memory_order_relaxed);
    if (call->payload != NULL)
        grpc_byte_buffer_destroy(call->payload);
    if (call->answer != NULL)
        grpc_byte_buffer_destroy(call->answer);
    for (size_t i = 0; i < call->trailer_count; i++)
        grpc_slice_unref(call->trailers[i].value);
    grpc_slice_unref(call->initial.value);
    grpc_metadata_array_destroy(&call->metadata);
    grpc_call_unref(call->call);
    md_arena_cleanup(&call->rpc.arena);
}

static void destroy_slot(struct md_call *call)
{
    md_release(call->server->options.allocator, call);
}

static void post(struct md_call *call)
{
    struct md_server *server = call->server;
    call->call = NULL;
    call->payload = call->answer = NULL;
    call->payload_bytes = 0;
    call->is_counted = false;
    call->trailer_count = 0;
    call->initial.value = grpc_empty_slice();
    call->code = MD_OK;
    call->error.message[0] = '\0';
    call->rpc.request = NULL;
    call->rpc.response = NULL;
    call->rpc.model = NULL;
    call->rpc.version = 0;
    md_telemetry_begin(&call->rpc);
    call->rpc.peer = "";
    atomic_store_explicit(&call->rpc.cancelled, false, memory_order_relaxed);
    grpc_metadata_array_init(&call->metadata);
    md_tag_submitted(&call->arrived);
    grpc_call_error problem = grpc_server_request_registered_call(
        server->core, call->method->handle, &call->call, &call->deadline, &call->metadata, &call->payload,
        server->queue, server->queue, &call->arrived);
    if (problem !=
        GRPC_CALL_OK) { /* a bug of ours or a server that is gone: the slot is lost, the others remain */
        MD_LOG(server->services->log, MD_LOG_ERROR, "slot not posted, going on with fewer",
               MD_LOG_STRING("method", call->method->row->path),
               MD_LOG_STRING("reason", grpc_call_error_to_string(problem)));
        destroy_slot(call);
    }
}

/* One batch is back; the last one frees the slot. */
static void drop_pending(struct md_call *call)
{
    if (atomic_fetch_sub_explicit(&call->pending, 1, memory_order_acq_rel) != 1)
        return;
    forget(call);
    if (atomic_load_explicit(&call->server->draining, memory_order_relaxed))
        destroy_slot(call);
    else
        post(call);
}

static void on_closed(void *owner, bool ok)
{
    struct md_call *call = owner;
    (void)ok; /* it always is; the flag tells */
    if (call->was_cancelled)
        atomic_store_explicit(&call->rpc.cancelled, true, memory_order_relaxed);
    drop_pending(call);
}

static void on_sent(void *owner, bool ok)
{
    (void)ok; /* false: the client is gone, and there is nobody to tell */
    drop_pending(owner);
}

/* ---- the answer ---- */

static void add_trace(struct md_call *call)
{
    char traceparent[MD_TRACEPARENT_SIZE + 1];
    md_trace_format(&call->rpc.trace, traceparent);
    call->initial = (grpc_metadata){ .key = grpc_slice_from_static_string("traceparent"),
                                     .value = grpc_slice_from_copied_buffer(traceparent, MD_TRACEPARENT_SIZE) };
}

/* Sends call->code. Afterwards the call belongs to the completions. */
static void answer(struct md_call *call)
{
    grpc_op ops[4];
    size_t count = 0;
    memset(ops, 0, sizeof ops);
    if (call->code != MD_OK) {
        md_rpc_status_clean(&call->error);
        call->trailer_count += md_call_retry_details(call->code, call->error.message, &call->trailers[0]) ? 1 : 0;
    }
    call->trailer_count += md_load_report(call->server, &call->metadata, &call->trailers[call->trailer_count]) ? 1 : 0;
    md_telemetry_end(call->server->services, &call->rpc, call->method->metrics, call->method->row->path,
                     call->code);
    md_call_log(call->server, call->method->row->path, &call->rpc, call->code, &call->error, call->payload_bytes);
    grpc_slice message =
        call->code == MD_OK ? grpc_empty_slice() : grpc_slice_from_copied_string(call->error.message);
    ops[count].op = GRPC_OP_SEND_INITIAL_METADATA;
    if (call->rpc.trace.parent_id[0] != '\0') { /* who sent no trace gets none: it costs each answer its compression */
        add_trace(call);
        ops[count].data.send_initial_metadata.metadata = &call->initial;
        ops[count].data.send_initial_metadata.count = 1;
    }
    count++;
    if (call->code == MD_OK) {
        ops[count].op = GRPC_OP_SEND_MESSAGE;
        ops[count++].data.send_message.send_message = call->answer;
    }
    ops[count].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    ops[count].data.send_status_from_server.status = (grpc_status_code)call->code;
    ops[count].data.send_status_from_server.status_details = call->code == MD_OK ? NULL : &message;
    ops[count].data.send_status_from_server.trailing_metadata =
        call->trailer_count > 0 ? call->trailers : NULL;
    ops[count++].data.send_status_from_server.trailing_metadata_count = call->trailer_count;
    if (call->closes_with_answer) {
        ops[count].op = GRPC_OP_RECV_CLOSE_ON_SERVER;
        ops[count++].data.recv_close_on_server.cancelled = &call->was_cancelled;
    }
    grpc_call *core_call = call->call;
    md_tag_submitted(&call->sent); /* nothing of the call is touched from here on */
    grpc_call_error problem = grpc_call_start_batch(core_call, ops, count, &call->sent, NULL);
    grpc_slice_unref(message);
    if (problem != GRPC_CALL_OK) /* a bug of ours; no completion comes, the call is still ours */
        drop_pending(call);
}

/* ---- the work ---- */

static enum md_code unpack(struct md_call *call)
{
    size_t limit = md_message_unpack_limit(call->payload_bytes, call->server->options.max_message_bytes);
    MD_TRY(md_message_unpack(call->method->row->request_type, call->payload, &call->rpc.arena, limit, &call->rpc.request,
                             &call->error));
    grpc_byte_buffer_destroy(call->payload);
    call->payload = NULL;
    return MD_OK;
}

static enum md_code handle(struct md_call *call)
{
    struct md_rpc *rpc = &call->rpc;
    const struct md_rpc_method *row = call->method->row;
    rpc->started_at_us = md_clock_us();
    MD_TRY(md_admission_check_wanted(rpc, &call->error));
    if (call->payload != NULL) /* else the poller has done it */
        MD_TRY(unpack(call));
    MD_TRY(row->handler(call->server->services, rpc, &call->error));
    return md_message_pack(rpc->response, &call->answer, &call->error);
}

static void work(void *owner)
{
    struct md_call *call = owner;
    call->code = handle(call);
    answer(call);
}

/* ---- admission, on the poller, before anything is parsed ---- */

static enum md_code admit(struct md_call *call, struct md_error *error)
{
    const struct md_rpc_method *row = call->method->row;
    size_t calls = atomic_load_explicit(&call->method->calls, memory_order_relaxed);
    if (md_services_phase(call->server->services) == MD_PHASE_DRAINING &&
        (row->flags & MD_RPC_WHILE_DRAINING) == 0)
        return md_fail(error, MD_UNAVAILABLE, "the server is draining");
    if (call->payload == NULL)
        return md_fail(error, MD_INVALID_ARGUMENT, "the call has no request message");
    if (call->rpc.arrived_at_us >= call->rpc.deadline_us)
        return md_fail(error, MD_DEADLINE_EXCEEDED, "the deadline had passed when the call came");
    if ((row->flags & MD_RPC_INFERENCE) != 0) {
        MD_TRY(md_admission_enter(call->server, &call->rpc, call->payload_bytes, error));
        call->is_counted = true;
        return MD_OK;
    }
    if (calls > call->method->limit)
        return md_fail(error, MD_RESOURCE_EXHAUSTED, "%zu calls of %s are under way, limit is %zu", calls - 1,
                       row->path, call->method->limit);
    return MD_OK;
}

enum { QUICK_BYTES = 16 * 1024 };

/* Small requests of methods that may be quick are unpacked on the poller, which then knows what they want. */
static bool is_quick(struct md_call *call)
{
    const struct md_rpc_method *row = call->method->row;
    if (row->is_quick == NULL || call->payload_bytes > QUICK_BYTES)
        return false;
    call->code = unpack(call);
    return call->code == MD_OK && row->is_quick(call->server->services, &call->rpc);
}

/* False: there is no call any more. */
static bool watch_for_close(struct md_call *call)
{
    grpc_op op;
    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_RECV_CLOSE_ON_SERVER;
    op.data.recv_close_on_server.cancelled = &call->was_cancelled;
    atomic_store_explicit(&call->pending, 2, memory_order_relaxed); /* this batch and the answer */
    md_tag_submitted(&call->closed);
    return grpc_call_start_batch(call->call, &op, 1, &call->closed, NULL) == GRPC_CALL_OK;
}

static void on_arrived(void *owner, bool ok)
{
    struct md_call *call = owner;
    struct md_server *server = call->server;
    if (!ok) { /* the server shuts down */
        grpc_metadata_array_destroy(&call->metadata);
        destroy_slot(call);
        return;
    }
    struct md_rpc *rpc = &call->rpc;
    md_arena_init(&rpc->arena, server->options.allocator, ARENA_BLOCK_SIZE);
    rpc->arrived_at_us = rpc->started_at_us = md_clock_us();
    atomic_store_explicit(&server->last_arrival_us, rpc->arrived_at_us, memory_order_relaxed);
    rpc->deadline_us = md_call_deadline_us(call->deadline);
    md_call_request_id(server, &call->metadata, rpc->request_id);
    md_call_trace(server, &call->metadata, &rpc->trace);
    if (server->options.log_requests || md_admission_needs_peer(server) ||
        (call->method->row->flags & (MD_RPC_LOAD | MD_RPC_PEER)) != 0)
        rpc->peer = md_call_peer(call->call, &rpc->arena);
    call->payload_bytes = call->payload == NULL ? 0 : grpc_byte_buffer_length(call->payload);
    rpc->request_bytes = call->payload_bytes;
    atomic_fetch_add_explicit(&call->method->calls, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&server->calls, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&server->arrivals, 1, memory_order_relaxed);
    call->code = admit(call, &call->error);
    rpc->is_quick = call->code == MD_OK && is_quick(call);
    call->closes_with_answer = call->code != MD_OK || call->method->group == NULL || rpc->is_quick;
    if (call->closes_with_answer) {
        atomic_store_explicit(&call->pending, 1, memory_order_relaxed); /* the answer alone */
        if (call->code == MD_OK)
            work(call);
        else
            answer(call);
        return;
    }
    if (!watch_for_close(call)) /* a bug of ours; goes on without noticing cancellation */
        drop_pending(call);
    if (md_worker_group_push(call->method->group, &call->job))
        return;
    call->code = md_fail(&call->error, MD_RESOURCE_EXHAUSTED, "the queue for %s is full", call->method->row->path);
    answer(call);
}

enum md_code md_call_post_slot(struct md_server *server, struct md_method *method, struct md_error *error)
{
    struct md_call *call = md_allocate_zeroed(server->options.allocator, 1, sizeof *call);
    if (call == NULL)
        return md_fail_memory(error, "call slots");
    call->server = server;
    call->method = method;
    call->job = (struct md_job){ .function = work, .owner = call };
    call->arrived = (struct md_tag){ on_arrived, call };
    call->closed = (struct md_tag){ on_closed, call };
    call->sent = (struct md_tag){ on_sent, call };
    atomic_init(&call->rpc.cancelled, false);
    atomic_init(&call->pending, 0);
    post(call);
    return MD_OK;
}
