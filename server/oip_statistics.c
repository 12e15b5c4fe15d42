/* oip_statistics.c - ModelStatistics: the counters of the loaded versions, which start at 0 with each load, as Triton's
 * do. (What ModelVersion counts comes from the registry and survives a restart.) A version that is not loaded has zeroes. */
#include "service_oip.h"

#include "inference.h"
#include "pool.h"
#include "registry.h"
#include "services.h"
#include "version_counters.h"
#include "version_text.h"

#include <inference/inference.pb-c.h>
#include <inttypes.h>

typedef Inference__ModelStatistics statistics_message;

/* NULL: no memory. counter NULL: zeroes. */
static Inference__StatisticDuration *make_duration(struct md_arena *arena, struct md_duration_counter *counter)
{
    Inference__StatisticDuration *duration = md_arena_allocate(arena, sizeof *duration);
    if (duration == NULL)
        return NULL;
    inference__statistic_duration__init(duration);
    if (counter == NULL)
        return duration;
    duration->count = atomic_load_explicit(&counter->count, memory_order_relaxed);
    duration->ns = atomic_load_explicit(&counter->us, memory_order_relaxed) * 1000;
    return duration;
}

static Inference__InferStatistics *make_requests(struct md_arena *arena, struct md_version_counters *counters)
{
    Inference__InferStatistics *requests = md_arena_allocate(arena, sizeof *requests);
    if (requests == NULL)
        return NULL;
    inference__infer_statistics__init(requests);
    requests->success = make_duration(arena, counters == NULL ? NULL : &counters->success);
    requests->fail = make_duration(arena, counters == NULL ? NULL : &counters->fail);
    requests->queue = make_duration(arena, counters == NULL ? NULL : &counters->queue);
    requests->compute_input = make_duration(arena, counters == NULL ? NULL : &counters->compute_input);
    requests->compute_infer = make_duration(arena, counters == NULL ? NULL : &counters->compute_infer);
    return requests->success == NULL || requests->fail == NULL || requests->queue == NULL ||
                   requests->compute_input == NULL || requests->compute_infer == NULL
               ? NULL
               : requests;
}

/* The batch sizes that have occurred. Batches of more rows than are counted one by one are in execution_count only. */
static enum md_code add_batches(struct md_arena *arena, struct md_version_counters *counters,
                                statistics_message *statistics, struct md_error *error)
{
    statistics->batch_stats = md_arena_allocate_zeroed(arena, MD_COUNTED_BATCH_ROWS, sizeof *statistics->batch_stats);
    if (statistics->batch_stats == NULL)
        return md_fail_memory(error, "answer");
    for (size_t rows = 1; rows <= MD_COUNTED_BATCH_ROWS; rows++) {
        if (atomic_load_explicit(&counters->batches[rows].count, memory_order_relaxed) == 0)
            continue;
        Inference__InferBatchStatistics *batch = md_arena_allocate(arena, sizeof *batch);
        if (batch == NULL)
            return md_fail_memory(error, "answer");
        inference__infer_batch_statistics__init(batch);
        batch->batch_size = rows;
        batch->compute_infer = make_duration(arena, &counters->batches[rows]);
        if (batch->compute_infer == NULL)
            return md_fail_memory(error, "answer");
        statistics->batch_stats[statistics->n_batch_stats++] = batch;
    }
    return MD_OK;
}

static enum md_code add_counters(struct md_arena *arena, struct md_version_counters *counters,
                                 statistics_message *statistics, struct md_error *error)
{
    statistics->inference_stats = make_requests(arena, counters);
    if (statistics->inference_stats == NULL)
        return md_fail_memory(error, "answer");
    if (counters == NULL)
        return MD_OK;
    statistics->last_inference = (uint64_t)atomic_load_explicit(&counters->last_at_ms, memory_order_relaxed);
    statistics->inference_count = atomic_load_explicit(&counters->rows, memory_order_relaxed);
    statistics->execution_count = atomic_load_explicit(&counters->executions, memory_order_relaxed);
    return add_batches(arena, counters, statistics, error);
}

static enum md_code describe(struct md_services *services, struct md_arena *arena, const struct md_version_record *row,
                             statistics_message **out_statistics, struct md_error *error)
{
    struct md_loaded_version *loaded = NULL;
    statistics_message *statistics = md_arena_allocate(arena, sizeof *statistics);
    if (statistics == NULL)
        return md_fail_memory(error, "answer");
    inference__model_statistics__init(statistics);
    statistics->name = md_rpc_echo(arena, row->model);
    statistics->version = md_arena_printf(arena, "%" PRIu64, row->version);
    if (statistics->name == NULL || statistics->version == NULL)
        return md_fail_memory(error, "answer");
    if (md_pool_pin(services->pool, row->model, row->version, &loaded, NULL) != MD_OK)
        loaded = NULL; /* not loaded: it has done nothing since */
    enum md_code code = add_counters(arena, loaded == NULL ? NULL : md_loaded_version_counters(loaded), statistics, error);
    if (loaded != NULL)
        md_loaded_version_unpin(loaded);
    if (code == MD_OK)
        *out_statistics = statistics;
    return code;
}

enum md_code md_oip_model_statistics(struct md_services *services, struct md_rpc *rpc, struct md_error *error)
{
    const Inference__ModelStatisticsRequest *request = (const Inference__ModelStatisticsRequest *)rpc->request;
    Inference__ModelStatisticsResponse *response = md_arena_allocate(&rpc->arena, sizeof *response);
    const char *model = *request->name == '\0' ? NULL : request->name;
    struct md_version_record *rows;
    size_t count;
    uint64_t version;
    if (response == NULL)
        return md_fail_memory(error, "answer");
    inference__model_statistics_response__init(response);
    MD_TRY(md_version_parse(request->version, &version, error));
    if (model != NULL)
        MD_TRY(md_model_lookup(services, rpc, model, request->version, NULL, error));
    MD_TRY(md_registry_list_versions(services->registry, model, &rpc->arena, &rows, &count, error));
    response->model_stats = md_arena_allocate_zeroed(&rpc->arena, count + 1, sizeof *response->model_stats);
    if (response->model_stats == NULL)
        return md_fail_memory(error, "answer");
    for (size_t i = 0; i < count; i++)
        if (version == 0 || rows[i].version == version)
            MD_TRY(describe(services, &rpc->arena, &rows[i], &response->model_stats[response->n_model_stats++], error));
    rpc->response = &response->base;
    return MD_OK;
}
