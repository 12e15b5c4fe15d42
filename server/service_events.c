/* service_events.c - ListEvents: the audit trail. */
#include "service_modeld.h"

#include "registry.h"
#include "services.h"

#include <modeld/v1/modeld.pb-c.h>
#include <string.h>

enum { DEFAULT_LIMIT = 100, MAX_LIMIT = 1000000 };

static void fill(Modeld__V1__Event *event, const struct md_event_record *record)
{
    modeld__v1__event__init(event);
    event->id = record->id;
    event->at_us = record->at_us;
    /* The strings are the arena's, as the record is; protobuf-c only reads them. */
    event->actor = (char *)(uintptr_t)record->actor;
    event->action = (char *)(uintptr_t)record->action;
    event->model = (char *)(uintptr_t)record->model;
    event->version = record->version;
    event->code = (char *)(uintptr_t)md_code_name(record->code);
    event->message = (char *)(uintptr_t)record->message;
}

enum md_code md_modeld_list_events(struct md_services *services, struct md_rpc *rpc, struct md_error *error)
{
    const Modeld__V1__ListEventsRequest *request = (const Modeld__V1__ListEventsRequest *)rpc->request;
    Modeld__V1__ListEventsResponse *response = md_arena_allocate(&rpc->arena, sizeof *response);
    struct md_event_record *records;
    size_t count;
    if (response == NULL)
        return md_fail_memory(error, "answer");
    modeld__v1__list_events_response__init(response);
    if (request->limit > MAX_LIMIT)
        return md_fail(error, MD_INVALID_ARGUMENT, "limit is %u, the most is %d", request->limit, MAX_LIMIT);
    MD_TRY(md_registry_list_events(services->registry, *request->model == '\0' ? NULL : request->model,
                                   request->limit == 0 ? DEFAULT_LIMIT : request->limit, &rpc->arena,
                                   &records, &count, error));
    Modeld__V1__Event *events = md_arena_allocate_zeroed(&rpc->arena, count + 1, sizeof *events);
    response->events = md_arena_allocate_zeroed(&rpc->arena, count + 1, sizeof *response->events);
    if (events == NULL || response->events == NULL)
        return md_fail_memory(error, "answer");
    for (size_t i = 0; i < count; i++) {
        fill(&events[i], &records[i]);
        response->events[i] = &events[i];
    }
    response->n_events = count;
    rpc->response = &response->base;
    return MD_OK;
}
