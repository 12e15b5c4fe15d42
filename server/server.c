/* server.c - see server.h: makes the parts in order, and takes them down in reverse. */
#include "server.h"

#include "allocator.h"
#include "call.h"
#include "clock.h"
#include "client_limit.h"
#include "front_end.h"
#include "generic.h"
#include "health_watch.h"
#include "listener.h"
#include "log.h"
#include "metrics.h"
#include "stream.h"
#include "tls.h"
#include "worker_group.h"

#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <grpc/support/log.h>
#include <grpc/support/time.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    MAX_INFERENCE_THREADS = 512,
    CONTROL_THREADS = 2,
    LOAD_THREADS = 2,
    METHOD_LIMIT = 64,  /* calls at a time of a method that is no inference */
    INLINE_LIMIT = 256, /* they are over before the next arrives */
    GENERIC_SLOTS = 64,
    KEEPALIVE_MS = 60000, /* a peer that has died without a word is noticed */
    KEEPALIVE_TIMEOUT_MS = 20000,
    MIN_PING_INTERVAL_MS = 10000 /* clients may ping as often */
};

static const struct md_rpc_method *const tables[] = {
#define MD_METHOD_TABLE(table) table,
#include "method_tables.def"
#undef MD_METHOD_TABLE
};

/* ---- the core ---- */

static grpc_arg integer_arg(const char *key, int value)
{
    /* The core only reads the key; its struct predates const. */
    return (grpc_arg){ .type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)key, .value.integer = value };
}

/* The quota bounds what the core buffers before we see a message: sizes are checked only after buffering. */
static enum md_code create_core(struct md_server *server, struct md_error *error)
{
    const struct md_server_options *options = &server->options;
    grpc_resource_quota *quota = grpc_resource_quota_create("modeld");
    grpc_resource_quota_resize(quota, options->max_inflight_bytes + options->max_message_bytes);
    grpc_arg args[] = {
        integer_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)options->max_message_bytes),
        integer_arg(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1),
        integer_arg(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET,
                    1), /* identity: a small gzip may be a large message */
        integer_arg(GRPC_ARG_ALLOW_REUSEPORT, 0),
        integer_arg(GRPC_ARG_KEEPALIVE_TIME_MS, KEEPALIVE_MS),
        integer_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, KEEPALIVE_TIMEOUT_MS),
        integer_arg(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
        integer_arg(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, MIN_PING_INTERVAL_MS),
        { .type = GRPC_ARG_POINTER,
          .key = (char *)(uintptr_t)GRPC_ARG_RESOURCE_QUOTA,
          .value.pointer = { .p = quota, .vtable = grpc_resource_quota_arg_vtable() } },
    };
    const grpc_channel_args all = { .num_args = sizeof args / sizeof *args, .args = args };
    server->core = grpc_server_create(&all, NULL);
    grpc_resource_quota_unref(quota);
    server->queue = grpc_completion_queue_create_for_next(NULL);
    if (server->core == NULL || server->queue == NULL)
        return md_fail(error, MD_RESOURCE_EXHAUSTED, "cannot create the gRPC server");
    grpc_server_register_completion_queue(server->core, server->queue, NULL);
    return MD_OK;
}

/* NULL metrics: the method is not counted. */
static struct md_method make_method(struct md_server *server, const struct md_rpc_method *row)
{
    bool is_inference = (row->flags & MD_RPC_INFERENCE) != 0, is_inline = (row->flags & MD_RPC_INLINE) != 0;
    return (struct md_method){ .row = row,
                               .handle =
                                   grpc_server_register_method(server->core, row->path, NULL,
                                                               GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0),
                               .group = is_inline                         ? NULL
                                        : is_inference                    ? server->inference
                                        : (row->flags & MD_RPC_LOAD) != 0 ? server->loads
                                                                          : server->control,
                               .metrics = md_metrics_add_method(server->services->metrics, "grpc", row->path),
                               .limit = is_inference ? server->options.max_inflight
                                        : is_inline  ? INLINE_LIMIT
                                                     : METHOD_LIMIT };
}

