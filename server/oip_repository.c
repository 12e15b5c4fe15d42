/* oip_repository.c - the model repository over the Open Inference Protocol: index, load, unload. */
#include "service_oip.h"

#include "clock.h"
#include "model_manager.h"
#include "repository.h"
#include "services.h"

#include <inference/inference.pb-c.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

typedef Inference__RepositoryIndexResponse index_response;
typedef Inference__RepositoryIndexResponse__ModelIndex index_entry;
typedef Inference__ModelRepositoryParameter parameter_value;

static const int64_t unload_limit_us = 60 * 1000000; /* without a deadline of the client */

/* ---- index ---- */

static const char *state_text(enum md_version_state state)
{
    switch (state) {
    case MD_VERSION_READY:
        return "READY";
    case MD_VERSION_LOADING:
    case MD_VERSION_WARMING:
        return "LOADING";
    case MD_VERSION_DRAINING:
        return "UNLOADING";
    default:
        return "UNAVAILABLE";
    }
}

static enum md_code add_entry(struct md_arena *arena, index_response *response, const char *name,
                              uint64_t version, const char *state, const char *reason, struct md_error *error)
{
    index_entry *entry = md_arena_allocate(arena, sizeof *entry);
    if (entry == NULL)
        return md_fail_memory(error, "answer");
    inference__repository_index_response__model_index__init(entry);
    entry->name = md_rpc_echo(arena, name);
    entry->version = md_arena_printf(arena, "%" PRIu64, version);
    entry->state = md_rpc_echo(arena, state);
    entry->reason = md_rpc_echo(arena, reason);
    if (entry->name == NULL || entry->version == NULL || entry->state == NULL || entry->reason == NULL)
        return md_fail_memory(error, "answer");
    response->models[response->n_models++] = entry;
    return MD_OK;
}

/* Versions that the registry knows. */
static enum md_code add_known(struct md_arena *arena, index_response *response,
                              const struct md_version_record *rows, size_t count, bool ready_only,
                              struct md_error *error)
{
    response->models = md_arena_allocate_zeroed(arena, count + 1, sizeof *response->models);
    if (response->models == NULL)
        return md_fail_memory(error, "answer");
    for (size_t i = 0; i < count; i++) {
        if (ready_only && rows[i].state != MD_VERSION_READY)
            continue;
        const char *reason = rows[i].state == MD_VERSION_UNLOADED ? "unloaded" : rows[i].reason;
        MD_TRY(add_entry(arena, response, rows[i].model, rows[i].version, state_text(rows[i].state), reason,
                         error));
    }
    return MD_OK;
}

static bool is_known(const struct md_version_record *rows, size_t count, const char *model, uint64_t version)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].version == version && strcmp(rows[i].model, model) == 0)
            return true;
    return false;
}

/* Makes room for `count` more entries. */
static enum md_code grow(struct md_arena *arena, index_response *response, size_t count, struct md_error *error)
{
    index_entry **models =
        md_arena_allocate_zeroed(arena, response->n_models + count + 1, sizeof *response->models);
    if (models == NULL)
        return md_fail_memory(error, "answer");
    memcpy(models, response->models, response->n_models * sizeof *models);
    response->models = models;
    return MD_OK;
}

/* Versions that are in the repository and were never asked for. */
static enum md_code add_unknown(struct md_services *services, struct md_arena *arena, index_response *response,
                                const struct md_version_record *rows, size_t count, struct md_error *error)
{
    const char *repository = md_model_manager_repository(services->manager);
    const char *const *names;
    size_t name_count;
    MD_TRY(md_repository_list_models(repository, arena, &names, &name_count, error));
    for (size_t n = 0; n < name_count; n++) {
        uint64_t *versions;
        size_t version_count;
        if (md_repository_list_versions(repository, names[n], arena, &versions, &version_count, NULL) != MD_OK)
            continue; /* gone since it was listed */
        MD_TRY(grow(arena, response, version_count, error));
        for (size_t v = 0; v < version_count; v++)
            if (!is_known(rows, count, names[n], versions[v]))
                MD_TRY(add_entry(arena, response, names[n], versions[v], "UNAVAILABLE", "not loaded", error));
    }
    return MD_OK;
}

enum md_code md_oip_repository_index(struct md_services *services, struct md_rpc *rpc, struct md_error *error)
{
    const Inference__RepositoryIndexRequest *request = (const Inference__RepositoryIndexRequest *)rpc->request;
    index_response *response = md_arena_allocate(&rpc->arena, sizeof *response);
    struct md_version_record *rows;
    size_t count;
    if (response == NULL)
        return md_fail_memory(error, "answer");
    inference__repository_index_response__init(response);
    MD_TRY(md_registry_list_versions(services->registry, NULL, &rpc->arena, &rows, &count, error));
    MD_TRY(add_known(&rpc->arena, response, rows, count, request->ready, error));
    if (!request->ready)
        MD_TRY(add_unknown(services, &rpc->arena, response, rows, count, error));
    rpc->response = &response->base;
    return MD_OK;
}

/* ---- load ---- */

/* KServe's client puts the model's name where Triton's has the repository's. */
static const char *model_of(const char *repository_name, const char *model_name)
{
    return *model_name != '\0' ? model_name : repository_name;
}

