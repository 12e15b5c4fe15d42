/* inference.c - see inference.h. */
#include "inference.h"
#include "inference_batch.h"

#include "clock.h"
#include "metrics.h"
#include "model_catalogue.h"
#include "pool.h"
#include "services.h"
#include "session.h"
#include "utf8.h"
#include "version_counters.h"
#include "version_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static enum md_code check_name(const char *model, struct md_error *error)
{
    size_t size = strlen(model), valid = md_utf8_valid_prefix(model, size);
    if (size == 0)
        return md_fail(error, MD_INVALID_ARGUMENT, "no model is named");
    if (valid != size)
        return md_fail(error, MD_INVALID_ARGUMENT, "the model name is not UTF-8 at byte %zu of %zu", valid,
                       size);
    return MD_OK;
}

static enum md_code unknown(struct md_services *services, struct md_rpc *rpc, const char *model,
                            uint64_t version, struct md_error *error)
{
    uint64_t *ready;
    size_t count;
    if (version != 0 && md_catalogue_find(services->catalogue, model, 0, NULL)) {
        MD_TRY(md_catalogue_ready_versions(services->catalogue, model, &rpc->arena, &ready, &count, error));
        if (count == 0)
            return md_fail(error, MD_NOT_FOUND,
                           "unknown version %" PRIu64 " of model \"%.128s\"; none is READY", version, model);
        return md_fail(error, MD_NOT_FOUND,
                       "unknown version %" PRIu64 " of model \"%.128s\"; READY are %zu, up to %" PRIu64,
                       version, model, count, ready[count - 1]);
    }
    const char *near = md_catalogue_nearest(services->catalogue, model, &rpc->arena);
    if (near != NULL)
        return md_fail(error, MD_NOT_FOUND, "unknown model \"%.128s\"; did you mean \"%s\"?", model, near);
    return md_fail(error, MD_NOT_FOUND, "unknown model \"%.128s\"", model);
}

enum md_code md_model_lookup(struct md_services *services, struct md_rpc *rpc, const char *model,
                             const char *version, struct md_catalogue_state *out_state,
                             struct md_error *error)
{
    uint64_t number;
    MD_TRY(check_name(model, error));
    MD_TRY(md_version_parse(version, &number, error));
    if (!md_catalogue_find(services->catalogue, model, number, out_state))
        return unknown(services, rpc, model, number, error);
    return MD_OK;
}

/* The pool does not have it: says why, from what is known of it. */
static enum md_code explain(struct md_services *services, struct md_rpc *rpc, const char *model,
                            uint64_t version, struct md_error *error)
{
    struct md_catalogue_state state;
    if (!md_catalogue_find(services->catalogue, model, version, &state))
        return unknown(services, rpc, model, version, error);
    return md_fail(error, MD_UNAVAILABLE, "model \"%.128s\" %sversion %" PRIu64 " is %s%s%s", model,
                   version == 0 ? "has no READY version: " : "", state.version,
                   md_version_state_name(state.state), *state.reason == '\0' ? "" : ": ", state.reason);
}

enum { QUICK_US = 30 }; /* what waking a worker costs, about */

bool md_inference_is_quick(struct md_services *services, const struct md_rpc *rpc, const char *model, const char *version)
{
    uint64_t number;
    return md_version_parse(version, &number, NULL) == MD_OK &&
           md_pool_is_quick(services->pool, model, number, rpc->request_bytes, QUICK_US);
}

enum md_code md_inference_begin(struct md_inference *inference, struct md_services *services,
                                struct md_rpc *rpc, const char *model, const char *version,
                                struct md_error *error)
{
    uint64_t number;
    *inference = (struct md_inference){ .services = services, .rpc = rpc };
    MD_TRY(check_name(model, error));
    MD_TRY(md_version_parse(version, &number, error));
    rpc->model = model;
    rpc->version = number;
    enum md_code code = md_pool_pin(services->pool, model, number, &inference->version, error);
    if (code == MD_NOT_FOUND)
        return explain(services, rpc, model, number, error);
    if (code != MD_OK)
        return code;
    inference->model = md_loaded_version_model(inference->version);
    rpc->version = inference->number = md_loaded_version_number(inference->version);
    rpc->metrics = md_metrics_version(services->metrics, inference->model, inference->number);
    rpc->stage_us[MD_STAGE_QUEUE] = rpc->started_at_us - rpc->arrived_at_us;
    inference->session = md_loaded_version_session(inference->version);
    inference->task = md_loaded_version_task(inference->version);
    size_t input_count = md_session_input_count(inference->session);
    size_t output_count = md_session_output_count(inference->session);
    inference->inputs = md_arena_allocate_zeroed(&rpc->arena, input_count + 1, sizeof *inference->inputs);
    inference->wanted = md_arena_allocate_zeroed(&rpc->arena, output_count + 1, sizeof *inference->wanted);
    inference->outputs = md_arena_allocate_zeroed(&rpc->arena, output_count + 1, sizeof *inference->outputs);
    if (inference->inputs == NULL || inference->wanted == NULL || inference->outputs == NULL)
        return md_fail_memory(error, "request");
    return MD_OK;
}

