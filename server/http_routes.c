/* http_routes.c - the paths of the HTTP port, and those that answer from the catalogue: health, readiness, metadata,
 * the repository. Adding a path is a handler and a row. */
#include "http_exchange.h"

#include "clock.h"
#include "inference.h"
#include "model_catalogue.h"
#include "services.h"
#include "version_text.h"

#include <inference/inference.pb-c.h>
#include <inttypes.h>
#include <modeld/v1/modeld.pb-c.h>
#include <string.h>

enum { SEGMENT_LIMIT = 8 };

/* ---- routing ---- */

/* One segment of a pattern against one of a path: "{m}", "{v}", "{m}:predict", or the word itself. */
static bool match_segment(struct md_http_exchange *exchange, struct md_span pattern, struct md_span segment)
{
    bool is_model = pattern.size >= 3 && memcmp(pattern.bytes, "{m}", 3) == 0;
    bool is_version = pattern.size >= 3 && memcmp(pattern.bytes, "{v}", 3) == 0;
    if (!is_model && !is_version)
        return md_span_equal(pattern, segment);
    const struct md_span suffix = { pattern.bytes + 3, pattern.size - 3 };
    if (segment.size <= suffix.size ||
        (suffix.size > 0 && memcmp(segment.bytes + segment.size - suffix.size, suffix.bytes, suffix.size) != 0))
        return false;
    char *copy = md_arena_copy_string(&exchange->rpc.arena, segment.bytes, segment.size - suffix.size);
    if (copy == NULL)
        return false;
    *(is_model ? &exchange->model : &exchange->version) = copy;
    return true;
}

static size_t split(const char *path, struct md_span segments[SEGMENT_LIMIT])
{
    size_t count = 0;
    for (const char *at = path; *at == '/' && count < SEGMENT_LIMIT;) {
        size_t size = strcspn(++at, "/");
        segments[count++] = (struct md_span){ at, size };
        at += size;
    }
    return count;
}

static bool match(struct md_http_exchange *exchange, const char *pattern, const struct md_span *segments, size_t count)
{
    struct md_span wanted[SEGMENT_LIMIT];
    if (split(pattern, wanted) != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!match_segment(exchange, wanted[i], segments[i]))
            return false;
    return true;
}

const struct md_http_route *md_http_route_find(struct md_http_exchange *exchange, const char *path, bool is_post,
                                               bool *out_is_known)
{
    static char none[] = "";
    struct md_span segments[SEGMENT_LIMIT];
    size_t count = split(path, segments);
    *out_is_known = false;
    for (const struct md_http_route *route = md_http_routes; route->path != NULL; route++) {
        exchange->model = exchange->version = none;
        if (!match(exchange, route->path, segments, count))
            continue;
        *out_is_known = true;
        if (is_post == ((route->flags & MD_HTTP_POST) != 0))
            return route;
    }
    return NULL;
}

/* ---- calls of the services ---- */

enum md_code md_http_call(struct md_http_exchange *exchange, const ProtobufCMessage *request, struct md_error *error)
{
    struct md_rpc *rpc = &exchange->rpc;
    if (atomic_load_explicit(&rpc->cancelled, memory_order_relaxed))
        return md_fail(error, MD_UNAVAILABLE, "the server is shutting down");
    rpc->request = request;
    return exchange->row->handler(exchange->services, rpc, error);
}

static void write_string(struct md_http_exchange *exchange, const char *key, const char *value)
{
    md_text_print(&exchange->answer, "\"%s\":", key);
    md_text_json(&exchange->answer, value, strlen(value));
}

/* ---- health ---- */

static enum md_code live(struct md_http_exchange *exchange, struct md_error *error)
{
    (void)error;
    md_text_put(&exchange->answer, "{\"live\":true}\n");
    return MD_OK;
}

static enum md_code ready(struct md_http_exchange *exchange, struct md_error *error)
{
    enum md_phase phase = md_services_phase(exchange->services);
    if (phase != MD_PHASE_SERVING)
        return md_fail(error, MD_UNAVAILABLE, "the server is %s",
                       phase == MD_PHASE_DRAINING ? "draining" : "loading its models");
    md_text_put(&exchange->answer, "{\"ready\":true}\n");
    return MD_OK;
}

