/* health_watch.c - see health_watch.h.
 *
 *   begin -> the request is read -> listed: idle <-> sending -> ended (drain, error) -> closed -> freed
 *
 * A stream is freed when all its batches have come back: `pending` counts them, under the list's lock. */
#include "health_watch.h"

#include "allocator.h"
#include "front_end.h"
#include "health.h"
#include "message.h"
#include "mutex.h"

#include <grpc/health/v1/health.pb-c.h>
#include <grpc/slice.h>
#include <inttypes.h>
#include <string.h>

enum { WATCH_LIMIT = 1024 };

struct watch {
    struct md_watch_list *list;
    grpc_call *call;
    struct md_tag read, sent, closed;
    grpc_byte_buffer *request; /* written by the core, until `read` */
    grpc_byte_buffer *message; /* under way, until `sent` */
    struct md_arena arena;
    const char *name; /* NULL: not read yet */
    int was_cancelled;
    /* with the list's lock held: */
    struct watch *next;
    struct watch *next_due;
    int pending;
    bool is_sending;
    bool has_begun;       /* initial metadata has been sent, or is with the message that is being sent */
    bool is_first;        /* the message that is being sent takes it along */
    bool is_over;         /* status sent, or the client is gone */
    enum md_health shown; /* last sent; 0: none */
    enum md_code end;     /* not OK: to be ended with this */
    const char *end_message;
};

struct md_watch_list {
    struct md_server *server;
    struct {
        struct md_mutex lock; /* order: this -> catalogue */
        struct watch *head;
        size_t count;
        bool ending;
    } synced;
};

static void destroy_watch(struct watch *watch)
{
    if (watch->request != NULL)
        grpc_byte_buffer_destroy(watch->request);
    if (watch->message != NULL)
        grpc_byte_buffer_destroy(watch->message);
    grpc_call_unref(watch->call);
    md_arena_cleanup(&watch->arena);
    md_release(watch->list->server->options.allocator, watch);
}

/* One batch is back. True: it was the last, and the watch is off the list and the caller's to destroy. */
static bool drop_pending_locked(struct watch *watch)
{
    struct md_watch_list *list = watch->list;
    md_mutex_assert_held(&list->synced.lock);
    if (--watch->pending > 0)
        return false;
    for (struct watch **at = &list->synced.head; *at != NULL; at = &(*at)->next)
        if (*at == watch) {
            *at = watch->next;
            list->synced.count--;
            break;
        }
    return true;
}

/* ---- sending ---- */

/* What the stream has to send now: decided with the lock, sent without. */
enum due { DUE_NOTHING, DUE_STATUS_MESSAGE, DUE_END };

static enum due begin_sending_locked(struct watch *watch, enum due due)
{
    watch->is_sending = true;
    watch->is_first = !watch->has_begun;
    watch->has_begun = true;
    watch->pending++;
    return due;
}

static enum due take_due_locked(struct watch *watch)
{
    md_mutex_assert_held(&watch->list->synced.lock);
    if (watch->is_sending || watch->is_over)
        return DUE_NOTHING;
    if (watch->name != NULL) {
        enum md_health now = md_health_of(watch->list->server->services, watch->name);
        if (now != watch->shown) {
            watch->shown = now;
            return begin_sending_locked(watch, DUE_STATUS_MESSAGE);
        }
    }
    if (watch->end == MD_OK)
        return DUE_NOTHING;
    watch->is_over = true;
    return begin_sending_locked(watch, DUE_END);
}

/* No memory for the message means no message: the next change tries again. */
static size_t put_message(struct watch *watch, grpc_op *ops)
{
    Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    response.status = (Grpc__Health__V1__HealthCheckResponse__ServingStatus)watch->shown;
    struct md_error error;
    if (watch->message != NULL)
        grpc_byte_buffer_destroy(watch->message);
    watch->message = NULL;
    if (md_message_pack(&response.base, &watch->message, &error) != MD_OK)
        return 0; /* cannot be: the message has two bytes */
    ops->op = GRPC_OP_SEND_MESSAGE;
    ops->data.send_message.send_message = watch->message;
    return 1;
}

