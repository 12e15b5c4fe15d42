/* service_oip.c - the Open Inference Protocol v2: liveness, readiness, metadata, and the service's table.
 * ModelInfer is in oip_infer.c. */
#include "service_oip.h"

#include "inference.h"
#include "model_catalogue.h"
#include "pool.h"
#include "services.h"
#include "session.h"

#include <inference/inference.pb-c.h>
#include <inttypes.h>
#include <string.h>

typedef Inference__ModelMetadataResponse__TensorMetadata tensor_metadata;

static enum md_code server_live(struct md_services *services, struct md_rpc *rpc, struct md_error *error)
{
    (void)services;
    Inference__ServerLiveResponse *response = md_arena_allocate(&rpc->arena, sizeof *response);
    if (response == NULL)
        return md_fail_memory(error, "answer");
    inference__server_live_response__init(response);
    response->live = true;
    rpc->response = &response->base;
    return MD_OK;
}

static enum md_code server_ready(struct md_services *services, struct md_rpc *rpc, struct md_error *error)
{
    Inference__ServerReadyResponse *response = md_arena_allocate(&rpc->arena, sizeof *response);
    if (response == NULL)
        return md_fail_memory(error, "answer");
    inference__server_ready_response__init(response);
    response->ready = md_services_phase(services) == MD_PHASE_SERVING;
    rpc->response = &response->base;
    return MD_OK;
}

static enum md_code model_ready(struct md_services *services, struct md_rpc *rpc, struct md_error *error)
{
    const Inference__ModelReadyRequest *request = (const Inference__ModelReadyRequest *)rpc->request;
    Inference__ModelReadyResponse *response = md_arena_allocate(&rpc->arena, sizeof *response);
    struct md_catalogue_state state;
    if (response == NULL)
        return md_fail_memory(error, "answer");
    inference__model_ready_response__init(response);
    MD_TRY(md_model_lookup(services, rpc, request->name, request->version, &state, error));
    response->ready = state.state == MD_VERSION_READY;
    rpc->response = &response->base;
    return MD_OK;
}

/* Triton's names for what this service does besides the core RPCs. */
static enum md_code list_extensions(struct md_arena *arena, Inference__ServerMetadataResponse *response,
                                    struct md_error *error)
{
    static const char *const names[] = { "binary_tensor_data", "model_configuration", "model_repository", "statistics",
                                         "system_shared_memory" };
    enum { COUNT = sizeof names / sizeof *names };
    response->extensions = md_arena_allocate_zeroed(arena, COUNT, sizeof *response->extensions);
    if (response->extensions == NULL)
        return md_fail_memory(error, "answer");
    for (size_t i = 0; i < COUNT; i++) {
        response->extensions[i] = md_arena_copy_string(arena, names[i], strlen(names[i]));
        if (response->extensions[i] == NULL)
            return md_fail_memory(error, "answer");
    }
    response->n_extensions = COUNT;
    return MD_OK;
}

static enum md_code server_metadata(struct md_services *services, struct md_rpc *rpc, struct md_error *error)
{
    (void)services;
    Inference__ServerMetadataResponse *response = md_arena_allocate(&rpc->arena, sizeof *response);
    if (response == NULL)
        return md_fail_memory(error, "answer");
    inference__server_metadata_response__init(response);
    MD_TRY(list_extensions(&rpc->arena, response, error));
    response->name = md_arena_copy_string(&rpc->arena, "modeld", 6);
    response->version = md_arena_printf(&rpc->arena, "%s", MD_VERSION_TEXT);
    if (response->name == NULL || response->version == NULL)
        return md_fail_memory(error, "answer");
    rpc->response = &response->base;
    return MD_OK;
}

/* ---- metadata of a model ---- */

