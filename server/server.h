/* server.h - the gRPC front end's life cycle. Only the files listed in README.md under "the gRPC side" know
 * gRPC.
 *
 * Threads: the functions here are called by one thread (main); inside are the accept thread, the poller(s)
 * and three worker groups. See README.md for who does what.
 *
 *   create (bind, start) -> serve (pollers, accept) -> close -> drain -> [cancel] -> drained_fd readable ->
 * destroy */
#ifndef MD_SERVER_H
#define MD_SERVER_H

#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct md_allocator;
struct md_server;
struct md_services;

struct md_server_options {
    const struct md_allocator *allocator;
    const char *listen;
    size_t threads; /* of the inference group */
    size_t max_inflight;
    size_t max_inflight_per_client; /* 0: as many as max_inflight */
    size_t max_inflight_bytes;
    size_t max_message_bytes;
    size_t max_connections;
    bool log_requests;
    bool insecure; /* plain text also on addresses that others reach */
    const char *tls_certificate, *tls_key; /* files; "": plain text */
    const char *tls_client_ca;             /* "": clients need no certificate */
};

/* Binds the address and makes the threads; no connection is accepted yet. `services` is borrowed and must
 * outlive it. OK: *out_server is owned by the caller, who releases it with md_server_destroy.
 * INVALID_ARGUMENT: the address is malformed. FAILED_PRECONDITION: it is in use, or may not be bound.
 * RESOURCE_EXHAUSTED: memory or threads. */
MD_NODISCARD enum md_code md_server_create(const struct md_server_options *options,
                                           struct md_services *services, struct md_server **out_server,
                                           struct md_error *error);
/* Drains at once (cancelling what runs) if that has not been done. NULL is allowed. */
void md_server_destroy(struct md_server *server);

/* Accepts connections and answers. RESOURCE_EXHAUSTED: memory or threads. */
MD_NODISCARD enum md_code md_server_serve(struct md_server *server, struct md_error *error);

const char *md_server_address(const struct md_server *server); /* "127.0.0.1:8001" or "unix:/path" */
uint16_t md_server_port(const struct md_server *server);       /* 0: a unix socket */

/* The phase or a model's state has changed: health watchers are told. Any thread. */
void md_server_status_changed(struct md_server *server);

/* Accepts no more connections. */
void md_server_close(struct md_server *server);
/* When the last call came, on md_clock_us(); 0: none has. */
int64_t md_server_last_arrival_us(const struct md_server *server);
/* Closes, ends streams, sends GOAWAY; calls under way go on. From here on the core itself kills calls that
 * come on old connections, with CANCELLED, which clients do not retry: so let them see UNAVAILABLE for a
 * moment first (the phase must be DRAINING), until none comes any more. */
void md_server_drain(struct md_server *server);
/* After drain: cancels the calls that are still under way. */
void md_server_cancel(struct md_server *server);
/* Becomes readable when the last call is done. Borrowed; for poll(2). */
int md_server_drained_fd(const struct md_server *server);
/* Calls under way now, for the log. */
size_t md_server_calls(const struct md_server *server);

#endif
