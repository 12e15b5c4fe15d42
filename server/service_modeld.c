/* service_modeld.c - modeld.v1.ModelService: its table. Each handler is in the file of its noun. */
#include "service_modeld.h"

#include "services.h"

#include <modeld/v1/modeld.pb-c.h>

#define ROW(name, request, response, handler, flags)                                                         \
    {                                                                                                        \
        "/modeld.v1.ModelService/" name, &modeld__v1__##request##__descriptor,                               \
            &modeld__v1__##response##__descriptor, handler, flags, NULL, NULL                   \
    }

const struct md_rpc_method md_methods_modeld[] = {
    { "/modeld.v1.ModelService/Predict", &modeld__v1__predict_request__descriptor,
      &modeld__v1__predict_response__descriptor, md_modeld_predict, MD_RPC_INFERENCE, NULL, md_modeld_predict_is_quick },
    { "/modeld.v1.ModelService/PredictStream", &modeld__v1__predict_request__descriptor,
      &modeld__v1__predict_stream_response__descriptor, md_modeld_predict_stream,
      MD_RPC_INFERENCE | MD_RPC_STREAM, md_modeld_stream_failure, NULL },
    ROW("ListModels", list_models_request, list_models_response, md_modeld_list_models, 0),
    ROW("LoadModel", load_model_request, load_model_response, md_modeld_load_model, MD_RPC_LOAD),
    ROW("UnloadModel", unload_model_request, unload_model_response, md_modeld_unload_model, MD_RPC_LOAD),
    ROW("GetModel", get_model_request, get_model_response, md_modeld_get_model, 0),
    ROW("ListEvents", list_events_request, list_events_response, md_modeld_list_events, 0),
    { 0 },
};
