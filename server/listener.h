/* listener.h - our own accept loop: gRPC's never accepts again after EMFILE (CVE-2023-4785) and has no limit
 * on connections. It hands each connection to a callback and keeps a duplicate of its descriptor to see it
 * end.
 *
 * Threads: one of its own, the accept thread; the functions here are called by one thread (main). */
#ifndef MD_LISTENER_H
#define MD_LISTENER_H

#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct md_allocator;
struct md_listener;
struct md_log;

/* Takes `fd`, connected and non-blocking. Called on the accept thread, without locks. */
typedef void (*md_connected_fn)(void *owner, int fd);

struct md_listener_options {
    const struct md_allocator *allocator;
    const struct md_log *log;
    const char *address;
    bool insecure;          /* plain text also on addresses that others reach */
    size_t max_connections; /* more are accepted and closed at once, so that clients see it */
    md_connected_fn on_connected;
    void *owner;
};

/* Binds. Errors: those of md_address_listen; RESOURCE_EXHAUSTED: memory, descriptors. */
MD_NODISCARD enum md_code md_listener_create(const struct md_listener_options *options,
                                             struct md_listener **out_listener, struct md_error *error);
/* Begins to accept. RESOURCE_EXHAUSTED: no thread. */
MD_NODISCARD enum md_code md_listener_start(struct md_listener *listener, struct md_error *error);
/* Accepts no more and closes the port; connections go on. Done twice, the second does nothing. */
void md_listener_stop(struct md_listener *listener);
void md_listener_destroy(struct md_listener *listener); /* stops; NULL is allowed */

const char *md_listener_address(const struct md_listener *listener);
uint16_t md_listener_port(const struct md_listener *listener);

#endif
