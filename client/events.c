/* events.c - the audit trail. */
#include "call.h"

#include "allocator.h"
#include "modeld/v1/modeld.pb-c.h"

struct owned_events {
    struct md_client_events events; /* must be first: the caller has its address */
    struct md_arena arena;          /* holds everything else */
};

void md_client_events_destroy(struct md_client_events *events)
{
    if (events == NULL)
        return;
    struct owned_events *owned = (struct owned_events *)events;
    md_arena_cleanup(&owned->arena);
    md_release(md_process_allocator(), owned);
}

static bool build_events(struct owned_events *owned, const Modeld__V1__ListEventsResponse *from)
{
    struct md_client_event *to = md_arena_allocate_zeroed(&owned->arena, from->n_events, sizeof *to);
    if (to == NULL)
        return false;
    for (size_t i = 0; i < from->n_events; i++) {
        const Modeld__V1__Event *event = from->events[i];
        to[i] = (struct md_client_event){ .id = event->id,
                                          .at_us = event->at_us,
                                          .actor = event->actor,
                                          .action = event->action,
                                          .model = event->model,
                                          .version = event->version,
                                          .code = event->code,
                                          .message = event->message };
    }
    owned->events.items = to;
    owned->events.count = from->n_events;
    return true;
}

enum md_client_code md_client_list_events(struct md_client *client, const char *model, uint32_t limit,
                                          const struct md_client_call_options *options,
                                          struct md_client_events **out_events, struct md_client_error *error)
{
    struct owned_events *owned = md_allocate_zeroed(md_process_allocator(), 1, sizeof *owned);
    if (owned == NULL)
        return md_call_fail(error, MD_CLIENT_RESOURCE_EXHAUSTED, "out of memory: events");
    md_arena_init(&owned->arena, md_process_allocator(), 4096);
    Modeld__V1__ListEventsRequest request = MODELD__V1__LIST_EVENTS_REQUEST__INIT;
    request.model = md_call_string(model);
    request.limit = limit;
    ProtobufCMessage *response = NULL;
    enum md_client_code code = md_call_unary(client, "/modeld.v1.ModelService/ListEvents", &request.base,
                                             &modeld__v1__list_events_response__descriptor, options,
                                             &owned->arena, &response, error);
    if (code != MD_CLIENT_OK)
        goto fail;
    if (!build_events(owned, (const Modeld__V1__ListEventsResponse *)response)) {
        code = md_call_fail(error, MD_CLIENT_RESOURCE_EXHAUSTED, "out of memory: events");
        goto fail;
    }
    *out_events = &owned->events;
    return MD_CLIENT_OK;
fail:
    md_client_events_destroy(&owned->events);
    return code;
}
