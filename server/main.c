/* main.c - the daemon's life: configuration, registry, pool, models, gRPC; then signals; then all of it in
 * reverse.
 *
 * Signals are blocked before the first thread and read by the main thread alone (signalfd). SIGTERM, SIGINT:
 * drain; a second one: cancel what is left. Exit status: 0 stopped as asked, 1 could not start or did not
 * end, 2 wrong options. */
#include "address.h"
#include "allocator.h"
#include "clock.h"
#include "config.h"
#include "inference_batch.h"
#include "http.h"
#include "log.h"
#include "metrics.h"
#include "model_manager.h"
#include "pool.h"
#include "process.h"
#include "registry.h"
#include "repository.h"
#include "restore.h"
#include "scheduler.h"
#include "server.h"
#include "services.h"
#include "shared_memory.h"
#include "thread_pool.h"

#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

extern char **environ;

/* Smaller models load in milliseconds anyway. */
enum { PACKED_CACHE_FROM_BYTES = 8 << 20 };

enum { RESTORE_THREADS = 2, AFTER_CANCEL_SECONDS = 10, QUIET_US = 100 * 1000, LINGER_US = 1000 * 1000 };

/* Everything that lives as long as the process; NULL: not made yet. */
struct daemon {
    const struct md_allocator *allocator;
    struct md_config config;
    struct md_log log;
    struct md_thread_pool *thread_pool; /* helps the inference workers; one for all versions */
    struct md_services services;
    struct md_restore *restore;
    struct md_server *server;
    struct md_http *http; /* NULL: it is off */
    struct md_bound_socket http_socket;
    int64_t started_at_us;
    int signal_fd;
    struct md_exit_timer exit_timer;
};

/* ---- start ---- */

/* A health watcher hears of every change. The server is made after the manager, and models change only once
 * it is. */
static void on_models_changed(void *owner)
{
    struct daemon *daemon = owner;
    if (daemon->server != NULL)
        md_server_status_changed(daemon->server);
}

static void on_restored(void *owner, size_t loaded, size_t failed)
{
    struct daemon *daemon = owner;
    int expected = MD_PHASE_RESTORING; /* a drain may have begun */
    if (!atomic_compare_exchange_strong(&daemon->services.phase, &expected, MD_PHASE_SERVING))
        return;
    md_server_status_changed(daemon->server);
    MD_LOG(&daemon->log, MD_LOG_INFO, "serving", MD_LOG_COUNT("models_loaded", loaded),
           MD_LOG_COUNT("models_failed", failed),
           MD_LOG_NUMBER("since_start_ms", (md_clock_us() - daemon->started_at_us) / 1000));
}

static enum md_code open_scheduler(struct daemon *daemon, struct md_error *error)
{
    const struct md_config *config = &daemon->config;
    const uint64_t max_queued = config->max_queued_per_model;
    const struct md_scheduler_options options = {
        .slots = config->threads,
        .limits = { .max_rows = config->max_batch_rows,
                    .max_tokens = config->max_batch_tokens,
                    .max_queued = max_queued > 0 ? max_queued : config->max_inflight },
        .run = md_inference_run_batch,
    };
    return md_scheduler_create(daemon->allocator, &options, &daemon->services.scheduler, error);
}

