/* gateway.h - the services' methods for callers that do not come over gRPC (HTTP): the same limits, the same worker
 * groups, the same handlers. It shows no gRPC type. Threads: any. */
#ifndef MD_GATEWAY_H
#define MD_GATEWAY_H

#include "status.h"

#include <stdbool.h>
#include <stddef.h>

struct md_job;
struct md_method;
struct md_rpc;
struct md_rpc_method;
struct md_server;
struct md_trace;

/* NULL: no method has this path. Valid as long as the server. */
struct md_method *md_gateway_find(struct md_server *server, const char *path);
const struct md_rpc_method *md_gateway_row(const struct md_method *method);

/* Counts a call against the limits of its method. OK: md_gateway_leave follows, while rpc->peer is still there.
 * RESOURCE_EXHAUSTED: a limit, with both numbers. UNAVAILABLE: the server is draining. */
MD_NODISCARD enum md_code md_gateway_enter(struct md_server *server, struct md_method *method, const struct md_rpc *rpc,
                                           size_t bytes, struct md_error *error);
void md_gateway_leave(struct md_server *server, struct md_method *method, const struct md_rpc *rpc, size_t bytes);

/* Runs the job on the method's worker group. False: its queue is full. The method is not inline. */
bool md_gateway_push(struct md_method *method, struct md_job *job);

/* Request id and trace of a call, from its headers (NULL: none). */
void md_gateway_identify(struct md_server *server, const char *request_id, const char *traceparent,
                         struct md_rpc *rpc);

/* For /metrics. */
struct md_gateway_gauges {
    size_t calls, inflight_calls, inflight_bytes;
    size_t inflight_calls_limit, inflight_bytes_limit;
    size_t inference_queue, control_queue, load_queue; /* jobs that wait for a worker */
};
void md_gateway_gauges(struct md_server *server, struct md_gateway_gauges *out_gauges);

#endif