static void count_times(const struct md_inference *inference, bool succeeded, uint64_t total_us)
{
    const struct md_rpc *rpc = inference->rpc;
    const struct md_request_times times = {
        .total_us = total_us,
        .queue_us = (uint64_t)(rpc->started_at_us - rpc->arrived_at_us + inference->work.waited_us),
        .input_us = inference->texts.tokenize_us,
        .infer_us = inference->compute_us,
    };
    md_version_counters_add_request(md_loaded_version_counters(inference->version), succeeded, inference->rows, &times);
}

void md_inference_end(struct md_inference *inference, enum md_code code)
{
    if (inference->version == NULL)
        return;
    struct md_request_count count = { .model = inference->model,
                                      .version = inference->number,
                                      .code = code,
                                      .rows = inference->rows,
                                      .tokens = inference->tokens,
                                      .duration_us =
                                          (uint64_t)(md_clock_us() - inference->rpc->arrived_at_us) };
    md_registry_count_request(inference->services->registry, &count);
    if (code == MD_OK)
        md_loaded_version_learn(inference->version, inference->rpc->request_bytes,
                                md_clock_us() - inference->rpc->started_at_us - inference->work.waited_us);
    inference->rpc->rows = inference->rows;
    inference->rpc->tokens = inference->tokens;
    count_times(inference, code == MD_OK, count.duration_us);
    if (inference->run != NULL)
        md_loaded_version_return_run(inference->version, inference->run);
    md_loaded_version_unpin(inference->version);
    inference->version = NULL;
    inference->run = NULL;
}

enum md_code md_inference_fail_tensor(const struct md_inference *inference, enum md_code code,
                                      const char *kind, const char *name, struct md_error *error)
{
    return md_fail_prefix(error, code, "%s \"%.128s\" of model \"%s\" version %" PRIu64, kind, name,
                          inference->model, inference->number);
}

/* ---- tensors ---- */

/* "a", "b", ...: names of inputs or outputs for a message; cut when there are many. */
static const char *join_names(const struct md_session *session, bool outputs, char *buffer, size_t size)
{
    size_t count = outputs ? md_session_output_count(session) : md_session_input_count(session), used = 0;
    buffer[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        const char *name = (outputs ? md_session_output(session, i) : md_session_input(session, i))->name;
        size_t length = strlen(name);
        if (length + 8 > size - used)
            return memcpy(buffer + used, used > 0 ? ", ..." : "...", used > 0 ? 6 : 4), buffer;
        used += (size_t)snprintf(buffer + used, size - used, "%s\"%s\"", i > 0 ? ", " : "", name);
    }
    return buffer;
}

enum md_code md_inference_set_input(struct md_inference *inference, const char *name,
                                    const struct md_tensor *tensor, struct md_error *error)
{
    char names[256];
    int index = md_session_find_input(inference->session, md_span_of(name));
    if (index < 0)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "unknown input \"%.128s\"; inputs of model \"%s\" version %" PRIu64 " are %s", name,
                       inference->model, inference->number,
                       join_names(inference->session, false, names, sizeof names));
    const struct md_signature *signature = md_session_input(inference->session, (size_t)index);
    if (inference->inputs[index] != NULL)
        return md_inference_fail_tensor(inference, md_fail(error, MD_INVALID_ARGUMENT, "given twice"),
                                        "input", name, error);
    if (!signature->is_tensor)
        return md_inference_fail_tensor(
            inference,
            md_fail(error, MD_UNIMPLEMENTED, "the model takes a sequence, which has no form on the wire"),
            "input", name, error);
    struct md_tensor *own = md_arena_allocate(&inference->rpc->arena, sizeof *own);
    if (own == NULL)
        return md_fail_memory(error, "input");
    *own = *tensor;
    if (signature->has_shape && signature->shape.rank == 0 && own->shape.rank == 1 && own->count == 1)
        own->shape.rank = 0;
    enum md_code code = md_session_check_input(inference->session, (size_t)index, own, error);
    if (code != MD_OK) /* the session's message names the input */
        return md_fail_prefix(error, code, "model \"%s\" version %" PRIu64, inference->model,
                              inference->number);
    inference->inputs[index] = own;
    if (inference->rows == 0)
        inference->rows = tensor->shape.rank > 0 ? (uint64_t)tensor->shape.dims[0] : 1;
    return MD_OK;
}

static enum md_code find_output(const struct md_inference *inference, const char *name, size_t *out_index,
                                struct md_error *error)
{
    char names[256];
    int index = md_session_find_output(inference->session, md_span_of(name));
    if (index < 0)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "unknown output \"%.128s\"; outputs of model \"%s\" version %" PRIu64 " are %s", name,
                       inference->model, inference->number,
                       join_names(inference->session, true, names, sizeof names));
    *out_index = (size_t)index;
    return MD_OK;
}

