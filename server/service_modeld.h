/* service_modeld.h - the handlers of modeld.v1.ModelService, whose table is in service_modeld.c. See
 * md_rpc_handler_fn. */
#ifndef MD_SERVICE_MODELD_H
#define MD_SERVICE_MODELD_H

#include "rpc.h"

/* service_predict.c */
bool md_modeld_predict_is_quick(struct md_services *services, const struct md_rpc *rpc);
enum md_code md_modeld_predict(struct md_services *services, struct md_rpc *rpc, struct md_error *error);

/* predict_stream.c */
enum md_code md_modeld_predict_stream(struct md_services *services, struct md_rpc *rpc, struct md_error *error);
ProtobufCMessage *md_modeld_stream_failure(struct md_rpc *rpc, enum md_code code, const char *message);

/* service_models.c */
enum md_code md_modeld_list_models(struct md_services *services, struct md_rpc *rpc, struct md_error *error);
enum md_code md_modeld_get_model(struct md_services *services, struct md_rpc *rpc, struct md_error *error);

/* service_lifecycle.c */
enum md_code md_modeld_load_model(struct md_services *services, struct md_rpc *rpc, struct md_error *error);
enum md_code md_modeld_unload_model(struct md_services *services, struct md_rpc *rpc, struct md_error *error);

/* service_events.c */
enum md_code md_modeld_list_events(struct md_services *services, struct md_rpc *rpc, struct md_error *error);

#endif
