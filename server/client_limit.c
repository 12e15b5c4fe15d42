/* client_limit.c - see client_limit.h. */
#include "client_limit.h"

#include "allocator.h"
#include "mutex.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

enum { ADDRESS_SIZE = 64 }; /* "ipv6:[" and INET6_ADDRSTRLEN fit */

struct client {
    char address[ADDRESS_SIZE];
    size_t calls;
};

struct md_client_limit {
    const struct md_allocator *allocator; /* immutable, as the next */
    size_t calls;
    struct { /* touch only with synced.lock held */
        struct md_mutex lock;
        struct client *clients; /* with calls in flight */
        size_t count, capacity;
    } synced;
};

enum md_code md_client_limit_create(const struct md_allocator *allocator, size_t calls,
                                    struct md_client_limit **out_limit, struct md_error *error)
{
    struct md_client_limit *limit = md_allocate_zeroed(allocator, 1, sizeof *limit);
    if (limit == NULL)
        return md_fail_memory(error, "limit of clients");
    limit->allocator = allocator;
    limit->calls = calls;
    md_mutex_init(&limit->synced.lock);
    *out_limit = limit;
    return MD_OK;
}

void md_client_limit_destroy(struct md_client_limit *limit)
{
    if (limit == NULL)
        return;
    md_release(limit->allocator, limit->synced.clients);
    md_mutex_cleanup(&limit->synced.lock);
    md_release(limit->allocator, limit);
}

/* The peer without its port. */
static void address_of(const char *peer, char out_address[ADDRESS_SIZE])
{
    const char *end = strncmp(peer, "ipv", 3) == 0 ? strrchr(peer, ':') : NULL;
    size_t size = end == NULL ? strlen(peer) : (size_t)(end - peer);
    if (size > ADDRESS_SIZE - 1)
        size = ADDRESS_SIZE - 1;
    memcpy(out_address, peer, size);
    out_address[size] = '\0';
}

static struct client *find_locked(struct md_client_limit *limit, const char *address)
{
    md_mutex_assert_held(&limit->synced.lock);
    for (size_t i = 0; i < limit->synced.count; i++)
        if (strcmp(limit->synced.clients[i].address, address) == 0)
            return &limit->synced.clients[i];
    return NULL;
}

/* NULL: no memory. */
static struct client *add_locked(struct md_client_limit *limit, const char *address)
{
    if (limit->synced.count == limit->synced.capacity) {
        size_t capacity = limit->synced.capacity == 0 ? 16 : limit->synced.capacity * 2;
        struct client *clients =
            md_reallocate(limit->allocator, limit->synced.clients, limit->synced.count * sizeof *clients,
                          capacity * sizeof *clients);
        if (clients == NULL)
            return NULL;
        limit->synced.clients = clients;
        limit->synced.capacity = capacity;
    }
    struct client *client = &limit->synced.clients[limit->synced.count++];
    *client = (struct client){ .calls = 0 };
    memcpy(client->address, address, strlen(address) + 1);
    return client;
}

enum md_code md_client_limit_enter(struct md_client_limit *limit, const char *peer, struct md_error *error)
{
    char address[ADDRESS_SIZE];
    address_of(peer, address);
    md_mutex_lock(&limit->synced.lock);
    struct client *client = find_locked(limit, address);
    bool has_memory = client != NULL || (client = add_locked(limit, address)) != NULL;
    bool has_place = has_memory && client->calls < limit->calls;
    if (has_place)
        client->calls++;
    md_mutex_unlock(&limit->synced.lock);
    if (!has_memory)
        return md_fail_memory(error, "client");
    if (!has_place)
        return md_fail(error, MD_RESOURCE_EXHAUSTED, "%zu inference calls of client \"%s\" are in flight, limit is %zu",
                       limit->calls, address, limit->calls);
    return MD_OK;
}

void md_client_limit_leave(struct md_client_limit *limit, const char *peer)
{
    char address[ADDRESS_SIZE];
    address_of(peer, address);
    md_mutex_lock(&limit->synced.lock);
    struct client *client = find_locked(limit, address);
    assert(client != NULL && client->calls > 0);
    if (--client->calls == 0)
        *client = limit->synced.clients[--limit->synced.count];
    md_mutex_unlock(&limit->synced.lock);
}
