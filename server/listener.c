/* listener.c - see listener.h.
 *
 * How a connection's end is seen: gRPC shuts a socket down before it closes it, and our duplicate then gets
 * EPOLLHUP. (Watching gRPC's own descriptor would not do: when it is closed, epoll forgets it without a
 * word.) */
#include "listener.h"

#include "address.h"
#include "allocator.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENT_LISTEN = -1, EVENT_STOP = -2, EVENT_BATCH = 64 };

struct md_listener {
    struct md_listener_options options; /* immutable after create, as the next three */
    struct md_bound_socket bound;
    int epoll_fd;
    int stop_fd;     /* an eventfd: written once by stop */
    bool is_started; /* the owner's thread only, as the next two */
    bool is_stopped;
    pthread_t thread;
    struct {          /* accept thread only; main after it is joined */
        int *watched; /* duplicates; -1: free */
        size_t *free_slots;
        size_t free_count;
        int spare_fd; /* given up for a moment to accept and close when there is no other */
        bool is_full; /* says so once, not for every connection */
    } accept;
};

static enum md_code watch(struct md_listener *listener, int fd, int64_t event, uint32_t mask,
                          struct md_error *error)
{
    struct epoll_event wanted = { .events = mask, .data.u64 = (uint64_t)event };
    if (epoll_ctl(listener->epoll_fd, EPOLL_CTL_ADD, fd, &wanted) != 0)
        return md_fail(error, MD_RESOURCE_EXHAUSTED, "cannot watch a descriptor: %s", strerror(errno));
    return MD_OK;
}

/* ---- the accept thread ---- */

static void refuse(struct md_listener *listener, int fd, const char *reason)
{
    (void)close(fd); /* nothing was written to it */
    if (listener->accept.is_full)
        return;
    listener->accept.is_full = true;
    MD_LOG(listener->options.log, MD_LOG_WARNING, "connections are refused until one ends",
           MD_LOG_STRING("reason", reason), MD_LOG_COUNT("limit", listener->options.max_connections));
}

static void connect_one(struct md_listener *listener, int fd)
{
    int one = 1, copy = -1;
    if (listener->accept.free_count == 0) {
        refuse(listener, fd, "limit");
        return;
    }
    copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) {
        refuse(listener, fd, strerror(errno));
        return;
    }
    size_t slot = listener->accept.free_slots[listener->accept.free_count - 1];
    if (watch(listener, copy, (int64_t)slot, EPOLLET, NULL) !=
        MD_OK) {           /* EPOLLHUP and EPOLLERR come unasked */
        (void)close(copy); /* nothing was written to it */
        refuse(listener, fd, "epoll");
        return;
    }
    listener->accept.free_count--;
    listener->accept.watched[slot] = copy;
    if (listener->bound.port != 0)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* latency only */
    listener->options.on_connected(listener->options.owner, fd);
}

/* No descriptor is left: the spare one lets us take the connection and close it, instead of leaving it to
 * hang. */
