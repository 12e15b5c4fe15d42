/* echo_server.c - the least that a gRPC server can be, for `tests/bench/run rpc`: one method on the C core, one poller,
 * no parsing; every answer is the same number of bytes. What modeld takes beyond it is modeld's own work.
 *
 * usage: echo_server PORT_FILE ANSWER_BYTES; ends with its standard input. */
#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/time.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SLOTS = 512 };

struct echo {
    grpc_server *server;
    grpc_completion_queue *queue;
    void *method;
    grpc_slice answer;
};

struct slot {
    struct echo *echo;
    grpc_call *call; /* NULL: waits for one */
    gpr_timespec deadline;
    grpc_metadata_array metadata;
    grpc_byte_buffer *payload, *answer;
    int cancelled;
    int is_answered;
};

static void post(struct slot *slot)
{
    struct echo *echo = slot->echo;
    slot->is_answered = 0;
    slot->payload = NULL;
    grpc_metadata_array_init(&slot->metadata);
    if (grpc_server_request_registered_call(echo->server, echo->method, &slot->call, &slot->deadline, &slot->metadata,
                                            &slot->payload, echo->queue, echo->queue, slot) != GRPC_CALL_OK)
        exit(1);
}

static void answer(struct slot *slot)
{
    grpc_op ops[4];
    memset(ops, 0, sizeof ops);
    slot->answer = grpc_raw_byte_buffer_create(&slot->echo->answer, 1);
    ops[0].op = GRPC_OP_RECV_CLOSE_ON_SERVER;
    ops[0].data.recv_close_on_server.cancelled = &slot->cancelled;
    ops[1].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[2].op = GRPC_OP_SEND_MESSAGE;
    ops[2].data.send_message.send_message = slot->answer;
    ops[3].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    slot->is_answered = 1;
    if (grpc_call_start_batch(slot->call, ops, 4, slot, NULL) != GRPC_CALL_OK)
        exit(1);
}

static void forget(struct slot *slot)
{
    grpc_metadata_array_destroy(&slot->metadata);
    grpc_byte_buffer_destroy(slot->answer);
    if (slot->payload != NULL)
        grpc_byte_buffer_destroy(slot->payload);
    grpc_call_unref(slot->call);
}

static void *poll_queue(void *owner)
{
    struct echo *echo = owner;
    for (;;) {
        grpc_event event = grpc_completion_queue_next(echo->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        struct slot *slot = event.tag;
        if (event.type == GRPC_QUEUE_SHUTDOWN)
            return NULL;
        if (!slot->is_answered) {
            answer(slot);
            continue;
        }
        forget(slot);
        post(slot);
    }
}

static void write_port(const char *path, int port)
{
    char partial[4096];
    (void)snprintf(partial, sizeof partial, "%s.part", path);
    FILE *file = fopen(partial, "we");
    if (file == NULL || fprintf(file, "%d\n", port) < 0 || fclose(file) != 0 || rename(partial, path) != 0)
        exit(1);
}

int main(int argc, char **argv)
{
    static struct slot slots[SLOTS];
    pthread_t poller;
    char byte;
    if (argc != 3)
        return 2;
    grpc_init();
    struct echo echo = { .server = grpc_server_create(NULL, NULL), .queue = grpc_completion_queue_create_for_next(NULL),
                         .answer = grpc_slice_malloc((size_t)strtoul(argv[2], NULL, 10)) };
    memset(GRPC_SLICE_START_PTR(echo.answer), 0, GRPC_SLICE_LENGTH(echo.answer));
    grpc_server_register_completion_queue(echo.server, echo.queue, NULL);
    echo.method = grpc_server_register_method(echo.server, "/modeld.v1.ModelService/Predict", NULL,
                                              GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
    grpc_server_credentials *credentials = grpc_insecure_server_credentials_create();
    int port = grpc_server_add_http2_port(echo.server, "127.0.0.1:0", credentials);
    grpc_server_credentials_release(credentials);
    if (port == 0)
        return 1;
    grpc_server_start(echo.server);
    for (size_t i = 0; i < SLOTS; i++) {
        slots[i].echo = &echo;
        post(&slots[i]);
    }
    if (pthread_create(&poller, NULL, poll_queue, &echo) != 0)
        return 1;
    write_port(argv[1], port);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    _exit(0); /* nothing is worth an orderly end */
}
