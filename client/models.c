/* models.c - list, get, load, unload: four RPCs, one result type. */
#include "call.h"

#include "allocator.h"
#include "modeld/v1/modeld.pb-c.h"

_Static_assert((int)MD_CLIENT_STATE_FAILED == (int)MODELD__V1__MODEL_STATE__MODEL_STATE_FAILED,
               "the numbers of modeld.v1.ModelState");

struct owned_versions {
    struct md_client_versions versions; /* must be first: the caller has its address */
    struct md_arena arena;              /* holds everything else */
};

const char *md_client_state_name(enum md_client_state state)
{
    static const char *const names[] = { "UNSPECIFIED", "LOADING",  "WARMING", "READY",
                                         "DRAINING",    "UNLOADED", "FAILED" };
    return (size_t)state < sizeof names / sizeof names[0] ? names[state] : names[0];
}

void md_client_versions_destroy(struct md_client_versions *versions)
{
    if (versions == NULL)
        return;
    struct owned_versions *owned = (struct owned_versions *)versions;
    md_arena_cleanup(&owned->arena);
    md_release(md_process_allocator(), owned);
}

static const struct md_client_signature *
build_signatures(struct md_arena *arena, Modeld__V1__TensorSignature *const *from, size_t count)
{
    struct md_client_signature *to = md_arena_allocate_zeroed(arena, count, sizeof *to);
    for (size_t i = 0; to != NULL && i < count; i++)
        to[i] = (struct md_client_signature){ .name = from[i]->name,
                                              .datatype = from[i]->datatype,
                                              .shape = from[i]->shape,
                                              .rank = from[i]->n_shape };
    return to;
}

static bool build_settings(struct md_arena *arena, const Modeld__V1__EffectiveConfiguration *from,
                           struct md_client_version *to)
{
    struct md_client_setting *settings = md_arena_allocate_zeroed(arena, from->n_entries, sizeof *settings);
    if (settings == NULL)
        return false;
    for (size_t i = 0; i < from->n_entries; i++)
        settings[i] = (struct md_client_setting){ .key = from->entries[i]->key,
                                                  .value = from->entries[i]->value,
                                                  .source = from->entries[i]->source };
    to->settings = settings;
    to->setting_count = from->n_entries;
    return true;
}

static struct md_client_version *build_version(struct md_arena *arena, const Modeld__V1__ModelVersion *from)
{
    struct md_client_version *to = md_arena_allocate_zeroed(arena, 1, sizeof *to);
    if (to == NULL)
        return NULL;
    *to = (struct md_client_version){
        .model = from->model,
        .version = from->version,
        .state = (enum md_client_state)from->state,
        .reason = from->reason,
        .task = from->task,
        .sha256 = from->sha256,
        .size_bytes = from->size_bytes,
        .path = from->path,
        .memory_bytes = from->memory_bytes,
        .loaded_at_us = from->loaded_at_us,
        .inputs = build_signatures(arena, from->inputs, from->n_inputs),
        .input_count = from->n_inputs,
        .outputs = build_signatures(arena, from->outputs, from->n_outputs),
        .output_count = from->n_outputs,
        .request_count = from->request_count,
        .error_count = from->error_count,
        .precision = from->precision,
        .precision_difference = from->precision_difference,
    };
    return to->inputs != NULL && to->outputs != NULL ? to : NULL;
}

static bool build_versions(struct owned_versions *owned, Modeld__V1__ModelVersion *const *from, size_t count,
                           Modeld__V1__EffectiveConfiguration *const *configurations,
                           size_t configuration_count)
{
    const struct md_client_version **items = md_arena_allocate_zeroed(&owned->arena, count, sizeof(void *));
    if (items == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct md_client_version *version = build_version(&owned->arena, from[i]);
        if (version == NULL ||
            (i < configuration_count && !build_settings(&owned->arena, configurations[i], version)))
            return false;
        items[i] = version;
    }
    owned->versions.items = items;
    owned->versions.count = count;
    return true;
}

/* Each RPC's own part: reads its response into *owned. False: out of memory. */
typedef bool (*read_response_fn)(struct owned_versions *owned, const ProtobufCMessage *response);

static bool read_list(struct owned_versions *owned, const ProtobufCMessage *response)
{
    const Modeld__V1__ListModelsResponse *list = (const Modeld__V1__ListModelsResponse *)response;
    return build_versions(owned, list->versions, list->n_versions, NULL, 0);
}

static bool read_get(struct owned_versions *owned, const ProtobufCMessage *response)
{
    const Modeld__V1__GetModelResponse *got = (const Modeld__V1__GetModelResponse *)response;
    return build_versions(owned, got->versions, got->n_versions, got->configurations, got->n_configurations);
}

