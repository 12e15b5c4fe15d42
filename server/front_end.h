/* front_end.h - what the parts of the gRPC front end share: the server's own struct. Private to the files
 * that know gRPC: server.c, call.c, generic.c, stream.c, health_watch.c, admission.c. */
#ifndef MD_FRONT_END_H
#define MD_FRONT_END_H

#include "address.h"
#include "completion.h"
#include "load_report.h"
#include "server.h"
#include "services.h"

#include <grpc/grpc.h>
#include <pthread.h>
#include <stdatomic.h>

struct md_client_limit;
struct md_listener;
struct md_stream_list;
struct md_watch_list;
struct md_worker_group;

/* A registered method and the calls of it that are under way. */
struct md_method {
    const struct md_rpc_method *row;
    void *handle;                  /* gRPC's */
    struct md_worker_group *group; /* NULL: inline */
    size_t limit;                  /* calls at a time; slots are twice that */
    struct md_method_metrics *metrics;
    atomic_size_t calls;           /* relaxed: a limit may be missed by a call or two */
};

enum { MD_POLLER_LIMIT = 8 };

struct md_server {
    struct md_server_options options; /* immutable after create, as the next ones */
    struct md_services *services;
    grpc_server *core;
    grpc_completion_queue *queue;
    struct md_listener *listener;    /* NULL with TLS: the core accepts by itself */
    struct md_bound_socket tls_bound; /* with TLS; fd is -1 */
    struct md_client_limit *clients; /* NULL: a client may take every place */
    struct md_watch_list *watches;
    struct md_stream_list *streams;
    struct md_worker_group *inference;
    struct md_worker_group *control;
    struct md_worker_group *loads;
    struct md_method *methods;
    size_t method_count;
    int drained_fd;

    atomic_bool draining;         /* relaxed: set once, before the core refuses new calls by itself */
    atomic_size_t inflight_calls; /* relaxed: counters for admission and the log */
    atomic_size_t inflight_bytes;
    atomic_size_t calls;
    atomic_uint_least64_t arrivals; /* relaxed: unary calls that have come */
    struct md_load_sampler load;
    atomic_int_least64_t last_arrival_us; /* relaxed: for the drain */
    atomic_uint_least64_t next_id;        /* relaxed: request ids */
    uint64_t id_salt;                     /* random, immutable */

    struct md_tag shut_down; /* of grpc_server_shutdown_and_notify */
    bool is_started;         /* main thread only, as all below */
    bool is_drained_asked;
    size_t poller_count;
    pthread_t pollers[MD_POLLER_LIMIT];
};

#endif
