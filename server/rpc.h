/* rpc.h - what an RPC handler sees: no gRPC type, one arena, one request message, one response message.
 *
 * A handler runs on a worker thread: of the inference, the load, or else the control group (or, for
 * MD_RPC_INLINE rows, on the poller, where it must not block). It reads rpc->request (already unpacked into
 * rpc->arena), allocates its response in rpc->arena, sets rpc->response and returns MD_OK; or it returns
 * another code with the message in *error, which becomes the RPC's status. Everything in the arena dies when
 * the response has been sent. */
#ifndef MD_RPC_H
#define MD_RPC_H

#include "arena.h"
#include "metrics.h"
#include "status.h"
#include "trace.h"
#include "utf8.h"

#include <protobuf-c/protobuf-c.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct md_services; /* what the handlers work with: model manager, registry, readiness; services.h */

struct md_rpc {
    struct md_arena arena;           /* of this request; cleaned up by the server */
    const ProtobufCMessage *request; /* of the row's request type */
    ProtobufCMessage *response;      /* of the row's response type; set by the handler */
    size_t request_bytes;
    bool is_quick;                   /* it runs on the poller, and must not wait */
    int64_t arrived_at_us;           /* md_clock_us() when the call came */
    int64_t started_at_us;           /* when the handler was entered */
    int64_t deadline_us;             /* on md_clock_us(); INT64_MAX: none */
    atomic_bool cancelled;           /* relaxed: a hint to stop early */
    const char *peer;                /* "ipv4:127.0.0.1:40000" */
    char request_id[33];             /* x-request-id if the client sent one, else made here */
    const char *model; /* for the log; set by the handler when it knows; in the arena or static */
    uint64_t version;  /* as model; 0: not known */

    struct md_trace trace;
    struct md_version_metrics *metrics; /* of the version that runs it; NULL: no inference */
    uint64_t rows;                      /* of the inference */
    uint64_t tokens;
    int64_t computed_at_us;             /* when the run was over; 0: it was not reached */
    int64_t stage_us[MD_STAGE_COUNT];   /* -1: not reached */
};

/* May the handler of this request, already unpacked, run on the poller? For methods that run on workers but are at times
 * over before a worker would have woken. */
typedef bool (*md_rpc_is_quick_fn)(struct md_services *services, const struct md_rpc *rpc);

typedef enum md_code (*md_rpc_handler_fn)(struct md_services *services, struct md_rpc *rpc,
                                          struct md_error *error);

enum md_rpc_flags {
    MD_RPC_INLINE = 1,         /* answers from memory: runs on the poller */
    MD_RPC_INFERENCE = 2,      /* counts against the in-flight limits */
    MD_RPC_WHILE_DRAINING = 4, /* answered even when the server is draining (health, liveness) */
    MD_RPC_LOAD = 8,           /* may take seconds: runs on the load workers */
    MD_RPC_STREAM = 16,        /* both sides stream; the handler is called for each message (stream.h) */
    MD_RPC_PEER = 32           /* the handler looks at rpc->peer */
};

/* A string of the request for an answer's string field, as far as it is UTF-8. NULL: no memory. */
static inline char *md_rpc_echo(struct md_arena *arena, const char *text)
{
    return md_arena_copy_string(arena, text, md_utf8_valid_prefix(text, strlen(text)));
}

/* A failed message of a stream as an answer of the row's response type, in rpc->arena, so that the stream goes
 * on. rpc->request may be NULL: it was not understood. NULL: no memory; the stream ends. */
typedef ProtobufCMessage *(*md_rpc_failure_fn)(struct md_rpc *rpc, enum md_code code, const char *message);

/* One row per method. The tables of all services are listed in method_tables.def; adding an RPC is a
 * handler and a row in its service's file. */
struct md_rpc_method {
    const char *path; /* "/modeld.v1.ModelService/Predict" */
    const ProtobufCMessageDescriptor *request_type;
    const ProtobufCMessageDescriptor *response_type;
    md_rpc_handler_fn handler;
    unsigned flags;
    md_rpc_failure_fn failure;   /* of a stream */
    md_rpc_is_quick_fn is_quick; /* NULL: never */
};

#endif
