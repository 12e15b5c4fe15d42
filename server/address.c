/* address.c - see address.h. */
#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

static enum md_code fail_system(const char *address, const char *what, struct md_error *error)
{
    int reason = errno;
    enum md_code code = reason == EADDRINUSE || reason == EACCES || reason == EADDRNOTAVAIL || reason == EPERM
                            ? MD_FAILED_PRECONDITION
                            : MD_INTERNAL;
    return md_fail(error, code, "cannot %s \"%s\": %s", what, address, strerror(reason));
}

/* Binds and listens; closes the socket when that fails. */
static enum md_code bind_socket(int fd, const char *address, const struct sockaddr *name, socklen_t size,
                                struct md_error *error)
{
    if (bind(fd, name, size) == 0 && listen(fd, BACKLOG) == 0)
        return MD_OK;
    enum md_code code = fail_system(address, "listen on", error);
    (void)close(fd); /* nothing was written to it */
    return code;
}

/* ---- unix sockets ---- */

/* True: a file is there, and it is a socket that refuses connections: what a killed server leaves behind. */
static bool is_stale(const struct sockaddr_un *name)
{
    struct stat status;
    if (lstat(name->sun_path, &status) != 0 || !S_ISSOCK(status.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool refused = connect(fd, (const struct sockaddr *)name, sizeof *name) != 0 && errno == ECONNREFUSED;
    (void)close(fd); /* nothing was written to it */
    return refused;
}

static enum md_code listen_unix(const char *address, struct md_bound_socket *out_socket,
                                struct md_error *error)
{
    const char *path = address + strlen("unix:");
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    if (*path == '\0' || strlen(path) >= sizeof name.sun_path)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "address \"%s\": the path has %zu bytes, limits are 1 and %zu", address, strlen(path),
                       sizeof name.sun_path - 1);
    memcpy(name.sun_path, path, strlen(path) + 1);
    if (is_stale(&name))
        (void)unlink(path); /* if it stays, bind says so */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail_system(address, "make a socket for", error);
    MD_TRY(bind_socket(fd, address, (const struct sockaddr *)&name, sizeof name, error));
    out_socket->fd = fd;
    out_socket->port = 0;
    out_socket->is_local = true;
    (void)snprintf(out_socket->text, sizeof out_socket->text, "%s", address); /* fits: 108 and 5 bytes */
    return MD_OK;
}

/* ---- TCP ---- */

/* Splits "HOST:PORT" or "[HOST]:PORT". */
static enum md_code split(const char *address, char host[MD_ADDRESS_SIZE], char port[8],
                          struct md_error *error)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "address \"%s\" has no port: expected HOST:PORT or unix:PATH", address);
    char *end;
    unsigned long number = strtoul(colon + 1, &end, 10);
    if (colon[1] < '0' || colon[1] > '9' || *end != '\0' || number > 65535)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "address \"%s\": port \"%s\" is not a number from 0 to 65535", address, colon + 1);
    const char *start = address;
    size_t size = (size_t)(colon - address);
    if (size >= 2 && start[0] == '[' && start[size - 1] == ']') {
        start++;
        size -= 2;
    } else if (memchr(start, ':', size) != NULL) {
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "address \"%s\": an IPv6 address is written [ADDRESS]:PORT", address);
    }
    if (size == 0 || size >= MD_ADDRESS_SIZE)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "address \"%s\" has a host of %zu bytes, limits are 1 and %d", address, size,
                       MD_ADDRESS_SIZE - 1);
    memcpy(host, start, size);
    host[size] = '\0';
    (void)snprintf(port, 8, "%lu", number); /* fits: at most 65535 */
    return MD_OK;
}

static void describe(int fd, struct md_bound_socket *out_socket)
{
    struct sockaddr_storage name = { 0 };
    socklen_t size = sizeof name;
    char host[INET6_ADDRSTRLEN] = "?";
    (void)getsockname(fd, (struct sockaddr *)&name, &size); /* cannot fail on a bound socket */
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)&name;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)&name;
    bool is_v6 = name.ss_family == AF_INET6;
    (void)inet_ntop(name.ss_family, is_v6 ? (const void *)&v6->sin6_addr : (const void *)&v4->sin_addr, host,
                    sizeof host); /* as above */
    out_socket->is_local = is_v6 ? IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) != 0
                                 : ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    out_socket->port = ntohs(is_v6 ? v6->sin6_port : v4->sin_port);
    (void)snprintf(out_socket->text, sizeof out_socket->text, is_v6 ? "[%s]:%d" : "%s:%d", host,
                   out_socket->port); /* fits */
}

static enum md_code listen_tcp(const char *address, struct md_bound_socket *out_socket,
                               struct md_error *error)
{
    char host[MD_ADDRESS_SIZE], port[8];
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
    struct addrinfo *found = NULL;
    MD_TRY(split(address, host, port, error));
    int problem = getaddrinfo(host, port, &hints, &found);
    if (problem != 0)
        return md_fail(error, MD_INVALID_ARGUMENT, "address \"%s\": %s", address, gai_strerror(problem));
    enum md_code code;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;
    if (fd < 0) {
        code = fail_system(address, "make a socket for", error);
    } else {
        /* SO_REUSEADDR: a restart need not wait for old connections. Not SO_REUSEPORT: two servers would
         * share. */
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one); /* a convenience */
        code = bind_socket(fd, address, found->ai_addr, found->ai_addrlen, error);
    }
    freeaddrinfo(found);
    if (code != MD_OK)
        return code;
    out_socket->fd = fd;
    describe(fd, out_socket);
    return MD_OK;
}

enum md_code md_address_listen(const char *address, struct md_bound_socket *out_socket,
                               struct md_error *error)
{
    if (strncmp(address, "unix:", 5) == 0)
        return listen_unix(address, out_socket, error);
    return listen_tcp(address, out_socket, error);
}

enum md_code md_address_check_plain(const struct md_bound_socket *socket, bool insecure, struct md_error *error)
{
    if (socket->is_local || insecure)
        return MD_OK;
    return md_fail(error, MD_FAILED_PRECONDITION,
                   "address \"%s\" is not a loopback address, and what goes over it would be plain text: give "
                   "--tls-certificate and --tls-key (gRPC port), or allow it with --insecure true",
                   socket->text);
}
