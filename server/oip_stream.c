/* oip_stream.c - ModelStreamInfer: ModelInfer for each message of a stream. An answer says that it is the only one
 * to its request (`triton_final_response`), as clients of models with many answers ask. */
#include "service_oip.h"

#include "services.h"

#include <inference/inference.pb-c.h>
#include <string.h>

typedef Inference__ModelStreamInferResponse stream_response;
typedef Inference__ModelInferResponse__ParametersEntry parameter_entry;

static stream_response *make_response(struct md_arena *arena)
{
    stream_response *response = md_arena_allocate(arena, sizeof *response);
    if (response != NULL)
        inference__model_stream_infer_response__init(response);
    return response;
}

static enum md_code mark_final(struct md_arena *arena, Inference__ModelInferResponse *answer,
                               struct md_error *error)
{
    parameter_entry **entries = md_arena_allocate(arena, sizeof *entries);
    parameter_entry *entry = md_arena_allocate(arena, sizeof *entry);
    Inference__InferParameter *value = md_arena_allocate(arena, sizeof *value);
    if (entries == NULL || entry == NULL || value == NULL)
        return md_fail_memory(error, "answer");
    inference__model_infer_response__parameters_entry__init(entry);
    inference__infer_parameter__init(value);
    value->parameter_choice_case = INFERENCE__INFER_PARAMETER__PARAMETER_CHOICE_BOOL_PARAM;
    value->bool_param = true;
    entry->key = md_arena_copy_string(arena, "triton_final_response", strlen("triton_final_response"));
    entry->value = value;
    entries[0] = entry;
    answer->parameters = entries;
    answer->n_parameters = 1;
    return entry->key == NULL ? md_fail_memory(error, "answer") : MD_OK;
}

enum md_code md_oip_model_stream_infer(struct md_services *services, struct md_rpc *rpc, struct md_error *error)
{
    stream_response *response = make_response(&rpc->arena);
    if (response == NULL)
        return md_fail_memory(error, "answer");
    MD_TRY(md_oip_model_infer(services, rpc, error));
    response->infer_response = (Inference__ModelInferResponse *)rpc->response;
    MD_TRY(mark_final(&rpc->arena, response->infer_response, error));
    rpc->response = &response->base;
    return MD_OK;
}

ProtobufCMessage *md_oip_stream_failure(struct md_rpc *rpc, enum md_code code, const char *message)
{
    const Inference__ModelInferRequest *request = (const Inference__ModelInferRequest *)rpc->request;
    stream_response *response = make_response(&rpc->arena);
    Inference__ModelInferResponse *answer = md_arena_allocate(&rpc->arena, sizeof *answer);
    (void)code; /* the message has no field for it */
    if (response == NULL || answer == NULL)
        return NULL;
    inference__model_infer_response__init(answer);
    if (request != NULL) {
        answer->id = md_rpc_echo(&rpc->arena, request->id);
        answer->model_name = md_rpc_echo(&rpc->arena, request->model_name);
    }
    response->infer_response = answer;
    response->error_message = md_arena_printf(&rpc->arena, "%s", *message == '\0' ? "failed" : message);
    return answer->id == NULL || answer->model_name == NULL || response->error_message == NULL ? NULL
                                                                                              : &response->base;
}
