/* modeld/client.h - call a modeld model server from C (C99 or later) or C++.
 *
 * One client is one shared connection to one server; it connects at the first call and again when the
 * connection is lost. Every call blocks the calling thread, has a deadline, and either fills its out
 * argument or fills *error.
 *
 *     struct md_client_error error;
 *     struct md_client *client = NULL;
 *     if (md_client_create("127.0.0.1:8001", NULL, &client, &error) != MD_CLIENT_OK) ...
 *     const char *texts[] = { "I like it." };
 *     struct md_client_prediction *prediction = NULL;
 *     if (md_client_predict_texts(client, "sentiment-lstm", NULL, texts, 1, NULL, NULL, &prediction,
 *                                 &error) != MD_CLIENT_OK)
 *         fprintf(stderr, "%s: %s\n", error.name, error.message);
 *     else
 *         puts(prediction->classifications[0].classes[0].label);
 *     md_client_prediction_destroy(prediction);
 *     md_client_destroy(client);
 *
 * Threads: every function may be called from any thread, many calls of one client at once;
 *   md_client_destroy may not overlap a call of the same client. Do not fork while a client exists.
 * Ownership: arguments are borrowed for the call only. A result is owned by the caller, is not changed any
 *   more, and is released with its one ..._destroy function; everything it points to lives as long as it
 * does. Strings: UTF-8, NUL-terminated; in results never NULL ("" where unknown). Units: in the names; _us is
 * microseconds, _ms milliseconds; loaded_at_us and at_us are wall clock since 1970-01-01 UTC. Growing: a
 * structure of options is zeroed by the caller (`= { 0 }`): 0 means the default, `reserved` stays 0. A result
 * structure may get new members at its end; the structures inside its arrays may not. */
#ifndef MODELD_CLIENT_H
#define MODELD_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define MD_CLIENT_API        __attribute__((visibility("default")))
#define MD_CLIENT_MUST_CHECK __attribute__((warn_unused_result))
#else
#define MD_CLIENT_API
#define MD_CLIENT_MUST_CHECK
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- status ---- */

/* The numbers of gRPC's status codes. */
enum md_client_code {
    MD_CLIENT_OK = 0,
    MD_CLIENT_CANCELLED = 1,
    MD_CLIENT_UNKNOWN = 2,
    MD_CLIENT_INVALID_ARGUMENT = 3,  /* the request: shape, datatype, text, name of a tensor */
    MD_CLIENT_DEADLINE_EXCEEDED = 4, /* timeout_ms passed */
    MD_CLIENT_NOT_FOUND = 5,         /* no such model or version */
    MD_CLIENT_ALREADY_EXISTS = 6,
    MD_CLIENT_PERMISSION_DENIED = 7,
    MD_CLIENT_RESOURCE_EXHAUSTED = 8, /* the server is full (see retry_after_ms), or memory or size limits */
    MD_CLIENT_FAILED_PRECONDITION = 9,
    MD_CLIENT_ABORTED = 10,
    MD_CLIENT_OUT_OF_RANGE = 11,
    MD_CLIENT_UNIMPLEMENTED = 12,
    MD_CLIENT_INTERNAL = 13,
    MD_CLIENT_UNAVAILABLE =
        14, /* no connection, or the model or the server is not ready: may be tried again */
    MD_CLIENT_DATA_LOSS = 15,
    MD_CLIENT_UNAUTHENTICATED = 16
};

/* In the caller's memory. Meaningful only after a result other than MD_CLIENT_OK. */
struct md_client_error {
    enum md_client_code code;
    const char *name;        /* of the code: "NOT_FOUND"; static */
    int from_server;         /* 1: the server said so; 0: this library did (no connection, deadline, ...) */
    uint32_t retry_after_ms; /* the server's wish; 0: none */
    char message[1024];      /* cut at the size */
};

/* "NOT_FOUND", ...; "UNKNOWN" for a number that is no code. Static. */
MD_CLIENT_API const char *md_client_code_name(enum md_client_code code);