static void shed_one(struct md_listener *listener)
{
    if (listener->accept.spare_fd >= 0)
        (void)close(listener->accept.spare_fd); /* it is /dev/null */
    int fd = accept4(listener->bound.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0)
        refuse(listener, fd, "no file descriptors");
    listener->accept.spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* The port is watched level-triggered: what is left over comes again. */
static void accept_some(struct md_listener *listener)
{
    for (int i = 0; i < EVENT_BATCH; i++) {
        int fd = accept4(listener->bound.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            connect_one(listener, fd);
        else if (errno == EMFILE || errno == ENFILE)
            shed_one(listener);
        else if (errno != EINTR && errno != ECONNABORTED)
            return; /* none is waiting, or the network is in trouble and the next event tells */
    }
}

static void disconnect_one(struct md_listener *listener, size_t slot, uint32_t events)
{
    int copy = listener->accept.watched[slot];
    if (copy < 0 || (events & (EPOLLHUP | EPOLLERR)) == 0)
        return;
    (void)close(copy); /* a duplicate: gRPC's own is closed, or will be */
    listener->accept.watched[slot] = -1;
    listener->accept.free_slots[listener->accept.free_count++] = slot;
    listener->accept.is_full = false;
}

static void *run(void *owner)
{
    struct md_listener *listener = owner;
    struct epoll_event events[EVENT_BATCH];
    for (;;) {
        int count = epoll_wait(listener->epoll_fd, events, EVENT_BATCH, -1);
        for (int i = 0; i < count; i++) {
            int64_t event = (int64_t)events[i].data.u64;
            if (event == EVENT_STOP)
                return NULL;
            if (event == EVENT_LISTEN)
                accept_some(listener);
            else
                disconnect_one(listener, (size_t)event, events[i].events);
        }
    }
}

/* ---- life cycle ---- */

static enum md_code make_slots(struct md_listener *listener, struct md_error *error)
{
    size_t count = listener->options.max_connections;
    listener->accept.watched = md_allocate_zeroed(listener->options.allocator, count, sizeof(int));
    listener->accept.free_slots = md_allocate_zeroed(listener->options.allocator, count, sizeof(size_t));
    if (listener->accept.watched == NULL || listener->accept.free_slots == NULL)
        return md_fail_memory(error, "connections");
    for (size_t i = 0; i < count; i++) {
        listener->accept.watched[i] = -1;
        listener->accept.free_slots[i] = count - 1 - i;
    }
    listener->accept.free_count = count;
    return MD_OK;
}

static enum md_code open_all(struct md_listener *listener, struct md_error *error)
{
    MD_TRY(make_slots(listener, error));
    listener->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    listener->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    listener->accept.spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (listener->epoll_fd < 0 || listener->stop_fd < 0 || listener->accept.spare_fd < 0)
        return md_fail(error, MD_RESOURCE_EXHAUSTED, "no descriptors for the listener: %s", strerror(errno));
    MD_TRY(md_address_listen(listener->options.address, &listener->bound, error));
    MD_TRY(md_address_check_plain(&listener->bound, listener->options.insecure, error));
    MD_TRY(watch(listener, listener->stop_fd, EVENT_STOP, EPOLLIN, error));
    return watch(listener, listener->bound.fd, EVENT_LISTEN, EPOLLIN, error);
}

enum md_code md_listener_create(const struct md_listener_options *options, struct md_listener **out_listener,
                                struct md_error *error)
{
    struct md_listener *listener = md_allocate_zeroed(options->allocator, 1, sizeof *listener);
    if (listener == NULL)
        return md_fail_memory(error, "listener");
    listener->options = *options;
    listener->bound.fd = listener->epoll_fd = listener->stop_fd = listener->accept.spare_fd = -1;
    enum md_code code = open_all(listener, error);
    if (code != MD_OK) {
        md_listener_destroy(listener);
        return code;
    }
    *out_listener = listener;
    return MD_OK;
}

enum md_code md_listener_start(struct md_listener *listener, struct md_error *error)
{
    if (pthread_create(&listener->thread, NULL, run, listener) != 0)
        return md_fail(error, MD_RESOURCE_EXHAUSTED, "cannot start the accept thread");
    (void)pthread_setname_np(listener->thread, "accept"); /* a name only */
    listener->is_started = true;
    return MD_OK;
}

static void close_if_open(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd); /* nothing was written to it */
    *fd = -1;
}

void md_listener_stop(struct md_listener *listener)
{
    uint64_t one = 1;
    if (listener->is_stopped)
        return;
    listener->is_stopped = true;
    if (listener->is_started) {
        ssize_t written = write(listener->stop_fd, &one, sizeof one);
        (void)written;                              /* an eventfd takes it */
        (void)pthread_join(listener->thread, NULL); /* fails only for a thread that is not ours */
    }
    if (listener->bound.fd >= 0 && listener->bound.port == 0)
        (void)unlink(listener->bound.text + strlen("unix:")); /* if it is gone already, so be it */
    close_if_open(&listener->bound.fd);
    for (size_t i = 0; listener->accept.watched != NULL && i < listener->options.max_connections; i++)
        close_if_open(&listener->accept.watched[i]);
}

void md_listener_destroy(struct md_listener *listener)
{
    if (listener == NULL)
        return;
    md_listener_stop(listener);
    close_if_open(&listener->epoll_fd);
    close_if_open(&listener->stop_fd);
    close_if_open(&listener->accept.spare_fd);
    md_release(listener->options.allocator, listener->accept.watched);
    md_release(listener->options.allocator, listener->accept.free_slots);
    md_release(listener->options.allocator, listener);
}

const char *md_listener_address(const struct md_listener *listener)
{
    return listener->bound.text;
}

uint16_t md_listener_port(const struct md_listener *listener)
{
    return listener->bound.port;
}
