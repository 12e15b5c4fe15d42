/* health.c - the standard health service: Check once, or Watch until SERVING. */
#include "call.h"

#include "allocator.h"
#include "grpc/health/v1/health.pb-c.h"

#include <grpc/support/time.h>

_Static_assert((int)MD_CLIENT_HEALTH_SERVICE_UNKNOWN ==
                   (int)GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN,
               "the numbers of grpc.health.v1");

const char *md_client_health_name(enum md_client_health health)
{
    static const char *const names[] = { "UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN" };
    return (size_t)health < sizeof names / sizeof names[0] ? names[health] : names[0];
}

enum md_client_code md_client_health_check(struct md_client *client, const char *service,
                                           const struct md_client_call_options *options,
                                           enum md_client_health *out_health, struct md_client_error *error)
{
    struct md_arena arena;
    md_arena_init(&arena, md_process_allocator(), 1024);
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    request.service = md_call_string(service);
    ProtobufCMessage *response = NULL;
    enum md_client_code code = md_call_unary(client, "/grpc.health.v1.Health/Check", &request.base,
                                             &grpc__health__v1__health_check_response__descriptor, options,
                                             &arena, &response, error);
    if (code == MD_CLIENT_OK)
        *out_health =
            (enum md_client_health)((const Grpc__Health__V1__HealthCheckResponse *)response)->status;
    md_arena_cleanup(&arena);
    return code;
}

struct watch {
    enum md_client_health last;
};

static bool on_health(const ProtobufCMessage *message, void *owner)
{
    struct watch *watch = owner;
    watch->last = (enum md_client_health)((const Grpc__Health__V1__HealthCheckResponse *)message)->status;
    return watch->last != MD_CLIENT_HEALTH_SERVING;
}

/* A stream that breaks (the server restarts) is opened again: the core waits for the connection. */
enum md_client_code md_client_wait_until_serving(struct md_client *client, const char *service,
                                                 const struct md_client_call_options *options,
                                                 struct md_client_error *error)
{
    struct md_client_call_options waiting = { 0 };
    if (options != NULL)
        waiting = *options;
    waiting.wait_for_connection = 1;
    uint32_t timeout_ms = md_call_timeout_ms(client, options);
    gpr_timespec deadline =
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(timeout_ms, GPR_TIMESPAN));
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    request.service = md_call_string(service);
    struct watch watch = { MD_CLIENT_HEALTH_UNKNOWN };
    enum md_client_code code;
    do
        code = md_call_stream(client, "/grpc.health.v1.Health/Watch", &request.base,
                              &grpc__health__v1__health_check_response__descriptor, &waiting, deadline,
                              on_health, &watch, error);
    while (code == MD_CLIENT_UNAVAILABLE && gpr_time_cmp(gpr_now(GPR_CLOCK_MONOTONIC), deadline) < 0);
    if (code != MD_CLIENT_DEADLINE_EXCEEDED && code != MD_CLIENT_UNAVAILABLE)
        return code;
    if (watch.last == MD_CLIENT_HEALTH_UNKNOWN)
        return md_call_fail(error, MD_CLIENT_DEADLINE_EXCEEDED,
                            "cannot connect to %s within %u ms: is modeld running?", client->target,
                            timeout_ms);
    return md_call_fail(error, MD_CLIENT_DEADLINE_EXCEEDED, "%s \"%s\" is still %s after %u ms",
                        service != NULL && service[0] != '\0' ? "service" : "server",
                        service != NULL && service[0] != '\0' ? service : client->target,
                        md_client_health_name(watch.last), timeout_ms);
}