/* The version of this library, "0.1.0". Static. */
MD_CLIENT_API const char *md_client_library_version(void);

/* ---- connection ---- */

struct md_client;

struct md_client_options {
    uint32_t default_timeout_ms; /* for calls that give none; 0: 10,000 */
    uint32_t max_message_bytes;  /* of a request and of an answer; 0: 64 MiB */
    uint64_t reserved[6];
};

/* For one call. */
struct md_client_call_options {
    uint32_t timeout_ms;          /* 0: the client's default; a call never waits without limit */
    uint32_t wait_for_connection; /* 1: wait for the server until the deadline; 0: fail at once when there is
                                     none */
    const char *request_id;       /* sent as x-request-id and found in the server's log; NULL: none */
    uint64_t reserved[5];
};

/* target: "host:port", "unix:/path" or another gRPC target; plain text (no TLS), and no HTTP proxy is used.
 * Does not connect yet. options may be NULL.
 * OK: *out_client is owned by the caller, who releases it with md_client_destroy.
 * INVALID_ARGUMENT: the target is empty or malformed. RESOURCE_EXHAUSTED: memory. */
MD_CLIENT_API MD_CLIENT_MUST_CHECK enum md_client_code
md_client_create(const char *target, const struct md_client_options *options, struct md_client **out_client,
                 struct md_client_error *error);
MD_CLIENT_API void md_client_destroy(struct md_client *client); /* NULL is allowed */

/* Every call below: `options` and `error` may be NULL; on failure the out argument is untouched. Besides the
 * codes that are named: UNAVAILABLE (no connection: "cannot connect to ...: is modeld running?"),
 * DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED (memory, message size), INTERNAL (the answer is malformed). */

/* ---- predict ---- */

/* Little-endian, row-major. BYTES: per element a 4-byte little-endian length and the bytes. */
struct md_client_tensor {
    const char *name;
    const char *datatype; /* BOOL UINT8..UINT64 INT8..INT64 FP16 FP32 FP64 BF16 BYTES */
    const int64_t *shape;
    size_t rank; /* 0: a scalar */
    const void *contents;
    size_t contents_size; /* bytes */
};

struct md_client_predict_options {
    const char *id;                  /* comes back in the answer; NULL: "" */
    uint32_t top_k;                  /* classes per text, best first; 0: all */
    uint32_t refuse_long_texts;      /* 1: a text that is too long is INVALID_ARGUMENT; 0: it is cut */
    const char *const *pairs;        /* second text of each pair, as many as texts; NULL: none */
    const char *const *output_names; /* with tensors: the outputs wanted */
    size_t output_name_count;        /* 0: all */
    uint64_t reserved[4];
};

struct md_client_class {
    const char *label;
    float score;    /* probability, 0 to 1 */
    uint32_t index; /* of the class in the model's output */
};

struct md_client_classification {
    const struct md_client_class *classes; /* highest score first */
    size_t class_count;
    uint32_t token_count;
    int truncated; /* 1: the text was longer than the model allows and was cut */
};

struct md_client_timings {
    uint64_t queue_us; /* arrival to a worker */
    uint64_t tokenize_us;
    uint64_t compute_us;
    uint64_t total_us; /* arrival to the answer, inside the server */
};

struct md_client_prediction {
    const char *model;
    uint64_t version; /* the version that answered */
    const char *id;
    const struct md_client_classification *classifications; /* one per text */
    size_t classification_count;
    const struct md_client_tensor *outputs; /* of a request with tensors; contents are not aligned */
    size_t output_count;
    uint64_t token_count; /* of all texts, special tokens included, padding not */
    struct md_client_timings timings;
    uint64_t round_trip_us; /* measured here, around the whole call */
};

