/* http_metrics.c - GET /metrics: the counters of metrics.h, and gauges of server, models and process. */
#include "http_exchange.h"

#include "gateway.h"
#include "metrics.h"
#include "model_catalogue.h"
#include "pool.h"
#include "process.h"
#include "services.h"

#include <inttypes.h>

static void write_gauge(struct md_text *text, const char *name, const char *help, uint64_t value)
{
    md_metrics_write_family(text, name, "gauge", help);
    md_text_print(text, "%s %" PRIu64 "\n", name, value);
}

static void write_server(struct md_http_exchange *exchange)
{
    struct md_text *text = &exchange->answer;
    struct md_gateway_gauges gauges;
    md_gateway_gauges(exchange->server, &gauges);
    md_metrics_write_family(text, "modeld_build_info", "gauge", "Always 1; the version is a label.");
    md_text_put(text, "modeld_build_info{version=\"" MD_VERSION_TEXT "\"} 1\n");
    write_gauge(text, "modeld_ready", "1 while the server is SERVING.",
                md_services_phase(exchange->services) == MD_PHASE_SERVING);
    write_gauge(text, "modeld_grpc_calls", "gRPC calls under way.", gauges.calls);
    write_gauge(text, "modeld_inflight_requests", "Inference requests under way, queued ones included.",
                gauges.inflight_calls);
    write_gauge(text, "modeld_inflight_requests_limit", "More are refused.", gauges.inflight_calls_limit);
    write_gauge(text, "modeld_inflight_bytes", "Bytes of the inference requests under way.", gauges.inflight_bytes);
    write_gauge(text, "modeld_inflight_bytes_limit", "More are refused.", gauges.inflight_bytes_limit);
    md_metrics_write_family(text, "modeld_queue_size", "gauge", "Calls that wait for a worker.");
    md_text_print(text, "modeld_queue_size{group=\"inference\"} %zu\n", gauges.inference_queue);
    md_text_print(text, "modeld_queue_size{group=\"control\"} %zu\n", gauges.control_queue);
    md_text_print(text, "modeld_queue_size{group=\"load\"} %zu\n", gauges.load_queue);
}

static void write_version(struct md_text *text, const char *name, const struct md_catalogue_entry *entry,
                          uint64_t value)
{
    md_text_print(text, "%s{model=", name);
    md_metrics_write_label(text, entry->model);
    md_text_print(text, ",version=\"%" PRIu64 "\"} %" PRIu64 "\n", entry->state.version, value);
}

static uint64_t memory_of(struct md_pool *pool, const struct md_catalogue_entry *entry)
{
    struct md_loaded_version *version;
    if (md_pool_pin(pool, entry->model, entry->state.version, &version, NULL) != MD_OK)
        return 0;
    uint64_t bytes = md_loaded_version_memory_bytes(version);
    md_loaded_version_unpin(version);
    return bytes;
}

/* Versions that nobody has asked yet get their zeros here. */
static enum md_code write_models(struct md_http_exchange *exchange, struct md_error *error)
{
    struct md_services *services = exchange->services;
    struct md_text *text = &exchange->answer;
    struct md_catalogue_entry *entries;
    size_t count;
    MD_TRY(md_catalogue_list(services->catalogue, &exchange->rpc.arena, &entries, &count, error));
    md_metrics_write_family(text, "modeld_model_ready", "gauge", "1 while the model version is READY.");
    for (size_t i = 0; i < count; i++)
        write_version(text, "modeld_model_ready", &entries[i], entries[i].state.state == MD_VERSION_READY);
    md_metrics_write_family(text, "modeld_model_memory_bytes", "gauge", "Held by the loaded model version.");
    for (size_t i = 0; i < count; i++) {
        write_version(text, "modeld_model_memory_bytes", &entries[i], memory_of(services->pool, &entries[i]));
        if (md_metrics_version(services->metrics, entries[i].model, entries[i].state.version) == NULL)
            return md_fail_memory(error, "metrics");
    }
    return MD_OK;
}

static void write_process(struct md_text *text)
{
    struct md_process_usage usage;
    md_process_usage(&usage);
    write_gauge(text, "process_resident_memory_bytes", "Resident memory.", usage.resident_bytes);
    write_gauge(text, "process_virtual_memory_bytes", "Virtual memory.", usage.virtual_bytes);
    write_gauge(text, "process_open_fds", "Open file descriptors.", usage.open_files);
    write_gauge(text, "process_max_fds", "Limit of open file descriptors.", usage.open_files_limit);
    write_gauge(text, "process_threads", "Threads.", usage.threads);
    md_metrics_write_family(text, "process_cpu_seconds_total", "counter", "User and system time.");
    md_text_print(text, "process_cpu_seconds_total %" PRIu64 ".%06" PRIu64 "\n", usage.cpu_us / 1000000,
                  usage.cpu_us % 1000000);
    md_metrics_write_family(text, "process_start_time_seconds", "gauge", "Start, since 1970-01-01 UTC.");
    md_text_print(text, "process_start_time_seconds %" PRIu64 ".%03" PRIu64 "\n", usage.started_at_ms / 1000,
                  usage.started_at_ms % 1000);
    md_metrics_write_family(text, "modeld_uptime_seconds", "gauge", "Since the start.");
    md_text_print(text, "modeld_uptime_seconds %" PRIu64 ".%03" PRIu64 "\n", usage.uptime_ms / 1000,
                  usage.uptime_ms % 1000);
}

enum md_code md_http_metrics(struct md_http_exchange *exchange, struct md_error *error)
{
    exchange->content_type = "text/plain; version=0.0.4; charset=utf-8";
    write_server(exchange);
    MD_TRY(write_models(exchange, error));
    md_metrics_write(exchange->services->metrics, &exchange->answer);
    write_process(&exchange->answer);
    return MD_OK;
}
