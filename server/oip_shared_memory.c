/* oip_shared_memory.c - SystemSharedMemoryStatus, Register and Unregister. Memory is shared on one machine only, so
 * a client on another one is refused: it could only reach what is not its own. */
#include "service_oip.h"

#include "services.h"
#include "shared_memory.h"

#include <inference/inference.pb-c.h>
#include <string.h>

typedef Inference__SystemSharedMemoryStatusResponse status_response;

static enum md_code check_local(const struct md_rpc *rpc, struct md_error *error)
{
    static const char *const local[] = { "ipv4:127.", "ipv6:[::1]", "ipv6:[::ffff:127.", "ipv6:%5B::1%5D", "unix:" };
    for (size_t i = 0; i < sizeof local / sizeof *local; i++)
        if (strncmp(rpc->peer, local[i], strlen(local[i])) == 0)
            return MD_OK;
    return md_fail(error, MD_PERMISSION_DENIED, "shared memory is for clients on the server's machine, not for %.64s",
                   rpc->peer);
}

static enum md_code add_region(struct md_arena *arena, struct md_shared_region *region, status_response *response,
                               struct md_error *error)
{
    Inference__SystemSharedMemoryStatusResponse__RegionsEntry *entry = md_arena_allocate(arena, sizeof *entry);
    Inference__SystemSharedMemoryStatusResponse__RegionStatus *status = md_arena_allocate(arena, sizeof *status);
    if (entry == NULL || status == NULL)
        return md_fail_memory(error, "answer");
    inference__system_shared_memory_status_response__regions_entry__init(entry);
    inference__system_shared_memory_status_response__region_status__init(status);
    entry->key = status->name = md_rpc_echo(arena, region->name);
    status->key = md_rpc_echo(arena, region->key);
    status->offset = region->offset;
    status->byte_size = region->size;
    entry->value = status;
    response->regions[response->n_regions++] = entry;
    return entry->key == NULL || status->key == NULL ? md_fail_memory(error, "answer") : MD_OK;
}

enum md_code md_oip_shared_memory_status(struct md_services *services, struct md_rpc *rpc, struct md_error *error)
{
    const Inference__SystemSharedMemoryStatusRequest *request =
        (const Inference__SystemSharedMemoryStatusRequest *)rpc->request;
    status_response *response = md_arena_allocate(&rpc->arena, sizeof *response);
    struct md_shared_region *regions;
    size_t count;
    MD_TRY(check_local(rpc, error));
    MD_TRY(md_shared_memory_list(services->memory, request->name, &rpc->arena, &regions, &count, error));
    if (response == NULL)
        return md_fail_memory(error, "answer");
    inference__system_shared_memory_status_response__init(response);
    response->regions = md_arena_allocate_zeroed(&rpc->arena, count + 1, sizeof *response->regions);
    if (response->regions == NULL)
        return md_fail_memory(error, "answer");
    for (size_t i = 0; i < count; i++)
        MD_TRY(add_region(&rpc->arena, &regions[i], response, error));
    rpc->response = &response->base;
    return MD_OK;
}

enum md_code md_oip_shared_memory_register(struct md_services *services, struct md_rpc *rpc, struct md_error *error)
{
    const Inference__SystemSharedMemoryRegisterRequest *request =
        (const Inference__SystemSharedMemoryRegisterRequest *)rpc->request;
    Inference__SystemSharedMemoryRegisterResponse *response = md_arena_allocate(&rpc->arena, sizeof *response);
    const struct md_shared_region region = {
        .name = request->name, .key = request->key, .offset = request->offset, .size = request->byte_size
    };
    if (response == NULL)
        return md_fail_memory(error, "answer");
    inference__system_shared_memory_register_response__init(response);
    MD_TRY(check_local(rpc, error));
    MD_TRY(md_shared_memory_register(services->memory, &region, error));
    rpc->response = &response->base;
    return MD_OK;
}

enum md_code md_oip_shared_memory_unregister(struct md_services *services, struct md_rpc *rpc,
                                             struct md_error *error)
{
    const Inference__SystemSharedMemoryUnregisterRequest *request =
        (const Inference__SystemSharedMemoryUnregisterRequest *)rpc->request;
    Inference__SystemSharedMemoryUnregisterResponse *response = md_arena_allocate(&rpc->arena, sizeof *response);
    if (response == NULL)
        return md_fail_memory(error, "answer");
    inference__system_shared_memory_unregister_response__init(response);
    MD_TRY(check_local(rpc, error));
    md_shared_memory_unregister(services->memory, request->name);
    rpc->response = &response->base;
    return MD_OK;
}
