/* oip_model_config.c - ModelConfig: what Triton's clients want to know of a model, made from its signature. */
#include "service_oip.h"

#include "inference.h"
#include "model_catalogue.h"
#include "pool.h"
#include "services.h"
#include "session.h"

#include <inference/inference.pb-c.h>
#include <inttypes.h>
#include <string.h>

static const Inference__DataType data_types[] = {
    [MD_BOOL] = INFERENCE__DATA_TYPE__TYPE_BOOL,     [MD_UINT8] = INFERENCE__DATA_TYPE__TYPE_UINT8,
    [MD_UINT16] = INFERENCE__DATA_TYPE__TYPE_UINT16, [MD_UINT32] = INFERENCE__DATA_TYPE__TYPE_UINT32,
    [MD_UINT64] = INFERENCE__DATA_TYPE__TYPE_UINT64, [MD_INT8] = INFERENCE__DATA_TYPE__TYPE_INT8,
    [MD_INT16] = INFERENCE__DATA_TYPE__TYPE_INT16,   [MD_INT32] = INFERENCE__DATA_TYPE__TYPE_INT32,
    [MD_INT64] = INFERENCE__DATA_TYPE__TYPE_INT64,   [MD_FP16] = INFERENCE__DATA_TYPE__TYPE_FP16,
    [MD_FP32] = INFERENCE__DATA_TYPE__TYPE_FP32,     [MD_FP64] = INFERENCE__DATA_TYPE__TYPE_FP64,
    [MD_BYTES] = INFERENCE__DATA_TYPE__TYPE_STRING,  [MD_BF16] = INFERENCE__DATA_TYPE__TYPE_BF16,
};

/* TYPE_INVALID: a sequence, or a type that the protocol has no name for. */
static Inference__DataType data_type_of(const struct md_signature *signature)
{
    size_t index = (size_t)signature->datatype;
    return signature->is_tensor && index < sizeof data_types / sizeof *data_types ? data_types[index]
                                                                                  : INFERENCE__DATA_TYPE__TYPE_INVALID;
}

static enum md_code copy_dims(struct md_arena *arena, const struct md_signature *signature, int64_t **out_dims,
                              size_t *out_count, struct md_error *error)
{
    size_t rank = signature->is_tensor && signature->has_shape ? (size_t)signature->shape.rank : 0;
    int64_t *dims = md_arena_allocate_zeroed(arena, rank + 1, sizeof *dims);
    if (dims == NULL)
        return md_fail_memory(error, "answer");
    memcpy(dims, signature->shape.dims, rank * sizeof *dims);
    *out_dims = dims;
    *out_count = rank;
    return MD_OK;
}

static enum md_code add_input(struct md_arena *arena, const struct md_signature *signature,
                              Inference__ModelConfig *config, struct md_error *error)
{
    Inference__ModelInput *input = md_arena_allocate(arena, sizeof *input);
    if (input == NULL)
        return md_fail_memory(error, "answer");
    inference__model_input__init(input);
    input->name = md_rpc_echo(arena, signature->name);
    input->data_type = data_type_of(signature);
    config->input[config->n_input++] = input;
    return input->name == NULL ? md_fail_memory(error, "answer")
                               : copy_dims(arena, signature, &input->dims, &input->n_dims, error);
}

static enum md_code add_output(struct md_arena *arena, const struct md_signature *signature,
                               Inference__ModelConfig *config, struct md_error *error)
{
    Inference__ModelOutput *output = md_arena_allocate(arena, sizeof *output);
    if (output == NULL)
        return md_fail_memory(error, "answer");
    inference__model_output__init(output);
    output->name = md_rpc_echo(arena, signature->name);
    output->data_type = data_type_of(signature);
    config->output[config->n_output++] = output;
    return output->name == NULL ? md_fail_memory(error, "answer")
                                : copy_dims(arena, signature, &output->dims, &output->n_dims, error);
}

static enum md_code fill_tensors(struct md_arena *arena, const struct md_session *session,
                                 Inference__ModelConfig *config, struct md_error *error)
{
    size_t inputs = md_session_input_count(session), outputs = md_session_output_count(session);
    config->input = md_arena_allocate_zeroed(arena, inputs + 1, sizeof *config->input);
    config->output = md_arena_allocate_zeroed(arena, outputs + 1, sizeof *config->output);
    if (config->input == NULL || config->output == NULL)
        return md_fail_memory(error, "answer");
    for (size_t i = 0; i < inputs; i++)
        MD_TRY(add_input(arena, md_session_input(session, i), config, error));
    for (size_t i = 0; i < outputs; i++)
        MD_TRY(add_output(arena, md_session_output(session, i), config, error));
    return MD_OK;
}

static enum md_code fill_names(struct md_arena *arena, const char *model, Inference__ModelConfig *config,
                               struct md_error *error)
{
    config->name = md_rpc_echo(arena, model);
    config->platform = md_rpc_echo(arena, "onnx_onnxv1");
    config->backend = md_rpc_echo(arena, "modeld");
    config->default_model_filename = md_rpc_echo(arena, "model.onnx");
    return config->name == NULL || config->platform == NULL || config->backend == NULL ||
                   config->default_model_filename == NULL
               ? md_fail_memory(error, "answer")
               : MD_OK;
}

enum md_code md_oip_model_config(struct md_services *services, struct md_rpc *rpc, struct md_error *error)
{
    const Inference__ModelConfigRequest *request = (const Inference__ModelConfigRequest *)rpc->request;
    struct md_arena *arena = &rpc->arena;
    struct md_catalogue_state state;
    struct md_loaded_version *loaded;
    Inference__ModelConfigResponse *response = md_arena_allocate(arena, sizeof *response);
    Inference__ModelConfig *config = md_arena_allocate(arena, sizeof *config);
    if (response == NULL || config == NULL)
        return md_fail_memory(error, "answer");
    inference__model_config_response__init(response);
    inference__model_config__init(config);
    MD_TRY(md_model_lookup(services, rpc, request->name, request->version, &state, error));
    if (md_pool_pin(services->pool, request->name, *request->version == '\0' ? 0 : state.version, &loaded,
                    NULL) != MD_OK)
        return md_fail(error, MD_UNAVAILABLE, "model \"%.128s\" version %" PRIu64 " is %s%s%s", request->name,
                       state.version, md_version_state_name(state.state), *state.reason == '\0' ? "" : ": ",
                       state.reason);
    enum md_code code = fill_tensors(arena, md_loaded_version_session(loaded), config, error);
    md_loaded_version_unpin(loaded);
    if (code != MD_OK)
        return code;
    MD_TRY(fill_names(arena, request->name, config, error));
    response->config = config;
    rpc->response = &response->base;
    return MD_OK;
}