static enum md_code register_methods(struct md_server *server, struct md_error *error)
{
    size_t count = 0;
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (const struct md_rpc_method *row = tables[t]; row->path != NULL; row++)
            count++;
    server->methods = md_allocate_zeroed(server->options.allocator, count, sizeof *server->methods);
    if (server->methods == NULL)
        return md_fail_memory(error, "methods");
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (const struct md_rpc_method *row = tables[t]; row->path != NULL; row++) {
            if ((row->flags & MD_RPC_STREAM) != 0) /* arrives at the generic slots */
                continue;
            struct md_method method = make_method(server, row);
            if (method.handle == NULL)
                return md_fail(error, MD_INTERNAL, "method %s is registered twice", row->path);
            server->methods[server->method_count++] = method;
        }
    return MD_OK;
}

/* On the accept thread. */
static void on_connected(void *owner, int fd)
{
    struct md_server *server = owner;
    grpc_server_credentials *credentials = grpc_insecure_server_credentials_create();
    grpc_server_add_channel_from_fd(server->core, fd, credentials);
    grpc_server_credentials_release(credentials);
}

/* A request in flight waits for its turn on a thread of its own, so that the scheduler sees all that may go together. */
static size_t inference_threads(const struct md_server_options *options)
{
    size_t most = options->max_inflight < MAX_INFERENCE_THREADS ? options->max_inflight : MAX_INFERENCE_THREADS;
    return most > options->threads ? most : options->threads;
}

static enum md_code create_groups(struct md_server *server, struct md_error *error)
{
    const struct md_server_options *options = &server->options;
    size_t queue_limit = METHOD_LIMIT * (size_t)16; /* the methods have their own limits */
    MD_TRY(md_worker_group_create(options->allocator, "inference", options->threads, inference_threads(options), options->max_inflight,
                                  &server->inference, error));
    MD_TRY(md_worker_group_create(options->allocator, "control", CONTROL_THREADS, CONTROL_THREADS, queue_limit,
                                  &server->control, error));
    return md_worker_group_create(options->allocator, "load", LOAD_THREADS, LOAD_THREADS, queue_limit, &server->loads,
                                  error);
}

/* Credentials cannot be given to connections that our own listener accepts (the core takes plain ones only), so with
 * TLS the core listens. Binding first tells why an address cannot be used, which the core does not. */
static enum md_code listen_tls(struct md_server *server, struct md_error *error)
{
    const struct md_server_options *options = &server->options;
    const struct md_tls_options tls = { options->tls_certificate, options->tls_key, options->tls_client_ca };
    grpc_server_credentials *credentials;
    MD_TRY(md_address_listen(options->listen, &server->tls_bound, error));
    (void)close(server->tls_bound.fd); /* nothing was written to it */
    server->tls_bound.fd = -1;
    MD_TRY(md_tls_credentials(options->allocator, &tls, &credentials, error));
    int port = grpc_server_add_http2_port(server->core, server->tls_bound.text, credentials);
    grpc_server_credentials_release(credentials);
    if (port == 0)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "cannot serve TLS on %s: certificate \"%s\" and key \"%s\" are not PEM or do not belong "
                       "together",
                       server->tls_bound.text, options->tls_certificate, options->tls_key);
    return MD_OK;
}

static enum md_code create_listener(struct md_server *server, struct md_error *error)
{
    const struct md_server_options *options = &server->options;
    const struct md_listener_options listen = { .allocator = options->allocator,
                                                .log = server->services->log,
                                                .address = options->listen,
                                                .insecure = options->insecure,
                                                .max_connections = options->max_connections,
                                                .on_connected = on_connected,
                                                .owner = server };
    if ((*options->tls_certificate == '\0') != (*options->tls_key == '\0'))
        return md_fail(error, MD_INVALID_ARGUMENT, "options \"tls-certificate\" and \"tls-key\" go together");
    if (*options->tls_client_ca != '\0' && *options->tls_key == '\0')
        return md_fail(error, MD_INVALID_ARGUMENT, "option \"tls-client-ca\" goes with \"tls-certificate\"");
    return *options->tls_key == '\0' ? md_listener_create(&listen, &server->listener, error) : MD_OK;
}

