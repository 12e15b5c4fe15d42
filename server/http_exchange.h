/* http_exchange.h - one HTTP request and its answer, without a type of the HTTP library: what the routes work with.
 *
 * A route's handler reads path and body, writes `answer`, and returns MD_OK; or another code with the message in
 * *error, which becomes {"error": "..."} with the status of rpc_status.h. Threads: the http thread, or a worker of
 * the group that the route's method belongs to; never two at a time but for rpc.cancelled. */
#ifndef MD_HTTP_EXCHANGE_H
#define MD_HTTP_EXCHANGE_H

#include "rpc.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>

struct md_http_exchange;
struct md_server;

typedef enum md_code (*md_http_handler_fn)(struct md_http_exchange *exchange, struct md_error *error);

enum md_http_flags {
    MD_HTTP_POST = 1,            /* GET (and HEAD) otherwise */
    MD_HTTP_WHILE_DRAINING = 2   /* answered until the end */
};

struct md_http_route {
    const char *path; /* "/v2/models/{m}/versions/{v}/ready"; {m} and {v} are one segment each */
    unsigned flags;
    const char *method; /* whose limits, workers and handler it uses; NULL: answers from memory, on the http thread */
    md_http_handler_fn handler;
};

struct md_http_exchange {
    struct md_rpc rpc; /* arena, times, trace; rpc.request and response are the method's */
    struct md_services *services;
    struct md_server *server;
    const struct md_http_route *route;
    const struct md_rpc_method *row; /* of the route's method; NULL: none */
    char *model;                     /* {m}; "" none; in the arena, as the next */
    char *version;                   /* {v}; "" none */
    const char *body;
    size_t body_size;
    size_t json_size; /* of the body's JSON; binary tensors follow it */
    bool has_binary;  /* the client has said json_size */

    struct md_text answer;
    const char *content_type;  /* static */
    size_t answer_json_size;   /* 0: the answer has no binary tensors */
};

/* Splits the path, finds the route, fills model and version. NULL: none; *out_is_known says whether the path exists
 * for another HTTP method. */
const struct md_http_route *md_http_route_find(struct md_http_exchange *exchange, const char *path, bool is_post,
                                               bool *out_is_known);
/* All routes, ended by one without a path. */
extern const struct md_http_route md_http_routes[];

/* Calls the row's handler with rpc.request set to `request`. */
MD_NODISCARD enum md_code md_http_call(struct md_http_exchange *exchange, const ProtobufCMessage *request,
                                       struct md_error *error);

enum md_code md_http_metrics(struct md_http_exchange *exchange, struct md_error *error);  /* http_metrics.c */
enum md_code md_http_infer(struct md_http_exchange *exchange, struct md_error *error);    /* http_infer.c */
enum md_code md_http_predict(struct md_http_exchange *exchange, struct md_error *error);  /* http_predict.c */

#endif
