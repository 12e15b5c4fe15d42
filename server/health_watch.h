/* health_watch.h - the streams of grpc.health.v1.Health/Watch.
 *
 * Each sends the status at once and whenever it changes; an unknown name is SERVICE_UNKNOWN until it is
 * known. One message is under way at a time: a watcher that reads slowly gets the newest status, not all of
 * them. Threads: any. Lock: the list's; order: list -> catalogue. Nothing of gRPC is called under it. */
#ifndef MD_HEALTH_WATCH_H
#define MD_HEALTH_WATCH_H

#include "status.h"

struct grpc_call;
struct md_server;
struct md_watch_list;

#define MD_HEALTH_WATCH_PATH "/grpc.health.v1.Health/Watch"

/* OK: *out_list is owned by the caller, who releases it with md_watch_list_destroy. `server` must outlive it.
 */
MD_NODISCARD enum md_code md_watch_list_create(struct md_server *server, struct md_watch_list **out_list,
                                               struct md_error *error);
/* No stream may be left. NULL is allowed. */
void md_watch_list_destroy(struct md_watch_list *list);

/* Takes the call. */
void md_health_watch_begin(struct md_watch_list *list, struct grpc_call *call);

/* Something that health depends on has changed. */
void md_watch_list_notify(struct md_watch_list *list);

/* Sends what there is to send, then ends every stream, those that come later too, with UNAVAILABLE. */
void md_watch_list_end(struct md_watch_list *list);

#endif