static enum md_code create_parts(struct md_server *server, struct md_error *error)
{
    atomic_flag_clear(&server->load.is_sampling);
    atomic_init(&server->load.sampled_at_us, md_clock_us()); /* the first report is of the time since */
    server->drained_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->drained_fd < 0)
        return md_fail(error, MD_RESOURCE_EXHAUSTED, "no descriptor for the server");
    if (getrandom(&server->id_salt, sizeof server->id_salt, 0) != (ssize_t)sizeof server->id_salt)
        server->id_salt = (uint64_t)md_clock_wall_us(); /* ids need not be secret */
    MD_TRY(create_listener(server, error));
    if (server->options.max_inflight_per_client > 0)
        MD_TRY(md_client_limit_create(server->options.allocator, server->options.max_inflight_per_client, &server->clients,
                                      error));
    MD_TRY(md_watch_list_create(server, &server->watches, error));
    MD_TRY(md_stream_list_create(server, &server->streams, error));
    MD_TRY(create_groups(server, error));
    MD_TRY(create_core(server, error));
    MD_TRY(register_methods(server, error));
    if (server->listener == NULL)
        MD_TRY(listen_tls(server, error));
    grpc_server_start(server->core);
    server->is_started = true;
    return MD_OK;
}

/* Set by the core when everything is done; on a poller. */
static void on_shut_down(void *owner, bool ok)
{
    struct md_server *server = owner;
    uint64_t one = 1;
    (void)ok; /* it always is */
    ssize_t written = write(server->drained_fd, &one, sizeof one);
    (void)written; /* an eventfd takes it */
}

/* The core writes lines of its own to stderr, some of them as often as a client likes (a compressed message
 * is enough). They are dropped, unless somebody looks for them with GRPC_VERBOSITY. */
static void drop_line(gpr_log_func_args *args)
{
    (void)args;
}

enum md_code md_server_create(const struct md_server_options *options, struct md_services *services,
                              struct md_server **out_server, struct md_error *error)
{
    struct md_server *server = md_allocate_zeroed(options->allocator, 1, sizeof *server);
    if (server == NULL)
        return md_fail_memory(error, "server");
    server->options = *options;
    server->services = services;
    server->drained_fd = -1;
    server->shut_down = (struct md_tag){ on_shut_down, server };
    if (getenv("GRPC_VERBOSITY") == NULL)
        gpr_set_log_function(drop_line);
    grpc_init();
    enum md_code code = create_parts(server, error);
    if (code != MD_OK) {
        md_server_destroy(server);
        return code;
    }
    *out_server = server;
    return MD_OK;
}

/* ---- serving ---- */

static void handle_event(const grpc_event *event)
{
    struct md_tag *tag = event->tag;
    md_tag_completed(tag);
    tag->function(tag->owner, event->success != 0);
}

static void *run_poller(void *owner)
{
    struct md_server *server = owner;
    for (;;) {
        grpc_event event =
            grpc_completion_queue_next(server->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        if (event.type == GRPC_QUEUE_SHUTDOWN)
            return NULL;
        handle_event(&event);
    }
}

/* More than one poller costs more than it gives below some four cores (measured: 1.5 to 2 times the CPU). */
static enum md_code start_pollers(struct md_server *server, struct md_error *error)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t wanted = cores > 8 ? (size_t)cores / 4 : 1;
    if (wanted > MD_POLLER_LIMIT)
        wanted = MD_POLLER_LIMIT;
    for (size_t i = 0; i < wanted; i++) {
        if (pthread_create(&server->pollers[i], NULL, run_poller, server) != 0)
            return i > 0 ? MD_OK : md_fail(error, MD_RESOURCE_EXHAUSTED, "cannot start a poller");
        (void)pthread_setname_np(server->pollers[i], "poller"); /* a name only */
        server->poller_count++;
    }
    return MD_OK;
}

