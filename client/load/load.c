/* load.c - see load.h. A call is a struct that comes back through the completion queue and is used again. */
#include "load.h"

#include "allocator.h"
#include "arrivals.h"
#include "mutex.h"

#include <errno.h>
#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/time.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { PROBE_MS = 10000, NS_PER_MS = 1000000 };

struct connection {
    grpc_channel *channel;
    void *method; /* registered with the channel */
};

struct load {
    const struct md_load_options *options; /* immutable after start, as the next six */
    struct md_load_result *result;         /* poller only, until it has ended */
    struct connection *connections;
    grpc_completion_queue *queue;
    uint64_t window_begin_ns, window_end_ns; /* monotonic */
    grpc_slice *messages;
    struct {
        struct md_mutex lock;
        pthread_cond_t returned; /* signalled when a call is put back */
        struct call *free;
        struct call *all;
        size_t active, call_count;
        size_t turn; /* of connections and requests */
    } synced;
};

struct call {
    struct load *load;
    struct call *next_free, *next; /* next: of all */
    grpc_call *core;
    grpc_byte_buffer *request, *response;
    grpc_metadata_array initial_metadata, trailing_metadata;
    grpc_status_code status;
    grpc_slice details;
    uint64_t due_ns;
    size_t message_size;
    atomic_bool is_sent; /* released before a batch, acquired after: the hand-over through the core, for sanitizers */
};

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t cpu_us(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage); /* cannot fail */
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000u +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void sleep_until(uint64_t due_ns)
{
    struct timespec due = { .tv_sec = (time_t)(due_ns / 1000000000u), .tv_nsec = (long)(due_ns % 1000000000u) };
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR)
        ;
}

/* ---- one call ---- */

static void set_ops(struct call *call, grpc_op ops[6])
{
    memset(ops, 0, 6 * sizeof *ops);
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[1].op = GRPC_OP_SEND_MESSAGE;
    ops[1].data.send_message.send_message = call->request;
    ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    ops[3].op = GRPC_OP_RECV_INITIAL_METADATA;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &call->initial_metadata;
    ops[4].op = GRPC_OP_RECV_MESSAGE;
    ops[4].data.recv_message.recv_message = &call->response;
    ops[5].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    ops[5].data.recv_status_on_client.trailing_metadata = &call->trailing_metadata;
    ops[5].data.recv_status_on_client.status = &call->status;
    ops[5].data.recv_status_on_client.status_details = &call->details;
}

/* Sends the request of this turn on the connection of this turn. The call then belongs to the queue. */
static void send_call(struct call *call, size_t turn, uint32_t deadline_ms)
{
    struct load *load = call->load;
    const struct connection *connection = &load->connections[turn % load->options->connections];
    grpc_slice *message = &load->messages[turn % load->options->request_set->count];
    grpc_op ops[6];
    gpr_timespec deadline =
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(deadline_ms, GPR_TIMESPAN));
    call->message_size = GRPC_SLICE_LENGTH(*message);
    call->request = grpc_raw_byte_buffer_create(message, 1);
    call->response = NULL;
    call->details = grpc_empty_slice();
    grpc_metadata_array_init(&call->initial_metadata);
    grpc_metadata_array_init(&call->trailing_metadata);
    call->core = grpc_channel_create_registered_call(connection->channel, NULL, GRPC_PROPAGATE_DEFAULTS, load->queue,
                                                     connection->method, deadline, NULL);
    set_ops(call, ops);
    grpc_call *core = call->core; /* the call may be back, and used again, before this returns */
    atomic_store_explicit(&call->is_sent, true, memory_order_release);
    (void)grpc_call_start_batch(core, ops, 6, call, NULL); /* fails for malformed batches only */
}

static void release_call(struct call *call)
{
    grpc_call_unref(call->core);
    grpc_byte_buffer_destroy(call->request);
    if (call->response != NULL)
        grpc_byte_buffer_destroy(call->response);
    grpc_metadata_array_destroy(&call->initial_metadata);
    grpc_metadata_array_destroy(&call->trailing_metadata);
    grpc_slice_unref(call->details);
}

static void record(struct call *call, uint64_t ended_ns)
{
    struct load *load = call->load;
    struct md_load_result *result = load->result;
    result->calls++;
    result->request_bytes += call->message_size;
    result->response_bytes += call->response != NULL ? grpc_byte_buffer_length(call->response) : 0;
    if (call->status != GRPC_STATUS_OK && result->first_failure[0] == '\0') {
        size_t size = GRPC_SLICE_LENGTH(call->details);
        (void)snprintf(result->first_failure, sizeof result->first_failure, "%s: %.*s",
                       md_code_name((enum md_code)call->status), size < 400 ? (int)size : 400,
                       (const char *)GRPC_SLICE_START_PTR(call->details));
    }
    if (call->due_ns < load->window_begin_ns || call->due_ns >= load->window_end_ns)
        return;
    result->codes[(unsigned)call->status < MD_LOAD_CODES ? (unsigned)call->status : MD_UNKNOWN]++;
    if (call->status == GRPC_STATUS_OK)
        md_histogram_add(&result->latency, ended_ns - call->due_ns);
}

