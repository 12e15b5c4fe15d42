/* service_models.c - ListModels and GetModel: what is known of the models. */
#include "service_modeld.h"

#include "inference.h"
#include "model_catalogue.h"
#include "graph.h"
#include "model_view.h"
#include "pool.h"
#include "report.h"
#include "scheduler.h"
#include "services.h"
#include "session.h"
#include "task.h"

#include <inttypes.h>
#include <modeld/v1/modeld.pb-c.h>
#include <string.h>

enum md_code md_modeld_list_models(struct md_services *services, struct md_rpc *rpc, struct md_error *error)
{
    Modeld__V1__ListModelsResponse *response = md_arena_allocate(&rpc->arena, sizeof *response);
    if (response == NULL)
        return md_fail_memory(error, "answer");
    modeld__v1__list_models_response__init(response);
    MD_TRY(md_model_view_list(services, &rpc->arena, NULL, 0, &response->versions, &response->n_versions,
                              error));
    rpc->response = &response->base;
    return MD_OK;
}

/* ---- effective configuration ---- */

static Modeld__V1__ConfigurationEntry *make_entry(struct md_arena *arena, const char *key, const char *value,
                                                  const char *source)
{
    Modeld__V1__ConfigurationEntry *entry = md_arena_allocate(arena, sizeof *entry);
    if (entry == NULL)
        return NULL;
    modeld__v1__configuration_entry__init(entry);
    entry->key = md_arena_copy_string(arena, key, strlen(key));
    entry->value = value == NULL ? NULL : md_arena_copy_string(arena, value, strlen(value));
    entry->source = md_arena_copy_string(arena, source, strlen(source));
    return entry->key == NULL || entry->value == NULL || entry->source == NULL ? NULL : entry;
}

enum { MAX_FACTS = 16 };

/* Whether requests of tensors share a batch: what the first batches have shown. */
static const char *joins_tensors(struct md_arena *arena, struct md_loaded_version *loaded)
{
    int proofs = atomic_load_explicit(md_loaded_version_proofs(loaded), memory_order_relaxed);
    return proofs < 0    ? "never: a row's bits depend on its company"
           : proofs == 0 ? "not yet"
                         : md_arena_printf(arena, "proved %d times%s", proofs, proofs < MD_BATCH_PROOFS ? " so far" : "");
}

/* What holds for every loaded version, read off its model as the passes left it; the last one not for FP32. */
static enum md_code fill_facts(const struct md_services *services, struct md_arena *arena,
                               struct md_loaded_version *loaded, Modeld__V1__ConfigurationEntry **out,
                               size_t *out_count, struct md_error *error)
{
    const struct md_batch_limits limits = md_scheduler_limits(services->scheduler);
    const struct md_session *session = md_loaded_version_session(loaded);
    const struct md_model *model = md_session_model(session);
    const struct md_accuracy accuracy = md_loaded_version_accuracy(loaded);
    struct md_model_report report;
    MD_TRY(md_model_report(arena, model, &report, error));
    const struct {
        const char *key, *value, *source;
    } facts[MAX_FACTS] = {
        { "format", "onnx", "model.onnx" },
        { "producer", model->producer, "model.onnx" },
        { "opset", md_model_report_opsets(arena, model), "model.onnx" },
        { "inputs", md_arena_printf(arena, "%zu", md_session_input_count(session)), "model.onnx" },
        { "outputs", md_arena_printf(arena, "%zu", md_session_output_count(session)), "model.onnx" },
        { "parameters", md_arena_printf(arena, "%zu", report.parameter_count), "model.onnx" },
        { "parameter_bytes", md_arena_printf(arena, "%zu", report.parameter_bytes), "model.onnx" },
        { "nodes", md_arena_printf(arena, "%zu", report.node_count), "as loaded" },
        { "operators", md_model_report_operators(arena, &report), "as loaded" },
        { "memory_bytes", md_arena_printf(arena, "%zu", md_loaded_version_memory_bytes(loaded)), "measured" },
        { "max_batch_rows", md_arena_printf(arena, "%zu", limits.max_rows), "modeld" },
        { "max_batch_tokens", md_arena_printf(arena, "%zu", limits.max_tokens), "modeld" },
        { "joins_tensors", joins_tensors(arena, loaded), "measured" },
        { "packed-cache", md_packed_cache_name(md_session_packed_cache(session)), "as loaded" },
        { "precision", md_precision_name(accuracy.precision), accuracy.source },
        { "max_precision_difference", md_arena_printf(arena, "%g", accuracy.bound), accuracy.bound_source },
    };
    *out_count = accuracy.precision == MD_PRECISION_FP32 ? MAX_FACTS - 1 : MAX_FACTS;
    for (size_t i = 0; i < *out_count; i++)
        out[i] = make_entry(arena, facts[i].key, facts[i].value, facts[i].source);
    return MD_OK;
}