/* Runs a model on texts. version: a number ("3"); NULL or "": the highest that is ready.
 * OK: *out_prediction is owned by the caller (md_client_prediction_destroy); one classification per text.
 * INVALID_ARGUMENT: a text or the version. NOT_FOUND: model or version. UNAVAILABLE: known, but not ready.
 * RESOURCE_EXHAUSTED: the server is full. UNIMPLEMENTED: the model has no text task. */
MD_CLIENT_API MD_CLIENT_MUST_CHECK enum md_client_code
md_client_predict_texts(struct md_client *client, const char *model, const char *version,
                        const char *const *texts, size_t text_count,
                        const struct md_client_predict_options *predict_options,
                        const struct md_client_call_options *options,
                        struct md_client_prediction **out_prediction, struct md_client_error *error);

/* The same with named tensors; the answer has outputs instead of classifications. */
MD_CLIENT_API MD_CLIENT_MUST_CHECK enum md_client_code
md_client_predict_tensors(struct md_client *client, const char *model, const char *version,
                          const struct md_client_tensor *inputs, size_t input_count,
                          const struct md_client_predict_options *predict_options,
                          const struct md_client_call_options *options,
                          struct md_client_prediction **out_prediction, struct md_client_error *error);

MD_CLIENT_API void
md_client_prediction_destroy(struct md_client_prediction *prediction); /* NULL is allowed */

/* ---- models ---- */

enum md_client_state {
    MD_CLIENT_STATE_UNSPECIFIED = 0,
    MD_CLIENT_STATE_LOADING = 1,
    MD_CLIENT_STATE_WARMING = 2,
    MD_CLIENT_STATE_READY = 3,
    MD_CLIENT_STATE_DRAINING = 4,
    MD_CLIENT_STATE_UNLOADED = 5,
    MD_CLIENT_STATE_FAILED = 6
};
/* "READY", ...; "UNSPECIFIED" for a number that is no state. Static. */
MD_CLIENT_API const char *md_client_state_name(enum md_client_state state);

struct md_client_signature {
    const char *name;
    const char *datatype;
    const int64_t *shape; /* -1: any size */
    size_t rank;
};

struct md_client_setting {
    const char *key;
    const char *value;
    const char *source; /* the file or rule it came from */
};

/* One model version. */
struct md_client_version {
    const char *model;
    uint64_t version;
    enum md_client_state state;
    const char *reason;  /* why FAILED */
    const char *task;    /* "text-classification"; "tensors": no text task */
    const char *sha256;  /* of the version's files, hexadecimal */
    uint64_t size_bytes; /* of the version's files */
    const char *path;
    uint64_t memory_bytes; /* held now; 0 when not loaded */
    int64_t loaded_at_us;  /* 0: never */
    const struct md_client_signature *inputs;
    size_t input_count;
    const struct md_client_signature *outputs;
    size_t output_count;
    uint64_t request_count; /* since the version was first loaded, restarts included */
    uint64_t error_count;
    const struct md_client_setting *settings; /* effective configuration; md_client_get_model only */
    size_t setting_count;
    const char *precision;       /* "fp32", "bf16", "int8": of the last load that worked; "": never loaded */
    double precision_difference; /* from fp32, as that load measured it: largest |difference| / largest |fp32 value| */
};

struct md_client_versions {
    const struct md_client_version *const *items;
    size_t count;
    uint64_t load_us; /* md_client_load_model: how long it took; else 0 */
};

/* Every version that the registry knows, loaded or not.
 * OK: *out_versions is owned by the caller (md_client_versions_destroy). */
MD_CLIENT_API MD_CLIENT_MUST_CHECK enum md_client_code
md_client_list_models(struct md_client *client, const struct md_client_call_options *options,
                      struct md_client_versions **out_versions, struct md_client_error *error);

/* One model with signature and settings. version 0: every version.
 * OK: *out_versions is owned by the caller (md_client_versions_destroy). NOT_FOUND: model or version. */
MD_CLIENT_API MD_CLIENT_MUST_CHECK enum md_client_code
md_client_get_model(struct md_client *client, const char *model, uint64_t version,
                    const struct md_client_call_options *options, struct md_client_versions **out_versions,
                    struct md_client_error *error);

