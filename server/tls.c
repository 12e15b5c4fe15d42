/* tls.c - see tls.h. */
#include "tls.h"

#include "allocator.h"
#include "file.h"

#include <string.h>

enum { FILE_LIMIT = 1024 * 1024 };

static enum md_code read_pem(const struct md_allocator *allocator, const char *path, char **out_text,
                             struct md_error *error)
{
    size_t size;
    return md_file_read(allocator, path, FILE_LIMIT, out_text, &size, error);
}

/* The key does not stay in freed memory. */
static void release_key(const struct md_allocator *allocator, char *key)
{
    if (key != NULL)
        explicit_bzero(key, strlen(key));
    md_release(allocator, key);
}

enum md_code md_tls_credentials(const struct md_allocator *allocator, const struct md_tls_options *options,
                                grpc_server_credentials **out_credentials, struct md_error *error)
{
    char *certificate = NULL, *key = NULL, *client_ca = NULL;
    bool has_ca = *options->client_ca != '\0';
    enum md_code code = read_pem(allocator, options->certificate, &certificate, error);
    if (code == MD_OK)
        code = read_pem(allocator, options->key, &key, error);
    if (code == MD_OK && has_ca)
        code = read_pem(allocator, options->client_ca, &client_ca, error);
    if (code == MD_OK) {
        grpc_ssl_pem_key_cert_pair pair = { .private_key = key, .cert_chain = certificate };
        grpc_server_credentials *made = grpc_ssl_server_credentials_create_ex(
            client_ca, &pair, 1,
            has_ca ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                   : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE,
            NULL); /* copies all of it */
        if (made != NULL)
            *out_credentials = made;
        else
            code = md_fail_memory(error, "TLS credentials");
    }
    md_release(allocator, certificate);
    release_key(allocator, key);
    md_release(allocator, client_ca);
    return code;
}