/* ---- the calls of a load ---- */

static struct call *create_call_locked(struct load *load)
{
    md_mutex_assert_held(&load->synced.lock);
    struct call *call = md_allocate_zeroed(md_process_allocator(), 1, sizeof *call);
    if (call == NULL)
        return NULL;
    call->load = load;
    call->next = load->synced.all;
    load->synced.all = call;
    load->synced.call_count++;
    return call;
}

/* A free call, a new one while the limit allows, else the first that comes back. NULL: no memory for the first. */
static struct call *take_call(struct load *load, size_t *out_turn)
{
    md_mutex_lock(&load->synced.lock);
    struct call *call = NULL;
    if (load->synced.free == NULL && load->synced.call_count < load->options->concurrency)
        call = create_call_locked(load);
    while (call == NULL && load->synced.call_count > 0) {
        call = load->synced.free;
        if (call != NULL)
            load->synced.free = call->next_free;
        else
            (void)md_condition_wait(&load->synced.returned, &load->synced.lock, INT64_MAX); /* calls have deadlines */
    }
    load->synced.active += call != NULL;
    *out_turn = load->synced.turn++;
    md_mutex_unlock(&load->synced.lock);
    return call;
}

static void put_call(struct call *call)
{
    struct load *load = call->load;
    md_mutex_lock(&load->synced.lock);
    call->next_free = load->synced.free;
    load->synced.free = call;
    load->synced.active--;
    (void)pthread_cond_signal(&load->synced.returned); /* cannot fail */
    md_mutex_unlock(&load->synced.lock);
}

static size_t take_turn(struct load *load)
{
    md_mutex_lock(&load->synced.lock);
    size_t turn = load->synced.turn++;
    md_mutex_unlock(&load->synced.lock);
    return turn;
}

static void wait_for_all(struct load *load)
{
    md_mutex_lock(&load->synced.lock);
    while (load->synced.active > 0)
        (void)md_condition_wait(&load->synced.returned, &load->synced.lock, INT64_MAX); /* calls have deadlines */
    md_mutex_unlock(&load->synced.lock);
}

static void *poll_queue(void *owner)
{
    struct load *load = owner;
    for (;;) {
        grpc_event event = grpc_completion_queue_next(load->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        if (event.type == GRPC_QUEUE_SHUTDOWN)
            return NULL;
        struct call *call = event.tag;
        (void)atomic_load_explicit(&call->is_sent, memory_order_acquire);
        uint64_t ended_ns = now_ns();
        record(call, ended_ns);
        release_call(call);
        if (load->options->rate == 0.0 && ended_ns < load->window_end_ns) {
            call->due_ns = ended_ns;
            send_call(call, take_turn(load), load->options->deadline_ms);
        } else {
            put_call(call);
        }
    }
}

/* ---- the load ---- */

static enum md_code send_due(struct load *load, uint64_t start_ns, struct md_error *error)
{
    const struct md_load_options *options = load->options;
    struct md_arrivals arrivals;
    size_t turn;
    bool is_open = options->rate > 0.0;
    if (is_open)
        md_arrivals_init(&arrivals, options->rate, options->is_poisson, options->seed);
    for (size_t sent = 0; is_open || sent < options->concurrency; sent++) {
        uint64_t due_ns = is_open ? start_ns + md_arrivals_next(&arrivals) : now_ns();
        if (due_ns >= load->window_end_ns)
            break;
        if (is_open)
            sleep_until(due_ns);
        struct call *call = take_call(load, &turn);
        if (call == NULL)
            return md_fail_memory(error, "calls");
        call->due_ns = due_ns;
        send_call(call, turn, options->deadline_ms);
    }
    return MD_OK;
}

/* One request on a connection, before the clock starts: it connects, and a load that can only fail is not begun. */
static enum md_code probe(struct load *load, size_t index, struct md_error *error)
{
    struct call call = { .load = load };
    char details[256];
    send_call(&call, index, PROBE_MS);
    (void)grpc_completion_queue_next(load->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL); /* this call */
    size_t size = GRPC_SLICE_LENGTH(call.details);
    (void)snprintf(details, sizeof details, "%.*s", size < sizeof details ? (int)size : (int)sizeof details - 1,
                   (const char *)GRPC_SLICE_START_PTR(call.details));
    release_call(&call);
    grpc_channel *channel = load->connections[index].channel;
    bool is_connected = grpc_channel_check_connectivity_state(channel, 0) == GRPC_CHANNEL_READY;
    if (call.status == GRPC_STATUS_OK || (is_connected && (call.status == GRPC_STATUS_RESOURCE_EXHAUSTED ||
                                                           call.status == GRPC_STATUS_DEADLINE_EXCEEDED)))
        return MD_OK;
    return md_fail(error, call.status, "%s", details);
}

static enum md_code open_connections(struct load *load, struct md_error *error)
{
    /* Without a pool of its own, channels to one address share one connection. */
    grpc_arg args[] = {
        { .type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, .value.integer = 1 },
        { .type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)GRPC_ARG_ENABLE_HTTP_PROXY, .value.integer = 0 },
        { .type = GRPC_ARG_INTEGER,
          .key = (char *)(uintptr_t)GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
          .value.integer = -1 },
    };
    const grpc_channel_args all = { sizeof args / sizeof *args, args };
    grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
    for (size_t i = 0; i < load->options->connections; i++) {
        struct connection *connection = &load->connections[i];
        connection->channel = grpc_channel_create(load->options->target, credentials, &all);
        connection->method =
            grpc_channel_register_call(connection->channel, load->options->request_set->path, NULL, NULL);
    }
    grpc_channel_credentials_release(credentials);
    for (size_t i = 0; i < load->options->connections; i++)
        MD_TRY(probe(load, i, error));
    return MD_OK;
}

