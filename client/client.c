/* client.c - the connection: a lazy channel and the defaults of its calls. */
#include "call.h"

#include "allocator.h"
#include "status.h"

#include <grpc/grpc_security.h>
#include <string.h>

_Static_assert((int)MD_CLIENT_NOT_FOUND == (int)MD_NOT_FOUND &&
                   (int)MD_CLIENT_UNAUTHENTICATED == (int)MD_UNAUTHENTICATED,
               "both have the numbers of gRPC");

enum {
    DEFAULT_TIMEOUT_MS = 10000,
    DEFAULT_MESSAGE_BYTES = 64 * 1024 * 1024,
    RECONNECT_MS = 100,
    RECONNECT_MAX_MS = 1000
};

const char *md_client_code_name(enum md_client_code code)
{
    return md_code_name((enum md_code)code);
}

const char *md_client_library_version(void)
{
    return MODELD_VERSION;
}

static grpc_arg integer_arg(const char *key, int value)
{
    /* The core only reads the key. */
    return (grpc_arg){ .type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)key, .value.integer = value };
}

/* A model server is on the own network: an http_proxy meant for the web must not get its calls. */
static grpc_channel *open_channel(const char *target, int max_message_bytes)
{
    static const char agent[] = "modeld-client/" MODELD_VERSION;
    grpc_arg args[] = {
        integer_arg("grpc.max_receive_message_length", max_message_bytes),
        integer_arg("grpc.max_send_message_length", max_message_bytes),
        integer_arg("grpc.enable_http_proxy", 0),
        integer_arg("grpc.initial_reconnect_backoff_ms", RECONNECT_MS),
        integer_arg("grpc.min_reconnect_backoff_ms", RECONNECT_MS),
        integer_arg("grpc.max_reconnect_backoff_ms", RECONNECT_MAX_MS),
        { .type = GRPC_ARG_STRING,
          .key = (char *)(uintptr_t) "grpc.primary_user_agent",
          .value.string = (char *)(uintptr_t)agent },
    };
    grpc_channel_args channel_args = { sizeof args / sizeof args[0], args };
    grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
    grpc_channel *channel = grpc_channel_create(target, credentials, &channel_args);
    grpc_channel_credentials_release(credentials);
    return channel;
}

enum md_client_code md_client_create(const char *target, const struct md_client_options *options,
                                     struct md_client **out_client, struct md_client_error *error)
{
    static const struct md_client_options defaults = { 0 };
    if (options == NULL)
        options = &defaults;
    if (target == NULL || target[0] == '\0')
        return md_call_fail(error, MD_CLIENT_INVALID_ARGUMENT, "the server's address is empty");
    if (options->max_message_bytes > INT32_MAX)
        return md_call_fail(error, MD_CLIENT_INVALID_ARGUMENT, "max_message_bytes is %u, limit is %d",
                            options->max_message_bytes, INT32_MAX);

    const struct md_allocator *allocator = md_process_allocator();
    struct md_client *client = md_allocate_zeroed(allocator, 1, sizeof *client);
    if (client == NULL)
        return md_call_fail(error, MD_CLIENT_RESOURCE_EXHAUSTED, "out of memory: client");
    client->target = md_duplicate_string(allocator, target);
    if (client->target == NULL) {
        md_release(allocator, client);
        return md_call_fail(error, MD_CLIENT_RESOURCE_EXHAUSTED, "out of memory: client");
    }
    client->default_timeout_ms =
        options->default_timeout_ms != 0 ? options->default_timeout_ms : DEFAULT_TIMEOUT_MS;
    client->max_message_bytes =
        options->max_message_bytes != 0 ? options->max_message_bytes : DEFAULT_MESSAGE_BYTES;
    grpc_init();
    client->channel = open_channel(target, (int)client->max_message_bytes);
    *out_client = client;
    return MD_CLIENT_OK;
}

void md_client_destroy(struct md_client *client)
{
    if (client == NULL)
        return;
    grpc_channel_destroy(client->channel);
    grpc_shutdown();
    md_release(md_process_allocator(), client->target);
    md_release(md_process_allocator(), client);
}