static enum md_code model_ready(struct md_http_exchange *exchange, struct md_error *error)
{
    struct md_catalogue_state state;
    MD_TRY(md_model_lookup(exchange->services, &exchange->rpc, exchange->model, exchange->version, &state, error));
    if (state.state != MD_VERSION_READY)
        return md_fail(error, MD_UNAVAILABLE, "model \"%.128s\" version %" PRIu64 " is %s%s%s", exchange->model,
                       state.version, md_version_state_name(state.state), *state.reason == '\0' ? "" : ": ",
                       state.reason);
    md_text_put(&exchange->answer, "{");
    write_string(exchange, "name", exchange->model);
    md_text_print(&exchange->answer, ",\"version\":\"%" PRIu64 "\",\"ready\":true}\n", state.version);
    return MD_OK;
}

/* ---- metadata ---- */

static enum md_code server_metadata(struct md_http_exchange *exchange, struct md_error *error)
{
    (void)error;
    md_text_put(&exchange->answer, "{\"name\":\"modeld\",\"version\":\"" MD_VERSION_TEXT
                                   "\",\"extensions\":[\"binary_tensor_data\",\"model_repository\"]}\n");
    return MD_OK;
}

static void write_tensors(struct md_http_exchange *exchange, const char *key,
                          Inference__ModelMetadataResponse__TensorMetadata *const *tensors, size_t count)
{
    struct md_text *answer = &exchange->answer;
    md_text_print(answer, ",\"%s\":[", key);
    for (size_t i = 0; i < count; i++) {
        md_text_put(answer, i > 0 ? ",{" : "{");
        write_string(exchange, "name", tensors[i]->name);
        md_text_put(answer, ",");
        write_string(exchange, "datatype", tensors[i]->datatype);
        md_text_put(answer, ",\"shape\":[");
        for (size_t d = 0; d < tensors[i]->n_shape; d++)
            md_text_print(answer, "%s%" PRId64, d > 0 ? "," : "", tensors[i]->shape[d]);
        md_text_put(answer, "]}");
    }
    md_text_put(answer, "]");
}

static enum md_code model_metadata(struct md_http_exchange *exchange, struct md_error *error)
{
    struct md_text *answer = &exchange->answer;
    Inference__ModelMetadataRequest request = INFERENCE__MODEL_METADATA_REQUEST__INIT;
    request.name = exchange->model;
    request.version = exchange->version;
    MD_TRY(md_http_call(exchange, &request.base, error));
    const Inference__ModelMetadataResponse *response =
        (const Inference__ModelMetadataResponse *)exchange->rpc.response;
    md_text_put(answer, "{");
    write_string(exchange, "name", response->name);
    md_text_put(answer, ",\"versions\":[");
    for (size_t i = 0; i < response->n_versions; i++)
        md_text_print(answer, "%s\"%s\"", i > 0 ? "," : "", response->versions[i]);
    md_text_put(answer, "],");
    write_string(exchange, "platform", response->platform);
    write_tensors(exchange, "inputs", response->inputs, response->n_inputs);
    write_tensors(exchange, "outputs", response->outputs, response->n_outputs);
    md_text_put(answer, "}\n");
    return MD_OK;
}

/* ---- the repository ---- */

/* The states that the protocol has. */
static const char *state_of(Modeld__V1__ModelState state)
{
    switch (state) {
    case MODELD__V1__MODEL_STATE__MODEL_STATE_READY:
        return "READY";
    case MODELD__V1__MODEL_STATE__MODEL_STATE_LOADING:
    case MODELD__V1__MODEL_STATE__MODEL_STATE_WARMING:
        return "LOADING";
    case MODELD__V1__MODEL_STATE__MODEL_STATE_DRAINING:
        return "UNLOADING";
    default:
        return "UNAVAILABLE";
    }
}

