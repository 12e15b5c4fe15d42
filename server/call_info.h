/* call_info.h - what a call's envelope says: deadline, peer, request id. Memory: the caller's arena or
 * buffer. */
#ifndef MD_CALL_INFO_H
#define MD_CALL_INFO_H

#include "arena.h"
#include "status.h"

#include <grpc/grpc.h>
#include <stdbool.h>
#include <stdint.h>

struct md_rpc;
struct md_server;
struct md_trace;

/* On md_clock_us(); INT64_MAX: none. */
int64_t md_call_deadline_us(gpr_timespec deadline);

/* "ipv4:127.0.0.1:40000", "unix:"; "" when there is no memory. */
const char *md_call_peer(grpc_call *call, struct md_arena *arena);

/* The line of an answered request, if requests are logged or the fault is ours. */
void md_call_log(const struct md_server *server, const char *path, const struct md_rpc *rpc, enum md_code code,
                 const struct md_error *error, size_t request_bytes);

/* `grpc-status-details-bin` with a RetryInfo, if trying again makes sense; false: it does not. Its value is owned by the
 * caller, who unrefs it. */
bool md_call_retry_details(enum md_code code, const char *message, grpc_metadata *out_details);

/* x-request-id of the client if it is 1 to 32 printable characters, else a new one. */
void md_call_choose_id(struct md_server *server, const char *text, size_t size, char out_id[33]);
void md_call_request_id(struct md_server *server, const grpc_metadata_array *metadata, char out_id[33]);

/* The trace of the client's traceparent, or a new one. */
void md_call_trace(struct md_server *server, const grpc_metadata_array *metadata, struct md_trace *out_trace);

/* A number that no other call of this process has, and hardly one of another. */
uint64_t md_call_seed(struct md_server *server);

#endif
