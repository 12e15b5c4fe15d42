/* stream.h - calls on which both sides stream (rows with MD_RPC_STREAM): the row's handler answers each message.
 *
 *   read -> message 1 -> handler (poller or worker) -> answer 1 sent
 *   read -> message 2 -> handler                    -> answer 2 sent, not before answer 1
 *   ... up to MD_STREAM_DEPTH messages at a time; reading waits while there are as many
 *   half-close -> every message answered -> status OK
 *
 * A message counts against the in-flight limits like a call. A message that fails is answered by the row's
 * `failure`, and the stream goes on; with the client's header `triton_grpc_error: true`, or without such a
 * function, it ends with that status. Threads: any. Lock: the list's, a leaf; nothing of gRPC is called under it. */
#ifndef MD_STREAM_H
#define MD_STREAM_H

#include "status.h"

#include <grpc/grpc.h>

struct md_rpc_method;
struct md_server;
struct md_stream_list;

enum { MD_STREAM_DEPTH = 16, MD_STREAM_LIMIT = 1024 };

/* OK: *out_list is owned by the caller, who releases it with md_stream_list_destroy. `server` must outlive it. */
MD_NODISCARD enum md_code md_stream_list_create(struct md_server *server, struct md_stream_list **out_list,
                                                struct md_error *error);
/* No stream may be left. NULL is allowed. */
void md_stream_list_destroy(struct md_stream_list *list);

/* Takes the call; the metadata are borrowed for this function. */
void md_stream_begin(struct md_stream_list *list, const struct md_rpc_method *row, grpc_call *call,
                     gpr_timespec deadline, const grpc_metadata_array *metadata);

/* Reads no more, answers what has been read, then ends every stream, those that come later too, with UNAVAILABLE. */
void md_stream_list_end(struct md_stream_list *list);

#endif
