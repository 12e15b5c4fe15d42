/* inference.h - one request's hold on a model version, for both protocols.
 *
 * begin pins the version; then either inputs, execute and outputs, or texts: both wait for their turn to compute and may
 * share a batch with other requests of the version (inference_batch.h); end gives everything back and counts the request. Threads: a struct md_inference belongs to the worker that runs the request. */
#ifndef MD_INFERENCE_H
#define MD_INFERENCE_H

#include "rpc.h"
#include "scheduler.h"
#include "span.h"
#include "task.h"
#include "tensor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct md_catalogue_state;
struct md_loaded_version;
struct md_run;
struct md_services;
struct md_session;

struct md_inference {
    struct md_services *services;
    struct md_rpc *rpc;
    const char *model;                 /* borrowed from the version */
    uint64_t number;                   /* of the version */
    struct md_loaded_version *version; /* pinned; NULL: begin has failed */
    struct md_run *run;                /* whose outputs are borrowed; NULL: none, or they are copies */
    const struct md_session *session;
    const struct md_task *task;    /* NULL: tensors only */
    struct md_batch_work work;     /* its turn */
    struct md_text_call texts;     /* count 0: tensors */
    const struct md_tensor **inputs; /* per input; NULL: not set yet */
    bool *wanted;                  /* per output */
    struct md_tensor *outputs;     /* per output, after execute */
    uint64_t rows;              /* for the counters */
    uint64_t tokens;
    uint64_t compute_us;
};

/* Always followed by md_inference_end, also when it fails.
 * INVALID_ARGUMENT: no model name, or no version text (version_text.h). NOT_FOUND: unknown; a near miss is
 * named. UNAVAILABLE: known, but not READY, with state and reason. Others: of the pool. */
MD_NODISCARD enum md_code md_inference_begin(struct md_inference *inference, struct md_services *services,
                                             struct md_rpc *rpc, const char *model, const char *version,
                                             struct md_error *error);
/* May it run on the poller? By what the version's requests took so far. */
bool md_inference_is_quick(struct md_services *services, const struct md_rpc *rpc, const char *model,
                           const char *version);
/* `code`: what the request is answered. */
void md_inference_end(struct md_inference *inference, enum md_code code);

/* INVALID_ARGUMENT: no such input, set twice, or it does not fit the model. The tensor is borrowed until
 * execute has returned. A tensor of shape [1] is taken for a scalar where the model has one. */
MD_NODISCARD enum md_code md_inference_set_input(struct md_inference *inference, const char *name,
                                                 const struct md_tensor *tensor, struct md_error *error);

/* names NULL with count 0: all outputs. *out_indexes (in the arena) says which outputs, in the order asked
 * for. INVALID_ARGUMENT: unknown or twice. UNIMPLEMENTED: an output that is not a tensor. */
MD_NODISCARD enum md_code md_inference_choose_outputs(struct md_inference *inference,
                                                      const char *const *names, size_t count,
                                                      size_t **out_indexes, size_t *out_count,
                                                      struct md_error *error);

/* INVALID_ARGUMENT also: an input is missing (all of them are named). */
MD_NODISCARD enum md_code md_inference_execute(struct md_inference *inference, struct md_error *error);
/* After execute; borrowed until end. */
const struct md_tensor *md_inference_output(const struct md_inference *inference, size_t index);

/* FAILED_PRECONDITION is never given: a model without a task is INVALID_ARGUMENT, as every request that does
 * not fit. */
MD_NODISCARD enum md_code md_inference_texts(struct md_inference *inference, const struct md_span *texts,
                                             const struct md_span *pairs, size_t count,
                                             const struct md_task_options *options,
                                             struct md_task_result *out_result, struct md_error *error);

/* Puts `input "NAME" of model "M" version N` before the message. */
MD_NODISCARD enum md_code md_inference_fail_tensor(const struct md_inference *inference, enum md_code code,
                                                   const char *kind, const char *name,
                                                   struct md_error *error);

/* Finds a model in the catalogue for readiness and metadata. INVALID_ARGUMENT, NOT_FOUND as
 * md_inference_begin. */
MD_NODISCARD enum md_code md_model_lookup(struct md_services *services, struct md_rpc *rpc, const char *model,
                                          const char *version, struct md_catalogue_state *out_state,
                                          struct md_error *error);

#endif