static enum md_code open_models(struct daemon *daemon, struct md_error *error)
{
    struct md_services *services = &daemon->services;
    const struct md_config *config = &daemon->config;
    services->log = &daemon->log;
    services->log_requests = config->log_requests;
    services->slow_request_us = config->slow_request_ms * 1000;
    MD_TRY(md_metrics_create(daemon->allocator, &services->metrics, error));
    MD_TRY(md_registry_open(daemon->allocator, config->registry, &services->registry, error));
    MD_TRY(md_thread_pool_create(daemon->allocator, config->threads, &daemon->thread_pool, error));
    MD_TRY(md_pool_create(daemon->allocator, daemon->thread_pool, &services->pool, error));
    md_pool_keep_packed_caches(services->pool, config->packed_cache ? PACKED_CACHE_FROM_BYTES : 0);
    MD_TRY(open_scheduler(daemon, error));
    MD_TRY(md_shared_memory_create(daemon->allocator, &services->memory, error));
    const struct md_model_manager_options options = { .allocator = daemon->allocator,
                                                      .registry = services->registry,
                                                      .pool = services->pool,
                                                      .log = &daemon->log,
                                                      .repository = config->repository,
                                                      .on_change = on_models_changed,
                                                      .on_change_owner = daemon };
    MD_TRY(md_model_manager_create(&options, &services->manager, error));
    services->catalogue = md_model_manager_catalogue(services->manager);
    const struct md_restore_options restore = { .allocator = daemon->allocator,
                                                .manager = services->manager,
                                                .registry = services->registry,
                                                .log = &daemon->log,
                                                .repository = config->repository,
                                                .load = config->load,
                                                .load_all = config->load_all,
                                                .thread_count = RESTORE_THREADS,
                                                .on_done = on_restored,
                                                .owner = daemon };
    return md_restore_create(&restore, &daemon->restore, error);
}

/* A repository that is not there yet may be mounted later: worth a word, no reason not to start. */
static void check_repository(struct daemon *daemon)
{
    const char *const *models;
    size_t count;
    struct md_error error;
    struct md_arena arena;
    md_arena_init(&arena, daemon->allocator, 0);
    if (md_repository_list_models(daemon->config.repository, &arena, &models, &count, &error) != MD_OK)
        MD_LOG(&daemon->log, MD_LOG_WARNING, "model repository cannot be read, going on without",
               MD_LOG_STRING("repository", daemon->config.repository),
               MD_LOG_STRING("reason", error.message));
    md_arena_cleanup(&arena);
}

static enum md_code open_server(struct daemon *daemon, struct md_error *error)
{
    const struct md_config *config = &daemon->config;
    const struct md_server_options options = { .allocator = daemon->allocator,
                                               .listen = config->listen,
                                               .threads = config->threads,
                                               .max_inflight = config->max_inflight,
                                               .max_inflight_per_client = config->max_inflight_per_client,
                                               .max_inflight_bytes = config->max_inflight_bytes,
                                               .max_message_bytes = config->max_message_bytes,
                                               .max_connections = config->max_connections,
                                               .log_requests = config->log_requests,
                                               .insecure = config->insecure,
                                               .tls_certificate = config->tls_certificate,
                                               .tls_key = config->tls_key,
                                               .tls_client_ca = config->tls_client_ca };
    MD_TRY(md_server_create(&options, &daemon->services, &daemon->server, error));
    return md_server_serve(daemon->server, error);
}

static enum md_code open_http(struct daemon *daemon, struct md_error *error)
{
    const struct md_config *config = &daemon->config;
    const struct md_http_options options = { .allocator = daemon->allocator,
                                             .services = &daemon->services,
                                             .server = daemon->server,
                                             .max_connections = config->max_http_connections,
                                             .max_body_bytes = config->max_message_bytes,
                                             .max_buffered_bytes = config->max_inflight_bytes };
    if (*config->http == '\0')
        return MD_OK;
    enum md_code code = md_address_listen(config->http, &daemon->http_socket, error);
    if (code == MD_FAILED_PRECONDITION && config->is_http_default) {
        MD_LOG(&daemon->log, MD_LOG_WARNING, "no HTTP port, going on without",
               MD_LOG_STRING("reason", error->message));
        return MD_OK;
    }
    MD_TRY(code);
    code = md_address_check_plain(&daemon->http_socket, config->insecure, error);
    if (code != MD_OK) {
        (void)close(daemon->http_socket.fd); /* nothing was written to it */
        return code;
    }
    MD_TRY(md_http_create(&options, &daemon->http_socket, &daemon->http, error));
    if (*config->http_port_file != '\0')
        MD_TRY(md_process_write_number(config->http_port_file, daemon->http_socket.port, error));
    return MD_OK;
}