static void on_sent(void *owner, bool ok);

/* Caller has taken `due` from take_due_locked and holds no lock. */
static void send(struct watch *watch, enum due due)
{
    grpc_op ops[2];
    size_t count = 0;
    memset(ops, 0, sizeof ops);
    grpc_call *call = watch->call;
    if (watch->is_first) /* not written while the watch is sending, as `shown` */
        ops[count++].op = GRPC_OP_SEND_INITIAL_METADATA;
    grpc_slice message = grpc_slice_from_static_string(due == DUE_END ? watch->end_message : "");
    if (due == DUE_END) {
        ops[count].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
        ops[count].data.send_status_from_server.status = (grpc_status_code)watch->end;
        ops[count++].data.send_status_from_server.status_details = &message;
    } else {
        count += put_message(watch, &ops[count]);
    }
    md_tag_submitted(&watch->sent);
    if (grpc_call_start_batch(call, ops, count, &watch->sent, NULL) != GRPC_CALL_OK)
        on_sent(watch, false); /* a bug of ours; nothing will come back */
}

static void on_sent(void *owner, bool ok)
{
    struct watch *watch = owner;
    struct md_watch_list *list = watch->list;
    md_mutex_lock(&list->synced.lock);
    watch->is_sending = false;
    watch->is_over = watch->is_over || !ok;
    enum due due = take_due_locked(watch);
    bool last = drop_pending_locked(watch); /* never, if something is due: that counts as pending */
    md_mutex_unlock(&list->synced.lock);
    if (due != DUE_NOTHING)
        send(watch, due);
    else if (last)
        destroy_watch(watch);
}

static void on_closed(void *owner, bool ok)
{
    struct watch *watch = owner;
    (void)ok; /* however it closed, nothing can be sent any more */
    md_mutex_lock(&watch->list->synced.lock);
    watch->is_over = true;
    bool last = drop_pending_locked(watch);
    md_mutex_unlock(&watch->list->synced.lock);
    if (last)
        destroy_watch(watch);
}

/* ---- beginning ---- */

/* The name to watch; NULL: the request is no HealthCheckRequest. */
static const char *read_name(struct watch *watch, bool ok)
{
    const ProtobufCMessage *message;
    if (!ok || watch->request == NULL ||
        md_message_unpack(&grpc__health__v1__health_check_request__descriptor, watch->request, &watch->arena,
                          64 * 1024, &message, NULL) != MD_OK)
        return NULL;
    return ((const Grpc__Health__V1__HealthCheckRequest *)message)->service;
}

static void on_read(void *owner, bool ok)
{
    struct watch *watch = owner;
    struct md_watch_list *list = watch->list;
    const char *name = read_name(watch, ok);
    md_mutex_lock(&list->synced.lock);
    watch->name = name;
    if (name == NULL && watch->end == MD_OK) {
        watch->end = MD_INVALID_ARGUMENT;
        watch->end_message = "malformed request: a HealthCheckRequest is expected";
    }
    enum due due = take_due_locked(watch);
    bool last = drop_pending_locked(watch); /* as in on_sent */
    md_mutex_unlock(&list->synced.lock);
    if (due != DUE_NOTHING)
        send(watch, due);
    else if (last)
        destroy_watch(watch); /* closed before it was read */
}

static bool start(grpc_call *call, struct md_tag *tag, const grpc_op *op)
{
    md_tag_submitted(tag);
    return grpc_call_start_batch(call, op, 1, tag, NULL) == GRPC_CALL_OK;
}

