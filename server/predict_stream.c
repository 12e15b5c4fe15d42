/* predict_stream.c - PredictStream: Predict for each message of a stream. */
#include "service_modeld.h"

#include "services.h"

#include <modeld/v1/modeld.pb-c.h>

enum md_code md_modeld_predict_stream(struct md_services *services, struct md_rpc *rpc, struct md_error *error)
{
    Modeld__V1__PredictStreamResponse *response = md_arena_allocate(&rpc->arena, sizeof *response);
    if (response == NULL)
        return md_fail_memory(error, "answer");
    modeld__v1__predict_stream_response__init(response);
    MD_TRY(md_modeld_predict(services, rpc, error));
    response->response = (Modeld__V1__PredictResponse *)rpc->response;
    rpc->response = &response->base;
    return MD_OK;
}

ProtobufCMessage *md_modeld_stream_failure(struct md_rpc *rpc, enum md_code code, const char *message)
{
    const Modeld__V1__PredictRequest *request = (const Modeld__V1__PredictRequest *)rpc->request;
    Modeld__V1__PredictStreamResponse *response = md_arena_allocate(&rpc->arena, sizeof *response);
    Modeld__V1__StreamError *failure = md_arena_allocate(&rpc->arena, sizeof *failure);
    if (response == NULL || failure == NULL)
        return NULL;
    modeld__v1__predict_stream_response__init(response);
    modeld__v1__stream_error__init(failure);
    failure->code = (int32_t)code;
    failure->message = md_arena_printf(&rpc->arena, "%s", message);
    if (request != NULL)
        failure->id = md_rpc_echo(&rpc->arena, request->id);
    response->error = failure;
    return failure->message == NULL || failure->id == NULL ? NULL : &response->base;
}