enum md_code md_server_serve(struct md_server *server, struct md_error *error)
{
    for (size_t m = 0; m < server->method_count; m++)
        for (size_t i = 0; i < 2 * server->methods[m].limit; i++)
            MD_TRY(md_call_post_slot(server, &server->methods[m], error));
    for (size_t i = 0; i < GENERIC_SLOTS; i++)
        MD_TRY(md_generic_post_slot(server, error));
    MD_TRY(start_pollers(server, error));
    return server->listener == NULL ? MD_OK : md_listener_start(server->listener, error);
}

const char *md_server_address(const struct md_server *server)
{
    return server->listener == NULL ? server->tls_bound.text : md_listener_address(server->listener);
}

uint16_t md_server_port(const struct md_server *server)
{
    return server->listener == NULL ? server->tls_bound.port : md_listener_port(server->listener);
}

void md_server_status_changed(struct md_server *server)
{
    md_watch_list_notify(server->watches);
}

/* ---- the end ---- */

void md_server_close(struct md_server *server)
{
    if (server->listener != NULL) /* with TLS: when the core shuts down */
        md_listener_stop(server->listener);
}

int64_t md_server_last_arrival_us(const struct md_server *server)
{
    return atomic_load_explicit(&server->last_arrival_us, memory_order_relaxed);
}

void md_server_drain(struct md_server *server)
{
    if (server->is_drained_asked)
        return;
    server->is_drained_asked = true;
    md_watch_list_end(server->watches); /* NOT_SERVING is the last that watchers see */
    md_stream_list_end(server->streams);
    md_server_close(server);
    atomic_store_explicit(&server->draining, true, memory_order_relaxed);
    md_tag_submitted(&server->shut_down);
    grpc_server_shutdown_and_notify(server->core, server->queue, &server->shut_down);
}

void md_server_cancel(struct md_server *server)
{
    grpc_server_cancel_all_calls(server->core);
}

int md_server_drained_fd(const struct md_server *server)
{
    return server->drained_fd;
}

size_t md_server_calls(const struct md_server *server)
{
    return atomic_load_explicit(&server->calls, memory_order_relaxed);
}

/* Until the core has given up every channel. Without pollers (creation failed half-way) this thread is one.
 */
static void wait_drained(struct md_server *server)
{
    struct pollfd drained = { .fd = server->drained_fd, .events = POLLIN };
    while (poll(&drained, 1, server->poller_count > 0 ? -1 : 0) != 1)
        if (server->poller_count == 0) {
            grpc_event event =
                grpc_completion_queue_next(server->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
            handle_event(&event);
        }
}

/* Everything that was submitted comes back before the queue says QUEUE_SHUTDOWN. */
static void empty_queue(struct md_server *server)
{
    grpc_completion_queue_shutdown(server->queue);
    for (size_t i = 0; i < server->poller_count; i++)
        (void)pthread_join(server->pollers[i], NULL); /* fails only for a thread that is not ours */
    while (server->poller_count == 0) {
        grpc_event event =
            grpc_completion_queue_next(server->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        if (event.type == GRPC_QUEUE_SHUTDOWN)
            break;
        handle_event(&event);
    }
}

/* A call that was cancelled may still be with a worker when its channel is gone: workers end before the
 * queue, the queue before the server. */
static void destroy_core(struct md_server *server)
{
    if (server->is_started) {
        md_server_drain(server);
        md_server_cancel(server);
        wait_drained(server);
    }
    md_worker_group_destroy(server->inference);
    md_worker_group_destroy(server->control);
    md_worker_group_destroy(server->loads);
    if (server->queue != NULL)
        empty_queue(server);
    if (server->core != NULL)
        grpc_server_destroy(server->core);
    if (server->queue != NULL)
        grpc_completion_queue_destroy(server->queue);
    grpc_shutdown();
}

void md_server_destroy(struct md_server *server)
{
    if (server == NULL)
        return;
    destroy_core(server);
    md_listener_destroy(server->listener);
    md_client_limit_destroy(server->clients);
    md_watch_list_destroy(server->watches);
    md_stream_list_destroy(server->streams);
    if (server->drained_fd >= 0)
        (void)close(server->drained_fd); /* an eventfd */
    md_release(server->options.allocator, server->methods);
    md_release(server->options.allocator, server);
}