static bool read_load(struct owned_versions *owned, const ProtobufCMessage *response)
{
    const Modeld__V1__LoadModelResponse *loaded = (const Modeld__V1__LoadModelResponse *)response;
    owned->versions.load_us = loaded->load_us;
    return build_versions(owned, &loaded->version, loaded->version != NULL, NULL, 0);
}

static bool read_unload(struct owned_versions *owned, const ProtobufCMessage *response)
{
    const Modeld__V1__UnloadModelResponse *unloaded = (const Modeld__V1__UnloadModelResponse *)response;
    return build_versions(owned, unloaded->versions, unloaded->n_versions, NULL, 0);
}

struct versions_method {
    const char *path;
    const ProtobufCMessageDescriptor *response_type;
    read_response_fn read;
};

static const struct versions_method list_method = { "/modeld.v1.ModelService/ListModels",
                                                    &modeld__v1__list_models_response__descriptor,
                                                    read_list };
static const struct versions_method get_method = { "/modeld.v1.ModelService/GetModel",
                                                   &modeld__v1__get_model_response__descriptor, read_get };
static const struct versions_method load_method = { "/modeld.v1.ModelService/LoadModel",
                                                    &modeld__v1__load_model_response__descriptor, read_load };
static const struct versions_method unload_method = { "/modeld.v1.ModelService/UnloadModel",
                                                      &modeld__v1__unload_model_response__descriptor,
                                                      read_unload };

static enum md_client_code call_versions(struct md_client *client, const struct versions_method *method,
                                         const ProtobufCMessage *request,
                                         const struct md_client_call_options *options,
                                         struct md_client_versions **out_versions,
                                         struct md_client_error *error)
{
    struct owned_versions *owned = md_allocate_zeroed(md_process_allocator(), 1, sizeof *owned);
    if (owned == NULL)
        return md_call_fail(error, MD_CLIENT_RESOURCE_EXHAUSTED, "out of memory: model versions");
    md_arena_init(&owned->arena, md_process_allocator(), 4096);
    ProtobufCMessage *response = NULL;
    enum md_client_code code = md_call_unary(client, method->path, request, method->response_type, options,
                                             &owned->arena, &response, error);
    if (code != MD_CLIENT_OK)
        goto fail;
    if (!method->read(owned, response)) {
        code = md_call_fail(error, MD_CLIENT_RESOURCE_EXHAUSTED, "out of memory: model versions");
        goto fail;
    }
    *out_versions = &owned->versions;
    return MD_CLIENT_OK;
fail:
    md_client_versions_destroy(&owned->versions);
    return code;
}

enum md_client_code md_client_list_models(struct md_client *client,
                                          const struct md_client_call_options *options,
                                          struct md_client_versions **out_versions,
                                          struct md_client_error *error)
{
    Modeld__V1__ListModelsRequest request = MODELD__V1__LIST_MODELS_REQUEST__INIT;
    return call_versions(client, &list_method, &request.base, options, out_versions, error);
}

enum md_client_code md_client_get_model(struct md_client *client, const char *model, uint64_t version,
                                        const struct md_client_call_options *options,
                                        struct md_client_versions **out_versions,
                                        struct md_client_error *error)
{
    Modeld__V1__GetModelRequest request = MODELD__V1__GET_MODEL_REQUEST__INIT;
    request.model = md_call_string(model);
    request.version = version;
    return call_versions(client, &get_method, &request.base, options, out_versions, error);
}

enum md_client_code md_client_load_model(struct md_client *client, const char *model, uint64_t version,
                                         const char *actor, const struct md_client_load_options *load_options,
                                         const struct md_client_call_options *options,
                                         struct md_client_versions **out_versions,
                                         struct md_client_error *error)
{
    Modeld__V1__LoadModelRequest request = MODELD__V1__LOAD_MODEL_REQUEST__INIT;
    request.model = md_call_string(model);
    request.version = version;
    request.actor = md_call_string(actor);
    request.precision = md_call_string(load_options == NULL ? NULL : load_options->precision);
    return call_versions(client, &load_method, &request.base, options, out_versions, error);
}

enum md_client_code md_client_unload_model(struct md_client *client, const char *model, uint64_t version,
                                           const char *actor, const struct md_client_call_options *options,
                                           struct md_client_versions **out_versions,
                                           struct md_client_error *error)
{
    Modeld__V1__UnloadModelRequest request = MODELD__V1__UNLOAD_MODEL_REQUEST__INIT;
    request.model = md_call_string(model);
    request.version = version;
    request.actor = md_call_string(actor);
    return call_versions(client, &unload_method, &request.base, options, out_versions, error);
}
