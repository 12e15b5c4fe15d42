/* service_lifecycle.c - LoadModel and UnloadModel. */
#include "service_modeld.h"

#include "clock.h"
#include "model_manager.h"
#include "model_view.h"
#include "services.h"

#include <inttypes.h>
#include <modeld/v1/modeld.pb-c.h>
#include <string.h>

enum { ACTOR_LIMIT = 256 };
static const int64_t unload_limit_us = 60 * 1000000; /* without a deadline of the client */

/* The audit trail names somebody: who the client says it is, else where it comes from. */
static enum md_code make_request(struct md_rpc *rpc, const char *model, uint64_t version, const char *actor,
                                 const char *action, struct md_lifecycle_request *out_request,
                                 struct md_error *error)
{
    size_t size = strlen(actor);
    if (size > ACTOR_LIMIT)
        return md_fail(error, MD_INVALID_ARGUMENT, "actor has %zu bytes, limit is %d", size, ACTOR_LIMIT);
    if (version > INT64_MAX)
        return md_fail(error, MD_INVALID_ARGUMENT, "version %" PRIu64 " is above the limit %" PRId64, version,
                       INT64_MAX);
    rpc->model = model;
    rpc->version = version;
    *out_request = (struct md_lifecycle_request){
        .model = model, .version = version, .actor = size > 0 ? actor : rpc->peer, .action = action
    };
    return MD_OK;
}

enum md_code md_modeld_load_model(struct md_services *services, struct md_rpc *rpc, struct md_error *error)
{
    const Modeld__V1__LoadModelRequest *message = (const Modeld__V1__LoadModelRequest *)rpc->request;
    struct md_lifecycle_request request;
    Modeld__V1__LoadModelResponse *response = md_arena_allocate(&rpc->arena, sizeof *response);
    Modeld__V1__ModelVersion **views;
    size_t count;
    if (response == NULL)
        return md_fail_memory(error, "answer");
    modeld__v1__load_model_response__init(response);
    MD_TRY(make_request(rpc, message->model, message->version, message->actor, "load", &request, error));
    request.precision = message->precision;
    MD_TRY(md_model_manager_load(services->manager, &request, &rpc->arena, &rpc->version, error));
    response->load_us = (uint64_t)(md_clock_us() - rpc->started_at_us);
    MD_TRY(md_model_view_list(services, &rpc->arena, message->model, rpc->version, &views, &count, error));
    if (count == 1)
        response->version = views[0];
    rpc->response = &response->base;
    return MD_OK;
}

enum md_code md_modeld_unload_model(struct md_services *services, struct md_rpc *rpc, struct md_error *error)
{
    const Modeld__V1__UnloadModelRequest *message = (const Modeld__V1__UnloadModelRequest *)rpc->request;
    struct md_lifecycle_request request;
    Modeld__V1__UnloadModelResponse *response = md_arena_allocate(&rpc->arena, sizeof *response);
    uint64_t *versions;
    size_t count;
    if (response == NULL)
        return md_fail_memory(error, "answer");
    modeld__v1__unload_model_response__init(response);
    MD_TRY(make_request(rpc, message->model, message->version, message->actor, "unload", &request, error));
    int64_t deadline_us = md_clock_us() + unload_limit_us;
    if (deadline_us > rpc->deadline_us)
        deadline_us = rpc->deadline_us;
    MD_TRY(md_model_manager_unload(services->manager, &request, deadline_us, &rpc->arena, &versions, &count,
                                   error));
    response->versions = md_arena_allocate_zeroed(&rpc->arena, count + 1, sizeof *response->versions);
    if (response->versions == NULL)
        return md_fail_memory(error, "answer");
    for (size_t i = 0; i < count; i++) {
        Modeld__V1__ModelVersion **views;
        size_t found;
        MD_TRY(md_model_view_list(services, &rpc->arena, message->model, versions[i], &views, &found, error));
        if (found == 1)
            response->versions[response->n_versions++] = views[0];
    }
    rpc->response = &response->base;
    return MD_OK;
}
