/* service_oip.h - the handlers of inference.GRPCInferenceService that have a file of their own; the table is
 * in service_oip.c. See md_rpc_handler_fn. */
#ifndef MD_SERVICE_OIP_H
#define MD_SERVICE_OIP_H

#include "rpc.h"

/* oip_infer.c */
bool md_oip_model_infer_is_quick(struct md_services *services, const struct md_rpc *rpc);
enum md_code md_oip_model_infer(struct md_services *services, struct md_rpc *rpc, struct md_error *error);

/* oip_stream.c */
enum md_code md_oip_model_stream_infer(struct md_services *services, struct md_rpc *rpc, struct md_error *error);
ProtobufCMessage *md_oip_stream_failure(struct md_rpc *rpc, enum md_code code, const char *message);

/* oip_repository.c */
enum md_code md_oip_repository_index(struct md_services *services, struct md_rpc *rpc, struct md_error *error);
enum md_code md_oip_repository_load(struct md_services *services, struct md_rpc *rpc, struct md_error *error);
enum md_code md_oip_repository_unload(struct md_services *services, struct md_rpc *rpc, struct md_error *error);

/* oip_model_config.c, oip_statistics.c, oip_settings.c */
enum md_code md_oip_model_config(struct md_services *services, struct md_rpc *rpc, struct md_error *error);
enum md_code md_oip_model_statistics(struct md_services *services, struct md_rpc *rpc, struct md_error *error);
enum md_code md_oip_trace_setting(struct md_services *services, struct md_rpc *rpc, struct md_error *error);
enum md_code md_oip_log_settings(struct md_services *services, struct md_rpc *rpc, struct md_error *error);
enum md_code md_oip_cuda_memory(struct md_services *services, struct md_rpc *rpc, struct md_error *error);

/* oip_shared_memory.c */
enum md_code md_oip_shared_memory_status(struct md_services *services, struct md_rpc *rpc, struct md_error *error);
enum md_code md_oip_shared_memory_register(struct md_services *services, struct md_rpc *rpc, struct md_error *error);
enum md_code md_oip_shared_memory_unregister(struct md_services *services, struct md_rpc *rpc,
                                             struct md_error *error);

/* What a model with a text task takes and gives besides its tensors, so that a stock client needs no
 * tokenizer: a BYTES input of n texts, a BYTES and an FP32 output of n best classes. */
#define MD_OIP_TEXT_INPUT   "text"
#define MD_OIP_LABEL_OUTPUT "label"
#define MD_OIP_SCORE_OUTPUT "score"

#endif
