/* http.c - see http.h: libmicrohttpd, run by our own loop, so that slow connections can be cut and nothing of the
 * library is called from another thread.
 *
 *   reading -> (answered here) ----------------------\
 *           -> on a worker, suspended -> done list -> answered -> sent
 */
#include "http.h"

#include "address.h"
#include "allocator.h"
#include "clock.h"
#include "gateway.h"
#include "http_exchange.h"
#include "log.h"
#include "metrics.h"
#include "mutex.h"
#include "rpc_status.h"
#include "services.h"
#include "telemetry.h"
#include "worker_group.h"

#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTION_MEMORY = 16 * 1024, IDLE_SECONDS = 30, SWEEP_MS = 1000, ARENA_BLOCK_SIZE = 8 * 1024 };

enum phase { PHASE_READING, PHASE_WORKING, PHASE_DONE };

struct connection {
    struct connection *next, **previous;
    int fd;              /* the library's */
    int64_t deadline_us; /* INT64_MAX: we are working */
    struct exchange *exchange;
};

/* What the library's thread keeps around a request. */
struct exchange {
    struct md_http_exchange request; /* first */
    struct md_http *http;
    struct connection *connection;
    struct MHD_Connection *handle;
    struct md_method *method; /* NULL: none */
    struct md_method_metrics *metrics;
    struct md_job job;
    struct exchange *next_done;
    enum phase phase;
    bool has_entered; /* counted by the gateway */
    enum md_code code;
    unsigned status; /* HTTP; 0: by the code */
    struct md_error error;
    char *body;
    size_t body_capacity;
};

struct md_http {
    struct md_http_options options; /* immutable after create, as the next ones */
    struct MHD_Daemon *daemon;
    struct md_method **methods; /* of each route; NULL: none */
    struct md_method_metrics **metrics;
    struct md_method_metrics *unknown; /* paths that do not exist */
    int wake_fd;
    pthread_t thread;
    bool is_started;
    struct { /* http thread only */
        struct connection *connections;
        size_t working; /* exchanges that a worker has */
        size_t buffered_bytes;
    } loop;
    struct {
        struct md_mutex lock;
        pthread_cond_t idle; /* signalled when exchanges becomes 0 */
        struct exchange *done;
        size_t exchanges;
        bool stopping;
    } synced;
};

static void wake(struct md_http *http)
{
    uint64_t one = 1;
    ssize_t written = write(http->wake_fd, &one, sizeof one);
    (void)written; /* an eventfd takes it */
}

/* ---- connections ---- */

static void set_deadline(struct connection *connection)
{
    if (connection != NULL)
        connection->deadline_us = md_clock_us() + (int64_t)MD_HTTP_SECONDS * 1000000;
}

static void on_connection(void *owner, struct MHD_Connection *handle, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct md_http *http = owner;
    struct connection *connection = *socket_context;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED && connection != NULL) {
        *connection->previous = connection->next;
        if (connection->next != NULL)
            connection->next->previous = connection->previous;
        md_release(http->options.allocator, connection);
        *socket_context = NULL;
    }
    if (code != MHD_CONNECTION_NOTIFY_STARTED)
        return;
    connection = md_allocate_zeroed(http->options.allocator, 1, sizeof *connection);
    *socket_context = connection;
    if (connection == NULL)
        return; /* it has the library's limits alone */
    connection->fd = MHD_get_connection_info(handle, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    connection->next = http->loop.connections;
    connection->previous = &http->loop.connections;
    if (connection->next != NULL)
        connection->next->previous = &connection->next;
    http->loop.connections = connection;
    set_deadline(connection);
}

/* True: there are connections to look after. */
static bool sweep(struct md_http *http)
{
    int64_t now_us = md_clock_us();
    bool any = false;
    for (struct connection *connection = http->loop.connections; connection != NULL; connection = connection->next) {
        any = true;
        if (now_us >= connection->deadline_us)
            (void)shutdown(connection->fd, SHUT_RDWR); /* it may be gone already; the library closes it */
    }
    return any;
}

