/* generic.c - see generic.h. Everything here runs on a poller. */
#include "generic.h"

#include "allocator.h"
#include "front_end.h"
#include "health_watch.h"
#include "rpc_status.h"
#include "stream.h"

#include <grpc/slice.h>
#include <string.h>

struct generic {
    struct md_server *server;
    struct md_tag arrived, closed, sent;
    grpc_call *call;
    grpc_call_details details;
    grpc_metadata_array metadata;
    int was_cancelled;
    atomic_int pending; /* acquire-release, as in call.c */
};

static void post(struct generic *generic)
{
    struct md_server *server = generic->server;
    generic->call = NULL;
    grpc_call_details_init(&generic->details);
    grpc_metadata_array_init(&generic->metadata);
    md_tag_submitted(&generic->arrived);
    if (grpc_server_request_call(server->core, &generic->call, &generic->details, &generic->metadata,
                                 server->queue, server->queue, &generic->arrived) != GRPC_CALL_OK)
        md_release(server->options.allocator, generic); /* a bug of ours: one slot fewer */
}

static void clear(struct generic *generic)
{
    grpc_call_details_destroy(&generic->details);
    grpc_metadata_array_destroy(&generic->metadata);
}

static void post_again(struct generic *generic)
{
    clear(generic);
    if (atomic_load_explicit(&generic->server->draining, memory_order_relaxed))
        md_release(generic->server->options.allocator, generic);
    else
        post(generic);
}

static void drop_pending(struct generic *generic)
{
    if (atomic_fetch_sub_explicit(&generic->pending, 1, memory_order_acq_rel) != 1)
        return;
    grpc_call_unref(generic->call);
    post_again(generic);
}

static void on_done(void *owner, bool ok)
{
    (void)ok; /* false: the client is gone */
    drop_pending(owner);
}

static void refuse(struct generic *generic)
{
    struct md_error error;
    grpc_op ops[2];
    grpc_op close;
    memset(ops, 0, sizeof ops);
    memset(&close, 0, sizeof close);
    size_t size = GRPC_SLICE_LENGTH(generic->details.method);
    const char *path = (const char *)GRPC_SLICE_START_PTR(generic->details.method);
    (void)md_fail(&error, MD_UNIMPLEMENTED, "unknown method \"%.*s\"", size > 200 ? 200 : (int)size,
                  path); /* sent below */
    md_rpc_status_clean(&error);
    grpc_slice message = grpc_slice_from_copied_string(error.message);
    close.op = GRPC_OP_RECV_CLOSE_ON_SERVER;
    close.data.recv_close_on_server.cancelled = &generic->was_cancelled;
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[1].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    ops[1].data.send_status_from_server.status = GRPC_STATUS_UNIMPLEMENTED;
    ops[1].data.send_status_from_server.status_details = &message;
    grpc_call *call = generic->call;
    atomic_store_explicit(&generic->pending, 2, memory_order_relaxed);
    md_tag_submitted(&generic->closed);
    bool has_close = grpc_call_start_batch(call, &close, 1, &generic->closed, NULL) == GRPC_CALL_OK;
    md_tag_submitted(&generic->sent);
    bool has_answer = grpc_call_start_batch(call, ops, 2, &generic->sent, NULL) == GRPC_CALL_OK;
    grpc_slice_unref(message);
    if (!has_close) /* a bug of ours, as the next: nothing will come back for it */
        drop_pending(generic);
    if (!has_answer)
        drop_pending(generic);
}

static void on_arrived(void *owner, bool ok)
{
    struct generic *generic = owner;
    if (!ok) { /* the server shuts down */
        clear(generic);
        md_release(generic->server->options.allocator, generic);
        return;
    }
    if (grpc_slice_str_cmp(generic->details.method, MD_HEALTH_WATCH_PATH) == 0) {
        md_health_watch_begin(generic->server->watches, generic->call);
        post_again(generic);
        return;
    }
    const struct md_rpc_method *row =
        md_method_find((const char *)GRPC_SLICE_START_PTR(generic->details.method),
                       GRPC_SLICE_LENGTH(generic->details.method));
    if (row != NULL && (row->flags & MD_RPC_STREAM) != 0) {
        md_stream_begin(generic->server->streams, row, generic->call, generic->details.deadline,
                        &generic->metadata);
        post_again(generic);
        return;
    }
    refuse(generic);
}

enum md_code md_generic_post_slot(struct md_server *server, struct md_error *error)
{
    struct generic *generic = md_allocate_zeroed(server->options.allocator, 1, sizeof *generic);
    if (generic == NULL)
        return md_fail_memory(error, "call slots");
    generic->server = server;
    generic->arrived = (struct md_tag){ on_arrived, generic };
    generic->closed = (struct md_tag){ on_done, generic };
    generic->sent = (struct md_tag){ on_done, generic };
    atomic_init(&generic->pending, 0);
    post(generic);
    return MD_OK;
}