static enum md_code repository_index(struct md_http_exchange *exchange, struct md_error *error)
{
    struct md_text *answer = &exchange->answer;
    Modeld__V1__ListModelsRequest request = MODELD__V1__LIST_MODELS_REQUEST__INIT;
    MD_TRY(md_http_call(exchange, &request.base, error));
    const Modeld__V1__ListModelsResponse *response = (const Modeld__V1__ListModelsResponse *)exchange->rpc.response;
    md_text_put(answer, "[");
    for (size_t i = 0; i < response->n_versions; i++) {
        const Modeld__V1__ModelVersion *version = response->versions[i];
        md_text_put(answer, i > 0 ? ",{" : "{");
        write_string(exchange, "name", version->model);
        md_text_print(answer, ",\"version\":\"%" PRIu64 "\",\"state\":\"%s\",", version->version,
                      state_of(version->state));
        write_string(exchange, "reason", version->reason);
        md_text_put(answer, "}");
    }
    md_text_put(answer, "]\n");
    return MD_OK;
}

static enum md_code load(struct md_http_exchange *exchange, struct md_error *error)
{
    Modeld__V1__LoadModelRequest request = MODELD__V1__LOAD_MODEL_REQUEST__INIT;
    request.model = exchange->model;
    MD_TRY(md_version_parse(exchange->version, &request.version, error));
    MD_TRY(md_http_call(exchange, &request.base, error));
    md_text_put(&exchange->answer, "{}\n");
    return MD_OK;
}

static enum md_code unload(struct md_http_exchange *exchange, struct md_error *error)
{
    Modeld__V1__UnloadModelRequest request = MODELD__V1__UNLOAD_MODEL_REQUEST__INIT;
    request.model = exchange->model;
    MD_TRY(md_version_parse(exchange->version, &request.version, error));
    MD_TRY(md_http_call(exchange, &request.base, error));
    md_text_put(&exchange->answer, "{}\n");
    return MD_OK;
}

/* ---- the table ---- */

#define OIP(name)    "/inference.GRPCInferenceService/" name
#define MODELD(name) "/modeld.v1.ModelService/" name

const struct md_http_route md_http_routes[] = {
    { "/healthz", MD_HTTP_WHILE_DRAINING, NULL, live },
    { "/readyz", MD_HTTP_WHILE_DRAINING, NULL, ready },
    { "/metrics", MD_HTTP_WHILE_DRAINING, NULL, md_http_metrics },
    { "/v2", 0, NULL, server_metadata },
    { "/v2/health/live", MD_HTTP_WHILE_DRAINING, NULL, live },
    { "/v2/health/ready", MD_HTTP_WHILE_DRAINING, NULL, ready },
    { "/v2/models/{m}", 0, OIP("ModelMetadata"), model_metadata },
    { "/v2/models/{m}/versions/{v}", 0, OIP("ModelMetadata"), model_metadata },
    { "/v2/models/{m}/ready", 0, NULL, model_ready },
    { "/v2/models/{m}/versions/{v}/ready", 0, NULL, model_ready },
    { "/v2/models/{m}/infer", MD_HTTP_POST, OIP("ModelInfer"), md_http_infer },
    { "/v2/models/{m}/versions/{v}/infer", MD_HTTP_POST, OIP("ModelInfer"), md_http_infer },
    { "/v2/repository/index", 0, MODELD("ListModels"), repository_index },
    { "/v2/repository/index", MD_HTTP_POST, MODELD("ListModels"), repository_index },
    { "/v2/repository/models/{m}/load", MD_HTTP_POST, MODELD("LoadModel"), load },
    { "/v2/repository/models/{m}/versions/{v}/load", MD_HTTP_POST, MODELD("LoadModel"), load },
    { "/v2/repository/models/{m}/unload", MD_HTTP_POST, MODELD("UnloadModel"), unload },
    { "/v2/repository/models/{m}/versions/{v}/unload", MD_HTTP_POST, MODELD("UnloadModel"), unload },
    { "/v1/models/{m}:predict", MD_HTTP_POST, MODELD("Predict"), md_http_predict },
    { "/v1/models/{m}/versions/{v}:predict", MD_HTTP_POST, MODELD("Predict"), md_http_predict },
    { 0 },
};