/* ---- the answer ---- */

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
    (void)MHD_add_response_header(response, name, value); /* without memory the answer goes without it */
}

static void write_error(struct exchange *exchange)
{
    struct md_text *answer = &exchange->request.answer;
    md_rpc_status_clean(&exchange->error);
    answer->size = 0;
    exchange->request.answer_json_size = 0;
    exchange->request.content_type = "application/json";
    md_text_put(answer, "{\"error\":");
    md_text_json(answer, exchange->error.message, strlen(exchange->error.message));
    md_text_put(answer, "}\n");
}

static void add_headers(struct exchange *exchange, struct MHD_Response *response, unsigned status)
{
    struct md_http_exchange *request = &exchange->request;
    char traceparent[MD_TRACEPARENT_SIZE + 1], timing[MD_SERVER_TIMING_SIZE], size[24];
    md_trace_format(&request->rpc.trace, traceparent);
    add_header(response, "Content-Type", request->content_type);
    add_header(response, "traceparent", traceparent);
    add_header(response, "x-request-id", request->rpc.request_id);
    if (*md_telemetry_server_timing(&request->rpc, timing) != '\0')
        add_header(response, "Server-Timing", timing);
    (void)snprintf(size, sizeof size, "%zu", request->answer_json_size); /* fits */
    if (request->answer_json_size > 0)
        add_header(response, "Inference-Header-Content-Length", size);
    if (md_rpc_status_retry_ms(exchange->code) > 0)
        add_header(response, "Retry-After", "1");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        add_header(response, "Allow", "GET, HEAD, POST");
    if (md_services_phase(request->services) == MD_PHASE_DRAINING)
        add_header(response, "Connection", "close");
}

static void log_exchange(const struct exchange *exchange, unsigned status)
{
    const struct md_rpc *rpc = &exchange->request.rpc;
    bool is_ours = exchange->code == MD_INTERNAL || exchange->code == MD_DATA_LOSS;
    if (!exchange->request.services->log_requests && !is_ours)
        return;
    MD_LOG(exchange->request.services->log, is_ours ? MD_LOG_ERROR : MD_LOG_INFO, "http request",
           MD_LOG_STRING("route", exchange->request.route == NULL ? "" : exchange->request.route->path),
           MD_LOG_STRING("request_id", rpc->request_id), MD_LOG_STRING("trace_id", rpc->trace.trace_id),
           MD_LOG_STRING("model", rpc->model), MD_LOG_COUNT("version", rpc->version), MD_LOG_COUNT("status", status),
           MD_LOG_STRING("message", exchange->error.message),
           MD_LOG_COUNT("request_bytes", exchange->request.body_size),
           MD_LOG_NUMBER("duration_us", md_clock_us() - rpc->arrived_at_us));
}

static enum MHD_Result answer(struct exchange *exchange)
{
    struct md_http_exchange *request = &exchange->request;
    exchange->phase = PHASE_DONE;
    if (exchange->code == MD_OK && request->answer.has_failed)
        exchange->code = md_fail_memory(&exchange->error, "answer");
    if (exchange->code != MD_OK)
        write_error(exchange);
    unsigned status = exchange->status != 0 ? exchange->status : md_rpc_status_http(exchange->code);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(request->answer.size, request->answer.bytes, MHD_RESPMEM_PERSISTENT);
    if (response == NULL)
        return MHD_NO; /* closes the connection */
    md_telemetry_end(request->services, &request->rpc, exchange->metrics,
                     request->route == NULL ? "unknown" : request->route->path, exchange->code);
    add_headers(exchange, response, status);
    log_exchange(exchange, status);
    enum MHD_Result result = MHD_queue_response(exchange->handle, status, response);
    MHD_destroy_response(response); /* our share of it */
    set_deadline(exchange->connection);
    return result;
}

static enum MHD_Result refuse(struct exchange *exchange, unsigned status, enum md_code code)
{
    exchange->status = status;
    exchange->code = code;
    return answer(exchange);
}

/* ---- the work ---- */

