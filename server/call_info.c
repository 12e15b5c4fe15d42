/* call_info.c - see call_info.h. */
#include "call_info.h"

#include "clock.h"
#include "front_end.h"
#include "log.h"
#include "rpc_status.h"
#include "trace.h"

#include <arpa/inet.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int64_t md_call_deadline_us(gpr_timespec deadline)
{
    if (gpr_time_cmp(deadline, gpr_inf_future(deadline.clock_type)) == 0)
        return INT64_MAX;
    gpr_timespec until = gpr_convert_clock_type(deadline, GPR_CLOCK_MONOTONIC);
    gpr_timespec left = gpr_time_sub(until, gpr_now(GPR_CLOCK_MONOTONIC));
    return md_clock_us() + left.tv_sec * 1000000 + left.tv_nsec / 1000;
}

/* Connections that our own listener accepted are named "fd:7" by the core. */
static const char *name_of_fd(int fd, struct md_arena *arena)
{
    struct sockaddr_storage address = { 0 };
    socklen_t size = sizeof address;
    char text[INET6_ADDRSTRLEN];
    const char *name = NULL;
    if (getpeername(fd, (struct sockaddr *)&address, &size) != 0)
        return "";
    if (address.ss_family == AF_INET) {
        const struct sockaddr_in *ip = (const struct sockaddr_in *)(const void *)&address;
        if (inet_ntop(AF_INET, &ip->sin_addr, text, sizeof text) != NULL)
            name = md_arena_printf(arena, "ipv4:%s:%d", text, ntohs(ip->sin_port));
    } else if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *ip = (const struct sockaddr_in6 *)(const void *)&address;
        if (inet_ntop(AF_INET6, &ip->sin6_addr, text, sizeof text) != NULL)
            name = md_arena_printf(arena, "ipv6:[%s]:%d", text, ntohs(ip->sin6_port));
    } else {
        name = "unix:";
    }
    return name == NULL ? "" : name;
}

const char *md_call_peer(grpc_call *call, struct md_arena *arena)
{
    char *peer = grpc_call_get_peer(call);
    const char *name = strncmp(peer, "fd:", 3) == 0 ? name_of_fd(atoi(peer + 3), arena)
                                                    : md_arena_copy_string(arena, peer, strlen(peer));
    gpr_free(peer);
    return name == NULL ? "" : name;
}

uint64_t md_call_seed(struct md_server *server)
{
    uint64_t number = atomic_fetch_add_explicit(&server->next_id, 1, memory_order_relaxed);
    return server->id_salt + number * 0x9e3779b97f4a7c15u;
}

void md_call_trace(struct md_server *server, const grpc_metadata_array *metadata, struct md_trace *out_trace)
{
    const char *header = NULL;
    size_t size = 0;
    for (size_t i = 0; i < metadata->count; i++)
        if (grpc_slice_str_cmp(metadata->metadata[i].key, "traceparent") == 0) {
            header = (const char *)GRPC_SLICE_START_PTR(metadata->metadata[i].value);
            size = GRPC_SLICE_LENGTH(metadata->metadata[i].value);
        }
    md_trace_begin(out_trace, header, size, md_call_seed(server));
}

static void make_id(struct md_server *server, char out_id[33])
{
    static const char digits[] = "0123456789abcdef";
    uint64_t id = md_trace_mix(md_call_seed(server));
    for (int i = 0; i < 16; i++)
        out_id[i] = digits[id >> (60 - 4 * i) & 15];
    out_id[16] = '\0';
}

void md_call_choose_id(struct md_server *server, const char *text, size_t size, char out_id[33])
{
    size_t printable = 0;
    while (printable < size && text[printable] > 0x20 && text[printable] < 0x7f)
        printable++;
    if (size < 1 || size > 32 || printable != size) {
        make_id(server, out_id);
        return;
    }
    memcpy(out_id, text, size);
    out_id[size] = '\0';
}

void md_call_request_id(struct md_server *server, const grpc_metadata_array *metadata, char out_id[33])
{
    const char *text = NULL;
    size_t size = 0;
    for (size_t i = 0; i < metadata->count; i++)
        if (grpc_slice_str_cmp(metadata->metadata[i].key, "x-request-id") == 0) {
            text = (const char *)GRPC_SLICE_START_PTR(metadata->metadata[i].value);
            size = GRPC_SLICE_LENGTH(metadata->metadata[i].value);
        }
    md_call_choose_id(server, text, size, out_id);
}

bool md_call_retry_details(enum md_code code, const char *message, grpc_metadata *out_details)
{
    unsigned char bytes[MD_RPC_STATUS_DETAILS_SIZE];
    uint32_t retry_ms = md_rpc_status_retry_ms(code);
    if (retry_ms == 0)
        return false;
    size_t size = md_rpc_status_details(code, message, retry_ms, bytes);
    memset(out_details, 0, sizeof *out_details);
    out_details->key = grpc_slice_from_static_string("grpc-status-details-bin");
    out_details->value = grpc_slice_from_copied_buffer((const char *)bytes, size);
    return true;
}

void md_call_log(const struct md_server *server, const char *path, const struct md_rpc *rpc, enum md_code code,
                 const struct md_error *error, size_t request_bytes)
{
    enum md_log_level level = code == MD_INTERNAL || code == MD_DATA_LOSS ? MD_LOG_ERROR : MD_LOG_INFO;
    if (!server->options.log_requests && level != MD_LOG_ERROR)
        return;
    MD_LOG(server->services->log, level, "request", MD_LOG_STRING("method", path),
           MD_LOG_STRING("request_id", rpc->request_id), MD_LOG_STRING("trace_id", rpc->trace.trace_id),
           MD_LOG_STRING("peer", rpc->peer),
           MD_LOG_STRING("model", rpc->model), MD_LOG_COUNT("version", rpc->version),
           MD_LOG_STRING("code", md_code_name(code)), MD_LOG_STRING("message", error->message),
           MD_LOG_COUNT("request_bytes", request_bytes),
           MD_LOG_NUMBER("duration_us", md_clock_us() - rpc->arrived_at_us));
}
