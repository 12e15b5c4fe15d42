/* http.h - the HTTP port: metrics, health, and the Open Inference Protocol's REST form. http.c is the only file that
 * knows libmicrohttpd; what a request means is in http_routes.c and the files it names.
 *
 * Threads: one of its own, "http", which reads, answers what is in memory, and hands the rest to the worker groups of
 * the gRPC server, under the same limits. The functions here are called by one thread (main).
 * A connection must bring a whole request, and take a whole answer, within MD_HTTP_SECONDS: slow ones are cut. */
#ifndef MD_HTTP_H
#define MD_HTTP_H

#include "status.h"

#include <stddef.h>
#include <stdint.h>

struct md_allocator;
struct md_bound_socket;
struct md_http;
struct md_server;
struct md_services;

enum { MD_HTTP_SECONDS = 60 };

struct md_http_options {
    const struct md_allocator *allocator;
    struct md_services *services; /* borrowed, as the next, until destroy */
    struct md_server *server;
    size_t max_connections;
    size_t max_body_bytes;
    size_t max_buffered_bytes; /* of all bodies that are being received */
};

/* Takes socket->fd (in any case) and begins to answer. RESOURCE_EXHAUSTED: memory, threads or descriptors. */
MD_NODISCARD enum md_code md_http_create(const struct md_http_options *options, const struct md_bound_socket *socket,
                                         struct md_http **out_http, struct md_error *error);
/* Waits for the requests under way, at most until deadline_us (md_clock_us). */
void md_http_drain(struct md_http *http, int64_t deadline_us);
/* Cancels what is under way, before the gRPC server is destroyed. NULL is allowed. */
void md_http_destroy(struct md_http *http);

#endif
