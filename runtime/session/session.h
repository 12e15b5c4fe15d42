/* session.h - one loaded model, ready to run; and a run, the working memory of one execution at a time.
 *
 * A session is immutable after create and shared by all threads: one copy of the weights. A run belongs to one
 * thread at a time; make one per worker and use it again: after the first run of a shape it allocates nothing. */
#ifndef MD_SESSION_H
#define MD_SESSION_H

#include <stdatomic.h>

#include "precision.h"
#include "tensor.h"

struct md_allocator;
struct md_model;
struct md_session;
struct md_run;
struct md_thread_pool;

struct md_session_options {
    /* Names of graph passes not to apply, separated by commas; "all"; NULL: apply every pass. For tests and search for
     * faults: each pass leaves the results as they are. */
    const char *disabled_passes;
    enum md_precision precision; /* of products with constant weights */
    /* Helps every run; borrowed, must outlive the session. NULL: a run is one thread. Results are the same bits. */
    struct md_thread_pool *thread_pool;
    /* md_session_open only: models with at least so many bytes of constants get a packed cache beside their file
     * (packed_cache.h), from which the next load is many times faster. 0: none is looked for, and none is made. */
    size_t packed_cache_from_bytes;
    size_t max_run_bytes; /* limit of one run's memory; 0: 8 GiB. Beyond it a run fails with RESOURCE_EXHAUSTED */
};

/* Name, type and shape of a session's input or output. shape dims: -1 any. */
struct md_signature {
    const char *name; /* borrowed from the session */
    enum md_datatype datatype;
    bool is_tensor;   /* false: a sequence or an optional */
    bool has_shape;
    struct md_shape shape;
};

/* Takes `model` on success and on failure. options may be NULL.
 * OK: *out_session is owned by the caller, who releases it with md_session_destroy.
 * UNIMPLEMENTED: an operator, opset or type has no kernel (node, operator, opset named; all of them are counted).
 * INVALID_ARGUMENT: the graph is wrong. RESOURCE_EXHAUSTED: memory. */
MD_NODISCARD enum md_code md_session_create(const struct md_allocator *allocator, struct md_model *model,
                                            const struct md_session_options *options,
                                            struct md_session **out_session, struct md_error *error);
/* The model file at `path`, which is read as by md_model_open unless a packed cache of it is found. No trouble with the
 * cache is an error. Errors: those of md_model_open and md_session_create. */
MD_NODISCARD enum md_code md_session_open(const struct md_allocator *allocator, const char *path,
                                          const struct md_session_options *options, struct md_session **out_session,
                                          struct md_error *error);
void md_session_destroy(struct md_session *session); /* no run may be left; NULL is allowed */

size_t md_session_input_count(const struct md_session *session);
size_t md_session_output_count(const struct md_session *session);
const struct md_signature *md_session_input(const struct md_session *session, size_t index);
const struct md_signature *md_session_output(const struct md_session *session, size_t index);
/* -1: no input (output) of that name. */
int md_session_find_input(const struct md_session *session, struct md_span name);
int md_session_find_output(const struct md_session *session, struct md_span name);
/* Would a run take this tensor? INVALID_ARGUMENT: see md_run_set_input. */
MD_NODISCARD enum md_code md_session_check_input(const struct md_session *session, size_t index,
                                                 const struct md_tensor *tensor, struct md_error *error);
const struct md_model *md_session_model(const struct md_session *session);
/* Bytes of the files that the session keeps in memory, besides what it has from its allocator. */
size_t md_session_mapped_bytes(const struct md_session *session);
/* What md_session_open did with the packed cache. */
enum md_packed_cache {
    MD_PACKED_CACHE_UNUSED,    /* not asked for, or the model is too small */
    MD_PACKED_CACHE_UNWRITTEN, /* it could not be written, or the model's files were changed a moment ago */
    MD_PACKED_CACHE_WRITTEN,
    MD_PACKED_CACHE_FOUND
};
enum md_packed_cache md_session_packed_cache(const struct md_session *session);
/* "found", "written", or "unused" for the others. */
const char *md_packed_cache_name(enum md_packed_cache cache);

/* OK: *out_run is owned by the caller, who releases it with md_run_destroy. The session must outlive it. */
MD_NODISCARD enum md_code md_run_create(const struct md_session *session, struct md_run **out_run,
                                        struct md_error *error);
void md_run_destroy(struct md_run *run); /* NULL is allowed */

/* `value` (its bytes too) is borrowed until md_run_execute has returned. INVALID_ARGUMENT: datatype, rank or a fixed
 * dim does not fit the signature: input "ids": shape [1,600], the model takes [-1,512]. */
MD_NODISCARD enum md_code md_run_set_input(struct md_run *run, size_t index, const struct md_value *value,
                                           struct md_error *error);
MD_NODISCARD enum md_code md_run_set_input_tensor(struct md_run *run, size_t index, const struct md_tensor *tensor,
                                                  struct md_error *error);
/* Outputs that are not wanted need not be computed. All are wanted at first. */
void md_run_want_output(struct md_run *run, size_t index, bool wanted);
/* Checked between nodes: a set flag ends the run with CANCELLED; a passed deadline with DEADLINE_EXCEEDED.
 * cancelled may be NULL; deadline_us on md_clock_us, INT64_MAX: none. Both count until they are set again. */
void md_run_set_limits(struct md_run *run, const atomic_bool *cancelled, int64_t deadline_us);
/* Runs the graph. INVALID_ARGUMENT names the node that found the inputs wanting, or the input that is not set. */
MD_NODISCARD enum md_code md_run_execute(struct md_run *run, struct md_error *error);
/* After OK: borrowed until the next md_run_execute or md_run_destroy. */
const struct md_value *md_run_output(const struct md_run *run, size_t index);

/* Memory of the last execution, for `modelctl inspect` and the memory test. */
struct md_run_memory {
    size_t arena_bytes;    /* planned arena, as large as it had to be */
    size_t largest_live;   /* the largest sum of live values at any node: what a perfect plan needs */
    size_t overflow_bytes; /* values that the plan did not foresee */
    size_t node_count;     /* executed */
};
void md_run_memory(const struct md_run *run, struct md_run_memory *out_memory);

#endif