static enum md_code describe(struct md_arena *arena, const char *name, const char *datatype,
                             const struct md_shape *shape, tensor_metadata **out_metadata,
                             struct md_error *error)
{
    tensor_metadata *metadata = md_arena_allocate(arena, sizeof *metadata);
    if (metadata == NULL)
        return md_fail_memory(error, "answer");
    inference__model_metadata_response__tensor_metadata__init(metadata);
    metadata->name = md_arena_copy_string(arena, name, strlen(name));
    metadata->datatype = md_arena_copy_string(arena, datatype, strlen(datatype));
    metadata->shape = md_arena_allocate(arena, sizeof shape->dims);
    if (metadata->name == NULL || metadata->datatype == NULL || metadata->shape == NULL)
        return md_fail_memory(error, "answer");
    memcpy(metadata->shape, shape->dims, sizeof shape->dims);
    metadata->n_shape = (size_t)shape->rank;
    *out_metadata = metadata;
    return MD_OK;
}

static enum md_code describe_signature(struct md_arena *arena, const struct md_signature *signature,
                                       tensor_metadata **out_metadata, struct md_error *error)
{
    static const struct md_shape no_shape = { 0 };
    return describe(
        arena, signature->name, signature->is_tensor ? md_datatype_name(signature->datatype) : "SEQUENCE",
        signature->is_tensor && signature->has_shape ? &signature->shape : &no_shape, out_metadata, error);
}

/* The graph's tensors: generic clients send every input that is listed and expect every output. What a text
 * task takes and gives besides (service_oip.h) is another way to ask, so it is not listed among them. */
static enum md_code describe_model(struct md_arena *arena, const struct md_loaded_version *loaded,
                                   Inference__ModelMetadataResponse *response, struct md_error *error)
{
    const struct md_session *session = md_loaded_version_session(loaded);
    size_t inputs = md_session_input_count(session), outputs = md_session_output_count(session);
    response->inputs = md_arena_allocate_zeroed(arena, inputs + 1, sizeof *response->inputs);
    response->outputs = md_arena_allocate_zeroed(arena, outputs + 1, sizeof *response->outputs);
    if (response->inputs == NULL || response->outputs == NULL)
        return md_fail_memory(error, "answer");
    for (size_t i = 0; i < inputs; i++)
        MD_TRY(describe_signature(arena, md_session_input(session, i), &response->inputs[i], error));
    for (size_t i = 0; i < outputs; i++)
        MD_TRY(describe_signature(arena, md_session_output(session, i), &response->outputs[i], error));
    response->n_inputs = inputs;
    response->n_outputs = outputs;
    return MD_OK;
}

static enum md_code list_versions(struct md_services *services, struct md_arena *arena, const char *model,
                                  Inference__ModelMetadataResponse *response, struct md_error *error)
{
    uint64_t *versions;
    size_t count;
    MD_TRY(md_catalogue_ready_versions(services->catalogue, model, arena, &versions, &count, error));
    response->versions = md_arena_allocate_zeroed(arena, count + 1, sizeof *response->versions);
    if (response->versions == NULL)
        return md_fail_memory(error, "answer");
    for (size_t i = 0; i < count; i++) {
        response->versions[i] = md_arena_printf(arena, "%" PRIu64, versions[i]);
        if (response->versions[i] == NULL)
            return md_fail_memory(error, "answer");
    }
    response->n_versions = count;
    return MD_OK;
}