enum md_code md_inference_choose_outputs(struct md_inference *inference, const char *const *names,
                                         size_t count, size_t **out_indexes, size_t *out_count,
                                         struct md_error *error)
{
    size_t output_count = md_session_output_count(inference->session);
    size_t chosen_count = count == 0 ? output_count : count;
    size_t *indexes = md_arena_allocate_zeroed(&inference->rpc->arena, chosen_count + 1, sizeof *indexes);
    if (indexes == NULL)
        return md_fail_memory(error, "outputs");
    for (size_t i = 0; i < chosen_count; i++) {
        indexes[i] = i;
        if (count > 0)
            MD_TRY(find_output(inference, names[i], &indexes[i], error));
        const struct md_signature *signature = md_session_output(inference->session, indexes[i]);
        if (inference->wanted[indexes[i]])
            return md_inference_fail_tensor(inference, md_fail(error, MD_INVALID_ARGUMENT, "asked for twice"),
                                            "output", signature->name, error);
        if (!signature->is_tensor)
            return md_inference_fail_tensor(
                inference,
                md_fail(error, MD_UNIMPLEMENTED, "it is a sequence, which has no form on the wire"), "output",
                signature->name, error);
        inference->wanted[indexes[i]] = true;
    }
    *out_indexes = indexes;
    *out_count = chosen_count;
    return MD_OK;
}

static enum md_code check_missing(const struct md_inference *inference, struct md_error *error)
{
    char names[256];
    size_t count = md_session_input_count(inference->session), set = 0;
    for (size_t i = 0; i < count; i++)
        set += inference->inputs[i] != NULL ? 1 : 0;
    for (size_t i = 0; i < count; i++)
        if (inference->inputs[i] == NULL)
            return md_fail(error, MD_INVALID_ARGUMENT,
                           "input \"%s\" of model \"%s\" version %" PRIu64
                           " is missing; %zu inputs are given, the model takes %zu: %s",
                           md_session_input(inference->session, i)->name, inference->model, inference->number,
                           set, count, join_names(inference->session, false, names, sizeof names));
    return MD_OK;
}

/* ---- the turn ---- */

/* On expiry the core cancels the call as well: which of the two a run noticed first is chance. */
static enum md_code fail_run(const struct md_inference *inference, enum md_code code, struct md_error *error)
{
    if (code == MD_CANCELLED && md_clock_us() >= inference->rpc->deadline_us)
        code = md_fail(error, MD_DEADLINE_EXCEEDED, "the deadline passed while it ran");
    return md_fail_prefix(error, code, "model \"%s\" version %" PRIu64, inference->model, inference->number);
}

/* Waits for its turn and runs, alone or in company. */
static enum md_code execute(struct md_inference *inference, struct md_error *error)
{
    struct md_batch_work *work = &inference->work;
    work->rows = inference->rows;
    work->tokens = inference->tokens;
    work->deadline_us = inference->rpc->deadline_us;
    work->cancelled = &inference->rpc->cancelled;
    work->error = error;
    enum md_code code;
    if (inference->rpc->is_quick) { /* shorter than a turn is worth, and the poller must not wait */
        struct md_batch_work *const alone[] = { work };
        md_inference_run_batch(alone, 1);
        code = work->code;
    } else {
        code = md_scheduler_execute(inference->services->scheduler, md_loaded_version_queue(inference->version), work);
    }
    inference->rpc->computed_at_us = md_clock_us();
    inference->rpc->stage_us[MD_STAGE_BATCH_WAIT] = work->waited_us;
    inference->rpc->stage_us[MD_STAGE_COMPUTE] = (int64_t)inference->compute_us;
    return code == MD_OK ? MD_OK : fail_run(inference, code, error);
}

enum md_code md_inference_execute(struct md_inference *inference, struct md_error *error)
{
    MD_TRY(check_missing(inference, error));
    inference->work.company = md_inference_company(inference);
    return execute(inference, error);
}

const struct md_tensor *md_inference_output(const struct md_inference *inference, size_t index)
{
    return &inference->outputs[index];
}

enum md_code md_inference_texts(struct md_inference *inference, const struct md_span *texts,
                                const struct md_span *pairs, size_t count,
                                const struct md_task_options *options, struct md_task_result *out_result,
                                struct md_error *error)
{
    struct md_text_call *call = &inference->texts;
    if (inference->task == NULL)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "model \"%s\" version %" PRIu64
                       " takes tensors, not texts: its folder has no tokenizer.json",
                       inference->model, inference->number);
    inference->rows = count;
    enum md_code code =
        md_task_encode(inference->task, &inference->rpc->arena, texts, pairs, count, options, call, error);
    if (code != MD_OK)
        return fail_run(inference, code, error);
    inference->tokens = call->token_count;
    inference->rpc->stage_us[MD_STAGE_TOKENIZE] = (int64_t)call->tokenize_us;
    inference->work.company = md_inference_company(inference);
    MD_TRY(execute(inference, error));
    *out_result = (struct md_task_result){ .count = count,
                                           .answers = call->answers,
                                           .token_count = call->token_count,
                                           .tokenize_us = call->tokenize_us,
                                           .compute_us = inference->compute_us };
    return MD_OK;
}
