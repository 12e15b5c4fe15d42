/* call.h - a unary call: the slot that waits for one, and everything that happens to it until it waits again.
 *
 *   posted -> arrived -> refused ---------------------------\
 *                     -> inline (poller) --> answered -> sent and closed -> posted again
 *                     -> queued -> worker -/
 *
 * Two batches run at once: RECV_CLOSE (so that a client that goes away is noticed early) and, at the end, the
 * answer; what is answered at once on the poller has one for both. The slot is free when all have come back. Threads: arrived, sent and closed on a poller, the
 * handler on a poller or a worker; they never overlap but for the cancelled flag. */
#ifndef MD_CALL_H
#define MD_CALL_H

#include "status.h"

struct md_method;
struct md_server;

/* Posts a new slot for the method; it frees itself when the server shuts down. RESOURCE_EXHAUSTED: memory. */
MD_NODISCARD enum md_code md_call_post_slot(struct md_server *server, struct md_method *method,
                                            struct md_error *error);

#endif