static enum md_code run_window(struct load *load, struct md_error *error)
{
    const struct md_load_options *options = load->options;
    uint64_t start_ns = now_ns(), cpu_before_us = cpu_us();
    pthread_t poller;
    load->window_begin_ns = start_ns + options->warm_up_ms * NS_PER_MS;
    load->window_end_ns = load->window_begin_ns + options->duration_ms * NS_PER_MS;
    if (pthread_create(&poller, NULL, poll_queue, load) != 0)
        return md_fail(error, MD_RESOURCE_EXHAUSTED, "cannot start a thread");
    enum md_code code = send_due(load, start_ns, error);
    wait_for_all(load);
    grpc_completion_queue_shutdown(load->queue);
    (void)pthread_join(poller, NULL); /* fails only for a thread that is not ours */
    load->result->cpu_us = cpu_us() - cpu_before_us;
    load->result->seconds = (double)options->duration_ms / 1000.0;
    return code;
}

static enum md_code create_parts(struct load *load, struct md_error *error)
{
    const struct md_request_set *set = load->options->request_set;
    load->connections =
        md_allocate_zeroed(md_process_allocator(), load->options->connections, sizeof *load->connections);
    load->messages = md_allocate_zeroed(md_process_allocator(), set->count, sizeof *load->messages);
    if (load->connections == NULL || load->messages == NULL)
        return md_fail_memory(error, "connections");
    for (size_t i = 0; i < set->count; i++)
        load->messages[i] = grpc_slice_from_static_buffer(set->requests[i].bytes, set->requests[i].size);
    return open_connections(load, error);
}

static void destroy_parts(struct load *load)
{
    grpc_completion_queue_shutdown(load->queue); /* a second time does nothing */
    while (grpc_completion_queue_next(load->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).type !=
           GRPC_QUEUE_SHUTDOWN)
        ;
    grpc_completion_queue_destroy(load->queue);
    for (size_t i = 0; load->connections != NULL && i < load->options->connections; i++)
        if (load->connections[i].channel != NULL)
            grpc_channel_destroy(load->connections[i].channel);
    for (struct call *call = load->synced.all, *next; call != NULL; call = next) {
        next = call->next;
        md_release(md_process_allocator(), call);
    }
    md_release(md_process_allocator(), load->connections);
    md_release(md_process_allocator(), load->messages);
    (void)pthread_cond_destroy(&load->synced.returned); /* nobody waits */
    md_mutex_cleanup(&load->synced.lock);
}

enum md_code md_load_run(const struct md_load_options *options, struct md_load_result *out_result,
                         struct md_error *error)
{
    struct load load = { .options = options, .result = out_result };
    *out_result = (struct md_load_result){ 0 };
    md_mutex_init(&load.synced.lock);
    md_condition_init(&load.synced.returned);
    grpc_init();
    load.queue = grpc_completion_queue_create_for_next(NULL);
    enum md_code code = create_parts(&load, error);
    if (code == MD_OK)
        code = run_window(&load, error);
    destroy_parts(&load);
    grpc_shutdown();
    return code;
}
