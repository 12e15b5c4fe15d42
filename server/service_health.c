/* service_health.c - grpc.health.v1.Health: Check and its table. Watch is a stream: health_watch.c. See also
 * health.h. */
#include "health.h"

#include "model_catalogue.h"
#include "repository.h"
#include "services.h"
#include "version_text.h"

#include <grpc/health/v1/health.pb-c.h>
#include <string.h>

static enum md_health model_health(const struct md_services *services, const char *name)
{
    char model[MD_MODEL_NAME_LIMIT + 1];
    struct md_catalogue_state state;
    uint64_t version = 0;
    size_t size = strcspn(name, "/");
    if (size == 0 || size >= sizeof model)
        return MD_HEALTH_SERVICE_UNKNOWN;
    memcpy(model, name, size);
    model[size] = '\0';
    if (name[size] == '/' && (md_version_parse(name + size + 1, &version, NULL) != MD_OK || version == 0))
        return MD_HEALTH_SERVICE_UNKNOWN;
    if (!md_catalogue_find(services->catalogue, model, version, &state))
        return MD_HEALTH_SERVICE_UNKNOWN;
    return state.state == MD_VERSION_READY && md_services_phase(services) != MD_PHASE_DRAINING
               ? MD_HEALTH_SERVING
               : MD_HEALTH_NOT_SERVING;
}

enum md_health md_health_of(const struct md_services *services, const char *name)
{
    if (*name == '\0' || md_method_find_service(name) != NULL)
        return md_services_phase(services) == MD_PHASE_SERVING ? MD_HEALTH_SERVING : MD_HEALTH_NOT_SERVING;
    return model_health(services, name);
}

static enum md_code check(struct md_services *services, struct md_rpc *rpc, struct md_error *error)
{
    const Grpc__Health__V1__HealthCheckRequest *request =
        (const Grpc__Health__V1__HealthCheckRequest *)rpc->request;
    Grpc__Health__V1__HealthCheckResponse *response = md_arena_allocate(&rpc->arena, sizeof *response);
    if (response == NULL)
        return md_fail_memory(error, "answer");
    grpc__health__v1__health_check_response__init(response);
    enum md_health health = md_health_of(services, request->service);
    if (health == MD_HEALTH_SERVICE_UNKNOWN)
        return md_fail(error, MD_NOT_FOUND, "unknown service or model \"%.128s\"", request->service);
    response->status = (Grpc__Health__V1__HealthCheckResponse__ServingStatus)health;
    rpc->response = &response->base;
    return MD_OK;
}

const struct md_rpc_method md_methods_health[] = {
    { "/grpc.health.v1.Health/Check", &grpc__health__v1__health_check_request__descriptor,
      &grpc__health__v1__health_check_response__descriptor, check, MD_RPC_INLINE | MD_RPC_WHILE_DRAINING, NULL, NULL },
    { 0 },
};