struct md_client_load_options {
    const char *precision; /* "fp32", "bf16" or "int8"; NULL or "": what the version's model.json says, else fp32 */
    uint64_t reserved[5];
};

/* Loads a version from the server's repository and returns when it is ready. version 0: the highest there is.
 * actor: who asks, for the audit trail; NULL: "". load_options may be NULL. A failed load leaves what was serving as it
 * was. OK: *out_versions is owned by the caller (md_client_versions_destroy) and has one item.
 * NOT_FOUND: not in the repository. INVALID_ARGUMENT: the model's files, the precision. UNIMPLEMENTED: an operator,
 * named. FAILED_PRECONDITION: in that precision the model differs too much from fp32. */
MD_CLIENT_API MD_CLIENT_MUST_CHECK enum md_client_code
md_client_load_model(struct md_client *client, const char *model, uint64_t version, const char *actor,
                     const struct md_client_load_options *load_options, const struct md_client_call_options *options, struct md_client_versions **out_versions,
                     struct md_client_error *error);

/* Stops serving: requests in flight finish, then the memory is given back. version 0: every loaded version.
 * OK: *out_versions, what was unloaded, is owned by the caller (md_client_versions_destroy).
 * NOT_FOUND: nothing of that name is loaded. */
MD_CLIENT_API MD_CLIENT_MUST_CHECK enum md_client_code
md_client_unload_model(struct md_client *client, const char *model, uint64_t version, const char *actor,
                       const struct md_client_call_options *options, struct md_client_versions **out_versions,
                       struct md_client_error *error);

MD_CLIENT_API void md_client_versions_destroy(struct md_client_versions *versions); /* NULL is allowed */

/* ---- audit trail ---- */

struct md_client_event {
    int64_t id;
    int64_t at_us;
    const char *actor;
    const char *action; /* load, unload, restore */
    const char *model;
    uint64_t version;
    const char *code; /* "OK" or the name of a status code */
    const char *message;
};

struct md_client_events {
    const struct md_client_event *items; /* newest first */
    size_t count;
};

/* model NULL or "": all models. limit 0: 100.
 * OK: *out_events is owned by the caller (md_client_events_destroy). */
MD_CLIENT_API MD_CLIENT_MUST_CHECK enum md_client_code
md_client_list_events(struct md_client *client, const char *model, uint32_t limit,
                      const struct md_client_call_options *options, struct md_client_events **out_events,
                      struct md_client_error *error);

MD_CLIENT_API void md_client_events_destroy(struct md_client_events *events); /* NULL is allowed */

/* ---- health ---- */

enum md_client_health {
    MD_CLIENT_HEALTH_UNKNOWN = 0,
    MD_CLIENT_HEALTH_SERVING = 1,
    MD_CLIENT_HEALTH_NOT_SERVING = 2,
    MD_CLIENT_HEALTH_SERVICE_UNKNOWN = 3
};
/* "SERVING", ...; "UNKNOWN" for a number that is none. Static. */
MD_CLIENT_API const char *md_client_health_name(enum md_client_health health);

/* The standard gRPC health check. service: NULL or "" (the server), a service, a model or "model/version".
 * NOT_FOUND: the server does not know the name. */
MD_CLIENT_API MD_CLIENT_MUST_CHECK enum md_client_code
md_client_health_check(struct md_client *client, const char *service,
                       const struct md_client_call_options *options, enum md_client_health *out_health,
                       struct md_client_error *error);

/* Returns when the service is SERVING; waits for the server to come up too, without polling it.
 * DEADLINE_EXCEEDED: it was not within the call's timeout; the message says what it was last. */
MD_CLIENT_API MD_CLIENT_MUST_CHECK enum md_client_code
md_client_wait_until_serving(struct md_client *client, const char *service,
                             const struct md_client_call_options *options, struct md_client_error *error);

#ifdef __cplusplus
}
#endif

#endif