static void begin(struct watch *watch)
{
    grpc_op close, read;
    grpc_call *call = watch->call; /* both completions free the watch */
    memset(&close, 0, sizeof close);
    memset(&read, 0, sizeof read);
    close.op = GRPC_OP_RECV_CLOSE_ON_SERVER;
    close.data.recv_close_on_server.cancelled = &watch->was_cancelled;
    read.op = GRPC_OP_RECV_MESSAGE;
    read.data.recv_message.recv_message = &watch->request;
    bool has_read = start(call, &watch->read, &read);
    bool has_close = start(call, &watch->closed, &close);
    if (!has_close) /* a bug of ours, as the next: nothing will come back for it */
        on_closed(watch, false);
    if (!has_read)
        on_read(watch, false);
}

void md_health_watch_begin(struct md_watch_list *list, grpc_call *call)
{
    const struct md_allocator *allocator = list->server->options.allocator;
    struct watch *watch = md_allocate_zeroed(allocator, 1, sizeof *watch);
    if (watch == NULL) {
        grpc_call_unref(call); /* no memory: the client sees a stream that was cancelled */
        return;
    }
    watch->list = list;
    watch->call = call;
    watch->pending = 2; /* read and close */
    watch->read = (struct md_tag){ on_read, watch };
    watch->sent = (struct md_tag){ on_sent, watch };
    watch->closed = (struct md_tag){ on_closed, watch };
    md_arena_init(&watch->arena, allocator, 1024);
    md_mutex_lock(&list->synced.lock);
    if (list->synced.count >= WATCH_LIMIT) {
        watch->end = MD_RESOURCE_EXHAUSTED;
        watch->end_message = "1024 health streams are open, which is the limit";
    }
    if (list->synced.ending) {
        watch->end = MD_UNAVAILABLE;
        watch->end_message = "the server is draining";
    }
    watch->next = list->synced.head;
    list->synced.head = watch;
    list->synced.count++;
    md_mutex_unlock(&list->synced.lock);
    begin(watch);
}

/* ---- the list ---- */

/* Lists what is due under the lock, sends without it: a watch that is due has a pending batch, so it stays.
 */
static void serve_all(struct md_watch_list *list, bool ending)
{
    struct watch *messages = NULL, *ends = NULL;
    md_mutex_lock(&list->synced.lock);
    list->synced.ending = list->synced.ending || ending;
    for (struct watch *watch = list->synced.head; watch != NULL; watch = watch->next) {
        if (ending && watch->end == MD_OK) {
            watch->end = MD_UNAVAILABLE;
            watch->end_message = "the server is draining";
        }
        enum due due = take_due_locked(watch);
        struct watch **due_list = due == DUE_END ? &ends : &messages;
        if (due != DUE_NOTHING) {
            watch->next_due = *due_list;
            *due_list = watch;
        }
    }
    md_mutex_unlock(&list->synced.lock);
    for (struct watch *watch = messages, *next; watch != NULL; watch = next) {
        next = watch->next_due; /* the watch may be gone once it has been sent to */
        send(watch, DUE_STATUS_MESSAGE);
    }
    for (struct watch *watch = ends, *next; watch != NULL; watch = next) {
        next = watch->next_due;
        send(watch, DUE_END);
    }
}

void md_watch_list_notify(struct md_watch_list *list)
{
    serve_all(list, false);
}

void md_watch_list_end(struct md_watch_list *list)
{
    serve_all(list, true);
}

enum md_code md_watch_list_create(struct md_server *server, struct md_watch_list **out_list,
                                  struct md_error *error)
{
    struct md_watch_list *list = md_allocate_zeroed(server->options.allocator, 1, sizeof *list);
    if (list == NULL)
        return md_fail_memory(error, "health streams");
    list->server = server;
    md_mutex_init(&list->synced.lock);
    *out_list = list;
    return MD_OK;
}

void md_watch_list_destroy(struct md_watch_list *list)
{
    if (list == NULL)
        return;
    md_mutex_cleanup(&list->synced.lock);
    md_release(list->server->options.allocator, list);
}