/* On a worker. The library belongs to the http thread: it is told, and goes on there. */
static void work(void *owner)
{
    struct exchange *exchange = owner;
    struct md_http *http = exchange->http;
    struct md_rpc *rpc = &exchange->request.rpc;
    rpc->started_at_us = md_clock_us();
    exchange->code = exchange->request.route->handler(&exchange->request, &exchange->error);
    md_mutex_lock(&http->synced.lock);
    exchange->next_done = http->synced.done;
    http->synced.done = exchange;
    md_mutex_unlock(&http->synced.lock);
    wake(http);
}

static void resume_done(struct md_http *http)
{
    md_mutex_lock(&http->synced.lock);
    struct exchange *done = http->synced.done;
    http->synced.done = NULL;
    md_mutex_unlock(&http->synced.lock);
    for (; done != NULL; done = done->next_done) {
        http->loop.working--;
        MHD_resume_connection(done->handle);
    }
}

static enum MHD_Result dispatch(struct exchange *exchange)
{
    struct md_http *http = exchange->http;
    struct md_http_exchange *request = &exchange->request;
    request->body = exchange->body;
    if (request->has_binary && request->json_size > request->body_size)
        return refuse(exchange, 0,
                      md_fail(&exchange->error, MD_INVALID_ARGUMENT,
                              "Inference-Header-Content-Length is %zu, the body has %zu bytes", request->json_size,
                              request->body_size));
    if (!request->has_binary)
        request->json_size = request->body_size;
    if (exchange->method == NULL) {
        exchange->code = request->route->handler(request, &exchange->error);
        return answer(exchange);
    }
    exchange->code = md_gateway_enter(http->options.server, exchange->method, &request->rpc, request->body_size,
                                      &exchange->error);
    exchange->has_entered = exchange->code == MD_OK;
    if (exchange->code != MD_OK)
        return answer(exchange);
    exchange->phase = PHASE_WORKING;
    if (exchange->connection != NULL)
        exchange->connection->deadline_us = INT64_MAX;
    http->loop.working++;
    MHD_suspend_connection(exchange->handle); /* before the push: it may be done before push returns */
    if (md_gateway_push(exchange->method, &exchange->job))
        return MHD_YES;
    exchange->code = md_fail(&exchange->error, MD_RESOURCE_EXHAUSTED, "the queue for %s is full", request->route->path);
    http->loop.working--;
    MHD_resume_connection(exchange->handle);
    return MHD_YES; /* answered when the library calls again */
}

/* ---- a request ---- */

static const char *header(const struct exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->handle, MHD_HEADER_KIND, name);
}

/* False: it is no number. */
static bool read_size(const char *text, size_t *out_size)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value > SIZE_MAX)
        return false;
    *out_size = (size_t)value;
    return true;
}