/* The facts; then what the version's task has read from its files. */
static enum md_code fill_entries(const struct md_services *services, struct md_arena *arena,
                                 struct md_loaded_version *loaded, Modeld__V1__EffectiveConfiguration *out, struct md_error *error)
{
    const struct md_task *task = md_loaded_version_task(loaded);
    const struct md_configuration_entry *entries = NULL;
    size_t count = task == NULL ? 0 : md_task_configuration(task, &entries);
    out->entries = md_arena_allocate_zeroed(arena, MAX_FACTS + count, sizeof *out->entries);
    if (out->entries == NULL)
        return md_fail_memory(error, "configuration");
    MD_TRY(fill_facts(services, arena, loaded, out->entries, &out->n_entries, error));
    for (size_t i = 0; i < count; i++)
        out->entries[out->n_entries++] = make_entry(arena, entries[i].key, entries[i].value, entries[i].source);
    for (size_t i = 0; i < out->n_entries; i++)
        if (out->entries[i] == NULL)
            return md_fail_memory(error, "configuration");
    return MD_OK;
}

static enum md_code configuration_of(struct md_services *services, struct md_arena *arena,
                                     const Modeld__V1__ModelVersion *view,
                                     Modeld__V1__EffectiveConfiguration **out, struct md_error *error)
{
    struct md_loaded_version *loaded;
    Modeld__V1__EffectiveConfiguration *configuration = md_arena_allocate(arena, sizeof *configuration);
    if (configuration == NULL)
        return md_fail_memory(error, "configuration");
    modeld__v1__effective_configuration__init(configuration);
    *out = configuration;
    if (md_pool_pin(services->pool, view->model, view->version, &loaded, NULL) != MD_OK)
        return MD_OK; /* not loaded: nothing is in effect */
    enum md_code code = fill_entries(services, arena, loaded, configuration, error);
    md_loaded_version_unpin(loaded);
    return code;
}

enum md_code md_modeld_get_model(struct md_services *services, struct md_rpc *rpc, struct md_error *error)
{
    const Modeld__V1__GetModelRequest *request = (const Modeld__V1__GetModelRequest *)rpc->request;
    struct md_arena *arena = &rpc->arena;
    Modeld__V1__GetModelResponse *response = md_arena_allocate(arena, sizeof *response);
    const char *version = request->version == 0 ? "" : md_arena_printf(arena, "%" PRIu64, request->version);
    if (response == NULL || version == NULL)
        return md_fail_memory(error, "answer");
    modeld__v1__get_model_response__init(response);
    rpc->model = request->model;
    rpc->version = request->version;
    MD_TRY(md_model_lookup(services, rpc, request->model, version, NULL, error));
    MD_TRY(md_model_view_list(services, arena, request->model, request->version, &response->versions,
                              &response->n_versions, error));
    response->configurations =
        md_arena_allocate_zeroed(arena, response->n_versions + 1, sizeof *response->configurations);
    if (response->configurations == NULL)
        return md_fail_memory(error, "answer");
    for (size_t i = 0; i < response->n_versions; i++)
        MD_TRY(configuration_of(services, arena, response->versions[i], &response->configurations[i], error));
    response->n_configurations = response->n_versions;
    rpc->response = &response->base;
    return MD_OK;
}