static enum md_code announce(struct daemon *daemon, struct md_error *error)
{
    const struct md_config *config = &daemon->config;
    const char *address = md_server_address(daemon->server);
    if (*config->port_file != '\0')
        MD_TRY(md_process_write_number(config->port_file, md_server_port(daemon->server), error));
    (void)printf("modeld %s listening on %s (registry %s, repository %s)\n", MD_VERSION_TEXT, address,
                 config->registry, config->repository);
    (void)fflush(stdout); /* if nobody can read it, the log says it too */
    MD_LOG(&daemon->log, MD_LOG_INFO, "listening", MD_LOG_STRING("address", address),
           MD_LOG_STRING("http", daemon->http == NULL ? "" : daemon->http_socket.text),
           MD_LOG_STRING("registry", config->registry), MD_LOG_STRING("repository", config->repository),
           MD_LOG_COUNT("threads", config->threads),
           MD_LOG_NUMBER("since_start_ms", (md_clock_us() - daemon->started_at_us) / 1000));
    return MD_OK;
}

static enum md_code start(struct daemon *daemon, struct md_error *error)
{
    /* Two descriptors per connection, and room for the registry, models and the core. */
    uint64_t files_wanted = daemon->config.max_connections * 2 + daemon->config.max_http_connections + 256;
    uint64_t limit = md_process_raise_files(files_wanted);
    if (limit < files_wanted)
        MD_LOG(&daemon->log, MD_LOG_WARNING, "fewer connections than max-connections will fit",
               MD_LOG_COUNT("open_files_limit", limit),
               MD_LOG_COUNT("max_connections", daemon->config.max_connections));
    check_repository(daemon);
    MD_TRY(open_models(daemon, error));
    MD_TRY(open_server(daemon, error));
    MD_TRY(open_http(daemon, error));
    MD_TRY(announce(daemon, error));
    return md_restore_start(daemon->restore, error);
}

/* ---- end ---- */

/* Reads a signal if one is there. */
static bool take_signal(struct daemon *daemon, int *out_signal)
{
    struct signalfd_siginfo info;
    if (read(daemon->signal_fd, &info, sizeof info) != (ssize_t)sizeof info)
        return false;
    *out_signal = (int)info.ssi_signo;
    return true;
}

/* Waits for the last call, the next signal, or the time. True: the last call is done. */
static bool wait_drained(struct daemon *daemon, int64_t deadline_us)
{
    struct pollfd events[] = { { .fd = md_server_drained_fd(daemon->server), .events = POLLIN },
                               { .fd = daemon->signal_fd, .events = POLLIN } };
    int signal_number;
    for (;;) {
        int64_t left_us = deadline_us - md_clock_us();
        int count = poll(events, 2, left_us <= 0 ? 0 : (int)(left_us / 1000) + 1);
        if (count > 0 && (events[0].revents & POLLIN) != 0)
            return true;
        if (count > 0 && take_signal(daemon, &signal_number))
            return false;
        if (left_us <= 0)
            return false;
    }
}

/* Answers UNAVAILABLE until clients have taken the hint and no call comes any more, but not for ever. See
 * md_server_drain. An idle server passes at once. */
static void linger(struct daemon *daemon)
{
    struct pollfd event = { .fd = daemon->signal_fd, .events = POLLIN };
    int64_t deadline_us = md_clock_us() + LINGER_US;
    for (;;) {
        int64_t now_us = md_clock_us();
        int64_t quiet_us = md_server_last_arrival_us(daemon->server) + QUIET_US;
        int64_t until_us = quiet_us < deadline_us ? quiet_us : deadline_us;
        if (until_us <= now_us || poll(&event, 1, (int)((until_us - now_us) / 1000) + 1) == 1)
            return; /* a second signal is left for wait_drained to read */
    }
}

