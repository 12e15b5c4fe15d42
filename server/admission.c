/* admission.c - see admission.h. */
#include "admission.h"

#include "client_limit.h"
#include "front_end.h"

#include <inttypes.h>

static enum md_code check_totals(const struct md_server *server, size_t calls, size_t bytes, struct md_error *error)
{
    const struct md_server_options *options = &server->options;
    if (calls > options->max_inflight)
        return md_fail(error, MD_RESOURCE_EXHAUSTED, "%zu inference calls are in flight, limit is %zu",
                       calls - 1, options->max_inflight);
    if (bytes > options->max_inflight_bytes && calls > 1) /* one call alone is always let through */
        return md_fail(error, MD_RESOURCE_EXHAUSTED, "%zu bytes of requests are in flight, limit is %zu",
                       bytes, options->max_inflight_bytes);
    return MD_OK;
}

static void leave_totals(struct md_server *server, size_t bytes)
{
    atomic_fetch_sub_explicit(&server->inflight_calls, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&server->inflight_bytes, bytes, memory_order_relaxed);
}

enum md_code md_admission_enter(struct md_server *server, const struct md_rpc *rpc, size_t bytes,
                                struct md_error *error)
{
    size_t calls = atomic_fetch_add_explicit(&server->inflight_calls, 1, memory_order_relaxed) + 1;
    size_t total = atomic_fetch_add_explicit(&server->inflight_bytes, bytes, memory_order_relaxed) + bytes;
    enum md_code code = check_totals(server, calls, total, error);
    if (code == MD_OK && server->clients != NULL)
        code = md_client_limit_enter(server->clients, rpc->peer, error);
    if (code != MD_OK)
        leave_totals(server, bytes);
    return code;
}

void md_admission_leave(struct md_server *server, const struct md_rpc *rpc, size_t bytes)
{
    leave_totals(server, bytes);
    if (server->clients != NULL)
        md_client_limit_leave(server->clients, rpc->peer);
}

bool md_admission_needs_peer(const struct md_server *server)
{
    return server->clients != NULL;
}

enum md_code md_admission_check_wanted(const struct md_rpc *rpc, struct md_error *error)
{
    if (rpc->started_at_us >= rpc->deadline_us)
        return md_fail(error, MD_DEADLINE_EXCEEDED,
                       "the deadline has passed after %" PRId64 " us in the queue",
                       rpc->started_at_us - rpc->arrived_at_us);
    if (atomic_load_explicit(&rpc->cancelled, memory_order_relaxed))
        return md_fail(error, MD_CANCELLED, "the client has gone after %" PRId64 " us in the queue",
                       rpc->started_at_us - rpc->arrived_at_us);
    return MD_OK;
}
