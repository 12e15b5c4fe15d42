/* tls.h - the gRPC port's credentials from PEM files. They are read once, at the start. */
#ifndef MD_TLS_H
#define MD_TLS_H

#include "status.h"

#include <grpc/grpc_security.h>

struct md_allocator;

struct md_tls_options {
    const char *certificate; /* file with the chain; "": no TLS */
    const char *key;
    const char *client_ca; /* clients must show a certificate that it has signed; "": they need none */
};

/* OK: *out_credentials is owned by the caller (grpc_server_credentials_release). NOT_FOUND, INVALID_ARGUMENT: a file,
 * which is named. RESOURCE_EXHAUSTED: memory. What is in the files is checked when a port is opened with them. */
MD_NODISCARD enum md_code md_tls_credentials(const struct md_allocator *allocator, const struct md_tls_options *options,
                                             grpc_server_credentials **out_credentials, struct md_error *error);

#endif