static void drain(struct daemon *daemon)
{
    const struct md_log *log = &daemon->log;
    int64_t begun_us = md_clock_us();
    atomic_store(&daemon->services.phase, MD_PHASE_DRAINING);
    md_server_status_changed(daemon->server);
    md_server_close(daemon->server);
    linger(daemon);
    md_server_drain(daemon->server);
    if (!wait_drained(daemon, begun_us + (int64_t)daemon->config.drain_seconds * 1000000)) {
        MD_LOG(log, MD_LOG_WARNING, "cancelling calls",
               MD_LOG_COUNT("calls", md_server_calls(daemon->server)));
        md_server_cancel(daemon->server);
    }
    if (daemon->http != NULL)
        md_http_drain(daemon->http, begun_us + (int64_t)daemon->config.drain_seconds * 1000000);
    MD_LOG(log, MD_LOG_INFO, "drained", MD_LOG_NUMBER("duration_ms", (md_clock_us() - begun_us) / 1000));
}

static void serve(struct daemon *daemon)
{
    struct pollfd event = { .fd = daemon->signal_fd, .events = POLLIN };
    int signal_number;
    while (poll(&event, 1, -1) != 1 || !take_signal(daemon, &signal_number))
        ;
    MD_LOG(&daemon->log, MD_LOG_INFO, "stopping", MD_LOG_STRING("signal", strsignal(signal_number)),
           MD_LOG_COUNT("drain_seconds", daemon->config.drain_seconds),
           MD_LOG_COUNT("calls", md_server_calls(daemon->server)));
    drain(daemon);
}

/* What a load under way holds up must not hold up the exit for ever: the registry settles it at the next
 * start. */
static void stop(struct daemon *daemon)
{
    daemon->exit_timer = (struct md_exit_timer){ AFTER_CANCEL_SECONDS, &daemon->log };
    md_process_exit_after(&daemon->exit_timer);
    md_restore_destroy(daemon->restore);
    md_http_destroy(daemon->http);
    md_server_destroy(daemon->server);
    md_model_manager_destroy(daemon->services.manager);
    md_shared_memory_destroy(daemon->services.memory);
    md_pool_destroy(daemon->services.pool);
    md_thread_pool_destroy(daemon->thread_pool);
    md_scheduler_destroy(daemon->services.scheduler);
    md_registry_close(daemon->services.registry);
    md_metrics_destroy(daemon->services.metrics);
}

static int run(struct daemon *daemon)
{
    struct md_error error;
    enum md_code code = start(daemon, &error);
    if (code == MD_OK)
        serve(daemon);
    else
        MD_LOG(&daemon->log, MD_LOG_ERROR, "cannot start", MD_LOG_STRING("code", md_code_name(code)),
               MD_LOG_STRING("reason", error.message));
    stop(daemon);
    if (code == MD_OK)
        MD_LOG(&daemon->log, MD_LOG_INFO, "stopped",
               MD_LOG_NUMBER("uptime_ms", (md_clock_us() - daemon->started_at_us) / 1000));
    return code == MD_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct daemon daemon = { .allocator = md_process_allocator(),
                             .started_at_us = md_process_started_at_us() };
    enum md_config_action action;
    struct md_error error;
    if (md_config_load(&daemon.config, daemon.allocator, argc, argv, environ, &action, &error) != MD_OK) {
        (void)fprintf(stderr, "modeld: %s\n", error.message); /* there is nowhere else to say it */
        return 2;
    }
    int status = EXIT_SUCCESS;
    if (action == MD_CONFIG_HELP) {
        md_config_help(stdout);
    } else if (action == MD_CONFIG_VERSION) {
        (void)puts("modeld " MD_VERSION_TEXT); /* as above */
    } else if (action == MD_CONFIG_PRINT) {
        md_config_print(&daemon.config, stdout);
    } else {
        daemon.log = (struct md_log){ .fd = STDERR_FILENO,
                                      .format = (enum md_log_format)daemon.config.log_format,
                                      .level = (enum md_log_level)daemon.config.log_level };
        md_process_tune_memory();
        daemon.signal_fd = md_process_open_signals();
        status = run(&daemon);
    }
    md_config_cleanup(&daemon.config);
    return status;
}