static struct exchange *create_exchange(struct md_http *http, struct MHD_Connection *handle)
{
    struct exchange *exchange = md_allocate_zeroed(http->options.allocator, 1, sizeof *exchange);
    if (exchange == NULL)
        return NULL;
    struct md_rpc *rpc = &exchange->request.rpc;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(handle, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    exchange->http = http;
    exchange->handle = handle;
    exchange->connection = info == NULL ? NULL : info->socket_context;
    if (exchange->connection != NULL)
        exchange->connection->exchange = exchange;
    exchange->job = (struct md_job){ .function = work, .owner = exchange };
    exchange->request.services = http->options.services;
    exchange->request.server = http->options.server;
    exchange->request.content_type = "application/json";
    md_text_init(&exchange->request.answer, http->options.allocator);
    md_arena_init(&rpc->arena, http->options.allocator, ARENA_BLOCK_SIZE);
    md_telemetry_begin(rpc);
    rpc->arrived_at_us = rpc->started_at_us = md_clock_us();
    rpc->deadline_us = INT64_MAX;
    rpc->peer = "http";
    atomic_init(&rpc->cancelled, false);
    md_mutex_lock(&http->synced.lock);
    http->synced.exchanges++;
    md_mutex_unlock(&http->synced.lock);
    return exchange;
}

/* Called by the library when the answer is sent, or the client is gone. */
static void on_completed(void *owner, struct MHD_Connection *handle, void **context,
                         enum MHD_RequestTerminationCode reason)
{
    struct md_http *http = owner;
    struct exchange *exchange = *context;
    (void)handle;
    (void)reason;
    if (exchange == NULL)
        return;
    *context = NULL;
    if (exchange->has_entered)
        md_gateway_leave(http->options.server, exchange->method, &exchange->request.rpc,
                         exchange->request.body_size);
    http->loop.buffered_bytes -= exchange->body_capacity;
    if (exchange->connection != NULL)
        exchange->connection->exchange = NULL;
    set_deadline(exchange->connection);
    md_text_cleanup(&exchange->request.answer);
    md_arena_cleanup(&exchange->request.rpc.arena);
    md_release(http->options.allocator, exchange->body);
    md_release(http->options.allocator, exchange);
    md_mutex_lock(&http->synced.lock);
    if (--http->synced.exchanges == 0)
        (void)pthread_cond_signal(&http->synced.idle); /* cannot fail */
    md_mutex_unlock(&http->synced.lock);
}

static enum md_code find_route(struct exchange *exchange, const char *path, const char *method)
{
    struct md_http_exchange *request = &exchange->request;
    bool is_post = strcmp(method, MHD_HTTP_METHOD_POST) == 0, is_known = false;
    bool is_get = strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
    request->route = md_http_route_find(request, path, is_post, &is_known);
    if (request->route != NULL && (is_post || is_get))
        return MD_OK;
    exchange->metrics = exchange->http->unknown;
    exchange->status = is_known ? MHD_HTTP_METHOD_NOT_ALLOWED : MHD_HTTP_NOT_FOUND;
    request->route = NULL;
    return is_known ? md_fail(&exchange->error, MD_UNIMPLEMENTED, "%.16s is not for path \"%.256s\"", method, path)
                    : md_fail(&exchange->error, MD_NOT_FOUND, "unknown path \"%.256s\"", path);
}

static enum md_code check_request(struct exchange *exchange, const char *path, const char *method)
{
    struct md_http *http = exchange->http;
    struct md_http_exchange *request = &exchange->request;
    const char *length = header(exchange, "Content-Length");
    const char *json = header(exchange, "Inference-Header-Content-Length");
    size_t size = 0;
    MD_TRY(find_route(exchange, path, method));
    size_t index = (size_t)(request->route - md_http_routes);
    exchange->method = http->methods[index];
    exchange->metrics = http->metrics[index];
    request->row = exchange->method == NULL ? NULL : md_gateway_row(exchange->method);
    if (length != NULL && read_size(length, &size) && size > http->options.max_body_bytes) {
        exchange->status = MHD_HTTP_CONTENT_TOO_LARGE;
        return md_fail(&exchange->error, MD_RESOURCE_EXHAUSTED, "the body has %zu bytes, limit is %zu", size,
                       http->options.max_body_bytes);
    }
    request->has_binary = json != NULL;
    if (json != NULL && !read_size(json, &request->json_size))
        return md_fail(&exchange->error, MD_INVALID_ARGUMENT,
                       "Inference-Header-Content-Length \"%.40s\" is no number of bytes", json);
    if (md_services_phase(request->services) == MD_PHASE_DRAINING &&
        (request->route->flags & MD_HTTP_WHILE_DRAINING) == 0)
        return md_fail(&exchange->error, MD_UNAVAILABLE, "the server is draining");
    return MD_OK;
}

static enum MHD_Result begin(struct md_http *http, struct MHD_Connection *handle, const char *path,
                             const char *method, void **context)
{
    struct exchange *exchange = create_exchange(http, handle);
    if (exchange == NULL)
        return MHD_NO;
    *context = exchange;
    md_gateway_identify(http->options.server, header(exchange, "x-request-id"), header(exchange, "traceparent"),
                        &exchange->request.rpc);
    exchange->code = check_request(exchange, path, method);
    /* Too large: said before it is sent, and the connection ends. Other refusals wait for the body. */
    return exchange->status == MHD_HTTP_CONTENT_TOO_LARGE ? answer(exchange) : MHD_YES;
}

/* Keeps a piece of the body; what comes after a refusal is dropped. */
static void receive(struct exchange *exchange, const char *bytes, size_t size)
{
    struct md_http *http = exchange->http;
    struct md_http_exchange *request = &exchange->request;
    if (exchange->code != MD_OK)
        return;
    if (size > http->options.max_body_bytes - request->body_size) {
        exchange->status = MHD_HTTP_CONTENT_TOO_LARGE;
        exchange->code = md_fail(&exchange->error, MD_RESOURCE_EXHAUSTED, "the body has more than %zu bytes, the limit",
                                 http->options.max_body_bytes);
        return;
    }
    if (size > exchange->body_capacity - request->body_size) {
        size_t capacity = (request->body_size + size) * 2;
        size_t buffered = http->loop.buffered_bytes - exchange->body_capacity + capacity;
        char *grown = buffered > http->options.max_buffered_bytes
                          ? NULL
                          : md_reallocate(http->options.allocator, exchange->body, request->body_size, capacity);
        if (grown == NULL) {
            exchange->code = md_fail(&exchange->error, MD_RESOURCE_EXHAUSTED,
                                     "%zu bytes of requests are being received, limit is %zu", buffered,
                                     http->options.max_buffered_bytes);
            return;
        }
        http->loop.buffered_bytes = buffered;
        exchange->body = grown;
        exchange->body_capacity = capacity;
    }
    memcpy(exchange->body + request->body_size, bytes, size);
    request->body_size += size;
}

static enum MHD_Result on_request(void *owner, struct MHD_Connection *handle, const char *path, const char *method,
                                  const char *version, const char *upload, size_t *upload_size, void **context)
{
    struct exchange *exchange = *context;
    (void)version;
    if (exchange == NULL)
        return begin(owner, handle, path, method, context);
    if (*upload_size > 0) {
        receive(exchange, upload, *upload_size);
        *upload_size = 0;
        return MHD_YES;
    }
    if (exchange->phase == PHASE_READING && exchange->code == MD_OK)
        return dispatch(exchange);
    return answer(exchange);
}

/* ---- the loop ---- */

static void cancel_all(struct md_http *http)
{
    for (struct connection *connection = http->loop.connections; connection != NULL; connection = connection->next)
        if (connection->exchange != NULL)
            atomic_store_explicit(&connection->exchange->request.rpc.cancelled, true, memory_order_relaxed);
}

static bool is_stopping(struct md_http *http)
{
    md_mutex_lock(&http->synced.lock);
    bool stopping = http->synced.stopping;
    md_mutex_unlock(&http->synced.lock);
    return stopping;
}

static int timeout_of(struct md_http *http)
{
    MHD_UNSIGNED_LONG_LONG library_ms;
    bool has_timeout = MHD_get_timeout(http->daemon, &library_ms) == MHD_YES;
    int ours_ms = sweep(http) ? SWEEP_MS : -1;
    if (!has_timeout || (ours_ms >= 0 && library_ms > (MHD_UNSIGNED_LONG_LONG)ours_ms))
        return ours_ms;
    return library_ms > SWEEP_MS ? SWEEP_MS : (int)library_ms;
}

static void *run(void *owner)
{
    struct md_http *http = owner;
    struct pollfd events[] = {
        { .fd = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, .events = POLLIN },
        { .fd = http->wake_fd, .events = POLLIN },
    };
    uint64_t count;
    for (;;) {
        (void)poll(events, 2, timeout_of(http)); /* a signal wakes it, too */
        if ((events[1].revents & POLLIN) != 0) {
            ssize_t taken = read(http->wake_fd, &count, sizeof count);
            (void)taken; /* nobody else reads it */
        }
        resume_done(http);
        (void)MHD_run(http->daemon); /* fails only when it is misused */
        if (!is_stopping(http))
            continue;
        cancel_all(http);
        if (http->loop.working == 0)
            return NULL;
    }
}

/* ---- life cycle ---- */

static enum md_code find_methods(struct md_http *http, struct md_error *error)
{
    size_t count = 0;
    struct md_metrics *metrics = http->options.services->metrics;
    while (md_http_routes[count].path != NULL)
        count++;
    http->methods = md_allocate_zeroed(http->options.allocator, count, sizeof(struct md_method *));
    http->metrics = md_allocate_zeroed(http->options.allocator, count, sizeof(struct md_method_metrics *));
    if (http->methods == NULL || http->metrics == NULL)
        return md_fail_memory(error, "HTTP routes");
    for (size_t i = 0; i < count; i++) {
        const struct md_http_route *route = &md_http_routes[i];
        http->metrics[i] = md_metrics_add_method(metrics, "http", route->path); /* NULL: not counted */
        if (route->method == NULL)
            continue;
        http->methods[i] = md_gateway_find(http->options.server, route->method);
        if (http->methods[i] == NULL)
            return md_fail(error, MD_INTERNAL, "route %s: no method %s", route->path, route->method);
    }
    http->unknown = md_metrics_add_method(metrics, "http", "unknown");
    return MD_OK;
}

static enum md_code start(struct md_http *http, const struct md_bound_socket *socket, struct md_error *error)
{
    http->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (http->wake_fd < 0)
        return md_fail(error, MD_RESOURCE_EXHAUSTED, "no descriptor for the HTTP port");
    MD_TRY(find_methods(http, error));
    http->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, http, MHD_OPTION_LISTEN_SOCKET, socket->fd,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, http, MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)http->options.max_connections, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_END);
    if (http->daemon == NULL)
        return md_fail(error, MD_RESOURCE_EXHAUSTED, "cannot start the HTTP port on %s", socket->text);
    if (pthread_create(&http->thread, NULL, run, http) != 0)
        return md_fail(error, MD_RESOURCE_EXHAUSTED, "cannot start the HTTP thread");
    (void)pthread_setname_np(http->thread, "http"); /* a name only */
    http->is_started = true;
    return MD_OK;
}

