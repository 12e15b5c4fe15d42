/* admission.h - may this request run? The limits on what is in flight, for calls and for messages of streams.
 * Threads: any. */
#ifndef MD_ADMISSION_H
#define MD_ADMISSION_H

#include "status.h"

#include <stdbool.h>
#include <stddef.h>

struct md_rpc;
struct md_server;

/* Counts a request of `bytes` of rpc->peer in. RESOURCE_EXHAUSTED: one of the in-flight limits; nothing is counted.
 * OK: followed by md_admission_leave, while rpc->peer is still there. */
MD_NODISCARD enum md_code md_admission_enter(struct md_server *server, const struct md_rpc *rpc, size_t bytes,
                                             struct md_error *error);
void md_admission_leave(struct md_server *server, const struct md_rpc *rpc, size_t bytes);
/* Does md_admission_enter look at rpc->peer? Finding it costs a system call. */
bool md_admission_needs_peer(const struct md_server *server);

/* After the queue: CANCELLED or DEADLINE_EXCEEDED when nobody waits for the answer any more. */
MD_NODISCARD enum md_code md_admission_check_wanted(const struct md_rpc *rpc, struct md_error *error);

#endif
