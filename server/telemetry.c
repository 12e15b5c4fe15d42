/* telemetry.c - see telemetry.h. */
#include "telemetry.h"

#include "clock.h"
#include "log.h"
#include "metrics.h"
#include "services.h"

#include <inttypes.h>
#include <stdio.h>

void md_telemetry_begin(struct md_rpc *rpc)
{
    rpc->metrics = NULL;
    rpc->rows = rpc->tokens = 0;
    rpc->computed_at_us = 0;
    for (int i = 0; i < MD_STAGE_COUNT; i++)
        rpc->stage_us[i] = -1;
}

const char *md_telemetry_server_timing(const struct md_rpc *rpc, char buffer[MD_SERVER_TIMING_SIZE])
{
    size_t used = 0;
    buffer[0] = '\0';
    for (int i = 0; i < MD_STAGE_COUNT && used < MD_SERVER_TIMING_SIZE; i++)
        if (rpc->stage_us[i] >= 0)
            used += (size_t)snprintf(buffer + used, MD_SERVER_TIMING_SIZE - used, "%s%s;dur=%" PRId64 ".%03" PRId64,
                                     used > 0 ? ", " : "", md_stage_names[i], rpc->stage_us[i] / 1000,
                                     rpc->stage_us[i] % 1000);
    return buffer;
}

static void log_slow(const struct md_services *services, const struct md_rpc *rpc, const char *method,
                     enum md_code code, int64_t duration_us)
{
    const int64_t *stage_us = rpc->stage_us;
    MD_LOG(services->log, MD_LOG_WARNING, "slow request", MD_LOG_STRING("method", method),
           MD_LOG_STRING("request_id", rpc->request_id), MD_LOG_STRING("trace_id", rpc->trace.trace_id),
           MD_LOG_STRING("span_id", rpc->trace.span_id), MD_LOG_STRING("model", rpc->model),
           MD_LOG_COUNT("version", rpc->version), MD_LOG_STRING("code", md_code_name(code)),
           MD_LOG_COUNT("rows", rpc->rows), MD_LOG_COUNT("tokens", rpc->tokens),
           MD_LOG_NUMBER("queue_us", stage_us[MD_STAGE_QUEUE]),
           MD_LOG_NUMBER("tokenize_us", stage_us[MD_STAGE_TOKENIZE]),
           MD_LOG_NUMBER("batch_wait_us", stage_us[MD_STAGE_BATCH_WAIT]),
           MD_LOG_NUMBER("compute_us", stage_us[MD_STAGE_COMPUTE]),
           MD_LOG_NUMBER("serialize_us", stage_us[MD_STAGE_SERIALIZE]), MD_LOG_NUMBER("duration_us", duration_us),
           MD_LOG_COUNT("limit_us", services->slow_request_us));
}

void md_telemetry_end(struct md_services *services, struct md_rpc *rpc, struct md_method_metrics *method,
                      const char *method_name, enum md_code code)
{
    int64_t now_us = md_clock_us(), duration_us = now_us - rpc->arrived_at_us;
    md_metrics_count_call(method, code, (uint64_t)duration_us);
    if (rpc->metrics == NULL)
        return;
    if (rpc->computed_at_us != 0)
        rpc->stage_us[MD_STAGE_SERIALIZE] = now_us - rpc->computed_at_us;
    md_metrics_count_inference(rpc->metrics, &(struct md_inference_count){ .code = code,
                                                                           .duration_us = (uint64_t)duration_us,
                                                                           .rows = rpc->rows,
                                                                           .tokens = rpc->tokens,
                                                                           .stage_us = rpc->stage_us });
    if (services->slow_request_us > 0 && (uint64_t)duration_us >= services->slow_request_us)
        log_slow(services, rpc, method_name, code, duration_us);
}
