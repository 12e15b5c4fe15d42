/* address.h - the address to listen on, as text and as a bound socket. */
#ifndef MD_ADDRESS_H
#define MD_ADDRESS_H

#include "status.h"

#include <stdbool.h>
#include <stdint.h>

enum { MD_ADDRESS_SIZE = 160 };

struct md_bound_socket {
    int fd;                     /* listening, non-blocking, close-on-exec */
    uint16_t port;              /* 0: a unix socket */
    bool is_local;              /* only this machine reaches it: loopback, unix socket */
    char text[MD_ADDRESS_SIZE]; /* "127.0.0.1:8001", "[::1]:8001", "unix:/path" */
};

/* "HOST:PORT", "[IPV6]:PORT", "unix:PATH"; port 0: any free one. A unix socket that nobody listens on is
 * replaced. OK: out_socket->fd is owned by the caller (close), and the file of a unix socket (unlink).
 * INVALID_ARGUMENT: malformed or unknown host. FAILED_PRECONDITION: in use or not allowed; the address is
 * named. INTERNAL: any other reason of the system. */
MD_NODISCARD enum md_code md_address_listen(const char *address, struct md_bound_socket *out_socket,
                                            struct md_error *error);

/* FAILED_PRECONDITION: the address is not local, and `insecure` does not allow plain text there. */
MD_NODISCARD enum md_code md_address_check_plain(const struct md_bound_socket *socket, bool insecure,
                                                 struct md_error *error);

#endif
