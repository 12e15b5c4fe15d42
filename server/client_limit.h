/* client_limit.h - how many inference calls each client has in flight, so that one cannot take every place.
 *
 * A client is an address without its port; all of a unix socket are one. Only clients with calls in flight are held: a
 * list as short as they are few, searched from the front. Threads: any. Lock: its own, a leaf. */
#ifndef MD_CLIENT_LIMIT_H
#define MD_CLIENT_LIMIT_H

#include "status.h"

#include <stddef.h>

struct md_allocator;
struct md_client_limit;

/* calls: of one client at a time. OK: *out_limit is owned by the caller (md_client_limit_destroy). */
MD_NODISCARD enum md_code md_client_limit_create(const struct md_allocator *allocator, size_t calls,
                                                 struct md_client_limit **out_limit, struct md_error *error);
void md_client_limit_destroy(struct md_client_limit *limit); /* NULL is allowed */

/* peer: "ipv4:127.0.0.1:40000", "ipv6:[::1]:40000", "unix:". OK: counted in until md_client_limit_leave with the same
 * peer. RESOURCE_EXHAUSTED: the limit, or no memory; nothing is counted. */
MD_NODISCARD enum md_code md_client_limit_enter(struct md_client_limit *limit, const char *peer,
                                                struct md_error *error);
void md_client_limit_leave(struct md_client_limit *limit, const char *peer);

#endif
