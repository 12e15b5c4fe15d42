/* oip_statistics.c - ModelStatistics: the registry's counts, which survive a restart. They are at most a second
 * old. Durations and rows are not kept in sum, so those fields say 0. */
#include "service_oip.h"

#include "inference.h"
#include "registry.h"
#include "services.h"
#include "version_text.h"

#include <inference/inference.pb-c.h>
#include <inttypes.h>

static Inference__StatisticDuration *make_count(struct md_arena *arena, uint64_t count)
{
    Inference__StatisticDuration *duration = md_arena_allocate(arena, sizeof *duration);
    if (duration == NULL)
        return NULL;
    inference__statistic_duration__init(duration);
    duration->count = count;
    return duration;
}

static enum md_code describe(struct md_arena *arena, const struct md_version_record *row,
                             Inference__ModelStatistics **out_statistics, struct md_error *error)
{
    Inference__ModelStatistics *statistics = md_arena_allocate(arena, sizeof *statistics);
    Inference__InferStatistics *counts = md_arena_allocate(arena, sizeof *counts);
    if (statistics == NULL || counts == NULL)
        return md_fail_memory(error, "answer");
    inference__model_statistics__init(statistics);
    inference__infer_statistics__init(counts);
    uint64_t successes = row->request_count - row->error_count;
    counts->success = make_count(arena, successes);
    counts->fail = make_count(arena, row->error_count);
    statistics->name = md_rpc_echo(arena, row->model);
    statistics->version = md_arena_printf(arena, "%" PRIu64, row->version);
    statistics->execution_count = successes;
    statistics->inference_stats = counts;
    *out_statistics = statistics;
    return counts->success == NULL || counts->fail == NULL || statistics->name == NULL ||
                   statistics->version == NULL
               ? md_fail_memory(error, "answer")
               : MD_OK;
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
            MD_TRY(describe(&rpc->arena, &rows[i], &response->model_stats[response->n_model_stats++], error));
    rpc->response = &response->base;
    return MD_OK;
}