static enum md_code model_metadata(struct md_services *services, struct md_rpc *rpc, struct md_error *error)
{
    static const char platform[] = "onnx_onnxv1";
    const Inference__ModelMetadataRequest *request = (const Inference__ModelMetadataRequest *)rpc->request;
    struct md_arena *arena = &rpc->arena;
    struct md_catalogue_state state;
    struct md_loaded_version *loaded;
    Inference__ModelMetadataResponse *response = md_arena_allocate(arena, sizeof *response);
    if (response == NULL)
        return md_fail_memory(error, "answer");
    inference__model_metadata_response__init(response);
    MD_TRY(md_model_lookup(services, rpc, request->name, request->version, &state, error));
    if (md_pool_pin(services->pool, request->name, *request->version == '\0' ? 0 : state.version, &loaded,
                    NULL) != MD_OK)
        return md_fail(error, MD_UNAVAILABLE, "model \"%.128s\" version %" PRIu64 " is %s%s%s", request->name,
                       state.version, md_version_state_name(state.state), *state.reason == '\0' ? "" : ": ",
                       state.reason);
    enum md_code code = describe_model(arena, loaded, response, error);
    md_loaded_version_unpin(loaded);
    if (code != MD_OK)
        return code;
    MD_TRY(list_versions(services, arena, request->name, response, error));
    response->name = request->name;
    response->platform = md_arena_copy_string(arena, platform, sizeof platform - 1);
    if (response->platform == NULL)
        return md_fail_memory(error, "answer");
    rpc->response = &response->base;
    return MD_OK;
}

#define ROW(name, message, handler, flags)                                                                   \
    {                                                                                                        \
        "/inference.GRPCInferenceService/" name, &inference__##message##_request__descriptor,                \
            &inference__##message##_response__descriptor, handler, flags, NULL, NULL                         \
    }

const struct md_rpc_method md_methods_oip[] = {
    ROW("ServerLive", server_live, server_live, MD_RPC_INLINE | MD_RPC_WHILE_DRAINING),
    ROW("ServerReady", server_ready, server_ready, MD_RPC_INLINE | MD_RPC_WHILE_DRAINING),
    ROW("ModelReady", model_ready, model_ready, MD_RPC_INLINE),
    ROW("ServerMetadata", server_metadata, server_metadata, MD_RPC_INLINE),
    ROW("ModelMetadata", model_metadata, model_metadata, 0),
    { "/inference.GRPCInferenceService/ModelInfer", &inference__model_infer_request__descriptor,
      &inference__model_infer_response__descriptor, md_oip_model_infer, MD_RPC_INFERENCE, NULL,
      md_oip_model_infer_is_quick },
    { "/inference.GRPCInferenceService/ModelStreamInfer", &inference__model_infer_request__descriptor,
      &inference__model_stream_infer_response__descriptor, md_oip_model_stream_infer,
      MD_RPC_INFERENCE | MD_RPC_STREAM, md_oip_stream_failure, NULL },
    ROW("ModelConfig", model_config, md_oip_model_config, 0),
    ROW("ModelStatistics", model_statistics, md_oip_model_statistics, 0),
    ROW("RepositoryIndex", repository_index, md_oip_repository_index, 0),
    ROW("RepositoryModelLoad", repository_model_load, md_oip_repository_load, MD_RPC_LOAD),
    ROW("RepositoryModelUnload", repository_model_unload, md_oip_repository_unload, MD_RPC_LOAD),
    ROW("SystemSharedMemoryStatus", system_shared_memory_status, md_oip_shared_memory_status, MD_RPC_PEER),
    ROW("SystemSharedMemoryRegister", system_shared_memory_register, md_oip_shared_memory_register, MD_RPC_PEER),
    ROW("SystemSharedMemoryUnregister", system_shared_memory_unregister, md_oip_shared_memory_unregister,
        MD_RPC_PEER),
    ROW("CudaSharedMemoryStatus", cuda_shared_memory_status, md_oip_cuda_memory, MD_RPC_INLINE),
    ROW("CudaSharedMemoryRegister", cuda_shared_memory_register, md_oip_cuda_memory, MD_RPC_INLINE),
    ROW("CudaSharedMemoryUnregister", cuda_shared_memory_unregister, md_oip_cuda_memory, MD_RPC_INLINE),
    ROW("TraceSetting", trace_setting, md_oip_trace_setting, MD_RPC_INLINE),
    ROW("LogSettings", log_settings, md_oip_log_settings, MD_RPC_INLINE),
    { 0 },
};
