/* gateway.c - see gateway.h. */
#include "gateway.h"
#include "admission.h"

#include "call_info.h"
#include "front_end.h"
#include "worker_group.h"

#include <string.h>

struct md_method *md_gateway_find(struct md_server *server, const char *path)
{
    for (size_t m = 0; m < server->method_count; m++)
        if (strcmp(server->methods[m].row->path, path) == 0)
            return &server->methods[m];
    return NULL;
}

const struct md_rpc_method *md_gateway_row(const struct md_method *method)
{
    return method->row;
}

/* ---- admission ---- */

static enum md_code admit(struct md_server *server, const struct md_method *method, const struct md_rpc *rpc,
                          size_t calls, size_t bytes, struct md_error *error)
{
    if (md_services_phase(server->services) == MD_PHASE_DRAINING)
        return md_fail(error, MD_UNAVAILABLE, "the server is draining");
    if ((method->row->flags & MD_RPC_INFERENCE) != 0)
        return md_admission_enter(server, rpc, bytes, error);
    if (calls > method->limit)
        return md_fail(error, MD_RESOURCE_EXHAUSTED, "%zu calls of %s are under way, limit is %zu", calls - 1,
                       method->row->path, method->limit);
    return MD_OK;
}

enum md_code md_gateway_enter(struct md_server *server, struct md_method *method, const struct md_rpc *rpc, size_t bytes,
                              struct md_error *error)
{
    size_t calls = atomic_fetch_add_explicit(&method->calls, 1, memory_order_relaxed) + 1;
    enum md_code code = admit(server, method, rpc, calls, bytes, error);
    if (code != MD_OK)
        atomic_fetch_sub_explicit(&method->calls, 1, memory_order_relaxed);
    return code;
}

void md_gateway_leave(struct md_server *server, struct md_method *method, const struct md_rpc *rpc, size_t bytes)
{
    if ((method->row->flags & MD_RPC_INFERENCE) != 0)
        md_admission_leave(server, rpc, bytes);
    atomic_fetch_sub_explicit(&method->calls, 1, memory_order_relaxed);
}

bool md_gateway_push(struct md_method *method, struct md_job *job)
{
    return md_worker_group_push(method->group, job);
}

/* ---- the rest ---- */

void md_gateway_identify(struct md_server *server, const char *request_id, const char *traceparent,
                         struct md_rpc *rpc)
{
    md_call_choose_id(server, request_id, request_id == NULL ? 0 : strlen(request_id), rpc->request_id);
    md_trace_begin(&rpc->trace, traceparent, traceparent == NULL ? 0 : strlen(traceparent), md_call_seed(server));
}

void md_gateway_gauges(struct md_server *server, struct md_gateway_gauges *out_gauges)
{
    *out_gauges = (struct md_gateway_gauges){
        .calls = atomic_load_explicit(&server->calls, memory_order_relaxed),
        .inflight_calls = atomic_load_explicit(&server->inflight_calls, memory_order_relaxed),
        .inflight_bytes = atomic_load_explicit(&server->inflight_bytes, memory_order_relaxed),
        .inflight_calls_limit = server->options.max_inflight,
        .inflight_bytes_limit = server->options.max_inflight_bytes,
        .inference_queue = md_worker_group_queued(server->inference),
        .control_queue = md_worker_group_queued(server->control),
        .load_queue = md_worker_group_queued(server->loads),
    };
}