enum md_code md_http_create(const struct md_http_options *options, const struct md_bound_socket *socket,
                            struct md_http **out_http, struct md_error *error)
{
    struct md_http *http = md_allocate_zeroed(options->allocator, 1, sizeof *http);
    if (http == NULL) {
        (void)close(socket->fd); /* nothing was written to it */
        return md_fail_memory(error, "HTTP port");
    }
    http->options = *options;
    http->wake_fd = -1;
    md_mutex_init(&http->synced.lock);
    md_condition_init(&http->synced.idle);
    enum md_code code = start(http, socket, error);
    if (code != MD_OK) {
        if (http->daemon == NULL)
            (void)close(socket->fd); /* as above; the daemon closes it otherwise */
        md_http_destroy(http);
        return code;
    }
    *out_http = http;
    return MD_OK;
}

void md_http_drain(struct md_http *http, int64_t deadline_us)
{
    bool in_time = true;
    md_mutex_lock(&http->synced.lock);
    while (http->synced.exchanges > 0 && in_time)
        in_time = md_condition_wait(&http->synced.idle, &http->synced.lock, deadline_us) == 0;
    md_mutex_unlock(&http->synced.lock);
}

void md_http_destroy(struct md_http *http)
{
    if (http == NULL)
        return;
    md_mutex_lock(&http->synced.lock);
    http->synced.stopping = true;
    md_mutex_unlock(&http->synced.lock);
    if (http->is_started) {
        wake(http);
        (void)pthread_join(http->thread, NULL); /* fails only for a thread that is not ours */
    }
    if (http->daemon != NULL)
        MHD_stop_daemon(http->daemon);
    if (http->wake_fd >= 0)
        (void)close(http->wake_fd); /* an eventfd */
    (void)pthread_cond_destroy(&http->synced.idle); /* nobody waits */
    md_mutex_cleanup(&http->synced.lock);
    md_release(http->options.allocator, http->methods);
    md_release(http->options.allocator, http->metrics);
    md_release(http->options.allocator, http);
}