/* The one version that a configuration's version_policy names; 0: it leaves that open. */
static enum md_code version_of_config(const char *text, uint64_t *out_version, struct md_error *error)
{
    json_error_t problem;
    json_t *config = json_loads(text, 0, &problem);
    if (!json_is_object(config)) {
        json_decref(config);
        return md_fail(error, MD_INVALID_ARGUMENT, "parameter \"config\" is no JSON object: %s at byte %d",
                       problem.text, problem.position);
    }
    json_t *versions = json_object_get(
        json_object_get(json_object_get(config, "version_policy"), "specific"), "versions");
    size_t count = json_array_size(versions);
    json_t *first = json_array_get(versions, 0);
    json_int_t number = json_is_string(first) ? strtoll(json_string_value(first), NULL, 10) : json_integer_value(first);
    json_decref(config);
    if (count > 1)
        return md_fail(error, MD_UNIMPLEMENTED, "parameter \"config\" names %zu versions, one load takes 1", count);
    if (count == 1 && number < 1)
        return md_fail(error, MD_INVALID_ARGUMENT, "parameter \"config\": the version is no number from 1");
    *out_version = (uint64_t)number;
    return MD_OK;
}

static enum md_code read_load_parameter(const char *key, const parameter_value *value, uint64_t *out_version,
                                        struct md_error *error)
{
    if (value == NULL ||
        value->parameter_choice_case == INFERENCE__MODEL_REPOSITORY_PARAMETER__PARAMETER_CHOICE__NOT_SET)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "parameter \"%.128s\" has no value; set one of bool, int64, string, bytes", key);
    if (strncmp(key, "file:", 5) == 0)
        return md_fail(error, MD_UNIMPLEMENTED,
                       "parameter \"%.128s\": the server reads models from its repository only", key);
    if (strcmp(key, "config") != 0)
        return MD_OK;
    if (value->parameter_choice_case != INFERENCE__MODEL_REPOSITORY_PARAMETER__PARAMETER_CHOICE_STRING_PARAM)
        return md_fail(error, MD_INVALID_ARGUMENT, "parameter \"config\" is no string");
    return version_of_config(value->string_param, out_version, error);
}

enum md_code md_oip_repository_load(struct md_services *services, struct md_rpc *rpc, struct md_error *error)
{
    const Inference__RepositoryModelLoadRequest *request =
        (const Inference__RepositoryModelLoadRequest *)rpc->request;
    Inference__RepositoryModelLoadResponse *response = md_arena_allocate(&rpc->arena, sizeof *response);
    uint64_t version = 0;
    if (response == NULL)
        return md_fail_memory(error, "answer");
    inference__repository_model_load_response__init(response);
    rpc->model = model_of(request->repository_name, request->model_name);
    for (size_t i = 0; i < request->n_parameters; i++)
        MD_TRY(read_load_parameter(request->parameters[i]->key, request->parameters[i]->value, &version, error));
    const struct md_lifecycle_request load = {
        .model = rpc->model, .version = version, .actor = rpc->peer, .action = "load"
    };
    enum md_code code = md_model_manager_load(services->manager, &load, &rpc->arena, &rpc->version, error);
    if (code != MD_OK) /* clients look for these words */
        return md_fail_prefix(error, code, "failed to load \"%.128s\"", rpc->model);
    rpc->response = &response->base;
    return MD_OK;
}

/* ---- unload ---- */

/* No model depends on another: `unload_dependents` has nothing to do, but must be what it says. */
static enum md_code check_unload_parameter(const char *key, const parameter_value *value, struct md_error *error)
{
    uint64_t ignored;
    if (strcmp(key, "unload_dependents") != 0)
        return read_load_parameter(key, value, &ignored, error);
    if (value == NULL ||
        value->parameter_choice_case != INFERENCE__MODEL_REPOSITORY_PARAMETER__PARAMETER_CHOICE_BOOL_PARAM)
        return md_fail(error, MD_INVALID_ARGUMENT, "parameter \"unload_dependents\" is no bool");
    return MD_OK;
}

enum md_code md_oip_repository_unload(struct md_services *services, struct md_rpc *rpc, struct md_error *error)
{
    const Inference__RepositoryModelUnloadRequest *request =
        (const Inference__RepositoryModelUnloadRequest *)rpc->request;
    Inference__RepositoryModelUnloadResponse *response = md_arena_allocate(&rpc->arena, sizeof *response);
    uint64_t *versions;
    size_t count;
    if (response == NULL)
        return md_fail_memory(error, "answer");
    inference__repository_model_unload_response__init(response);
    rpc->model = model_of(request->repository_name, request->model_name);
    for (size_t i = 0; i < request->n_parameters; i++)
        MD_TRY(check_unload_parameter(request->parameters[i]->key, request->parameters[i]->value, error));
    const struct md_lifecycle_request unload = { .model = rpc->model, .actor = rpc->peer, .action = "unload" };
    int64_t deadline_us = md_clock_us() + unload_limit_us;
    if (deadline_us > rpc->deadline_us)
        deadline_us = rpc->deadline_us;
    MD_TRY(md_model_manager_unload(services->manager, &unload, deadline_us, &rpc->arena, &versions, &count, error));
    rpc->response = &response->base;
    return MD_OK;
}
