/* inference_batch.c - see inference_batch.h. */
#include "inference_batch.h"

#include "clock.h"
#include "pool.h"
#include "session.h"
#include "version_counters.h"

#include <string.h>

enum { TEXTS = 1 }; /* the company of all requests of texts */

static struct md_inference *inference_of(const struct md_batch_work *work)
{
    return (struct md_inference *)((uintptr_t)work - offsetof(struct md_inference, work));
}

/* ---- who goes with whom ---- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    return (hash ^ value) * 0x100000001B3u; /* FNV-1a, by words */
}

static bool has_free_rows(const struct md_signature *signature)
{
    return signature->is_tensor && signature->has_shape && signature->shape.rank > 0 && signature->shape.dims[0] < 0 &&
           signature->datatype != MD_BYTES;
}

static bool joins_rows(const struct md_inference *inference)
{
    const struct md_session *session = inference->session;
    bool joins = atomic_load_explicit(md_loaded_version_proofs(inference->version), memory_order_relaxed) >= 0;
    for (size_t i = 0; joins && i < md_session_input_count(session); i++)
        joins = has_free_rows(md_session_input(session, i)) && inference->inputs[i]->shape.dims[0] > 0 &&
                inference->inputs[i]->shape.dims[0] == inference->inputs[0]->shape.dims[0];
    for (size_t i = 0; joins && i < md_session_output_count(session); i++)
        joins = !inference->wanted[i] || has_free_rows(md_session_output(session, i));
    return joins && md_session_input_count(session) > 0;
}

uint64_t md_inference_company(const struct md_inference *inference)
{
    uint64_t hash = 0xCBF29CE484222325u;
    if (inference->texts.count > 0)
        return TEXTS;
    if (!joins_rows(inference))
        return 0;
    for (size_t i = 0; i < md_session_input_count(inference->session); i++)
        for (int32_t d = 1; d < inference->inputs[i]->shape.rank; d++)
            hash = mix(hash, (uint64_t)inference->inputs[i]->shape.dims[d]);
    for (size_t i = 0; i < md_session_output_count(inference->session); i++)
        hash = mix(hash, inference->wanted[i]);
    return hash > TEXTS ? hash : TEXTS + 1;
}

/* Equal numbers might be chance. */
static bool same_form(const struct md_inference *a, const struct md_inference *b)
{
    bool same = true;
    for (size_t i = 0; same && i < md_session_input_count(a->session); i++) {
        struct md_shape shape = b->inputs[i]->shape;
        shape.dims[0] = a->inputs[i]->shape.dims[0];
        same = md_shape_equal(&a->inputs[i]->shape, &shape);
    }
    return same && memcmp(a->wanted, b->wanted, md_session_output_count(a->session) * sizeof *a->wanted) == 0;
}

/* ---- one request of tensors ---- */

static enum md_code execute(struct md_run *run, const struct md_inference *inference,
                            const struct md_tensor *const *inputs, struct md_error *error)
{
    for (size_t i = 0; i < md_session_output_count(inference->session); i++)
        md_run_want_output(run, i, inference->wanted[i]);
    for (size_t i = 0; i < md_session_input_count(inference->session); i++)
        MD_TRY(md_run_set_input_tensor(run, i, inputs[i], error));
    return md_run_execute(run, error);
}

/* Its outputs stay in the run, which it keeps until its end. */
static enum md_code run_alone(struct md_inference *inference, struct md_error *error)
{
    int64_t begin_us = md_clock_us();
    if (inference->run == NULL)
        MD_TRY(md_loaded_version_take_run(inference->version, &inference->run, error));
    md_run_set_limits(inference->run, &inference->rpc->cancelled, inference->rpc->deadline_us);
    MD_TRY(execute(inference->run, inference, inference->inputs, error));
    for (size_t i = 0; i < md_session_output_count(inference->session); i++)
        if (inference->wanted[i])
            inference->outputs[i] = md_run_output(inference->run, i)->tensor;
    inference->compute_us = (uint64_t)(md_clock_us() - begin_us);
    return MD_OK;
}

static void run_each(struct md_batch_work *const *works, size_t count)
{
    for (size_t i = 0; i < count; i++)
        works[i]->code = run_alone(inference_of(works[i]), works[i]->error);
}

/* ---- joined tensors ---- */

static enum md_code join_input(struct md_batch_work *const *works, size_t count, size_t index,
                               struct md_tensor *out_joined, struct md_error *error)
{
    struct md_inference *first = inference_of(works[0]);
    struct md_shape shape = first->inputs[index]->shape;
    for (size_t i = 1; i < count; i++)
        shape.dims[0] += inference_of(works[i])->inputs[index]->shape.dims[0];
    MD_TRY(md_tensor_describe(first->inputs[index]->datatype, &shape, NULL, out_joined, error));
    unsigned char *at = out_joined->bytes = md_arena_allocate(&first->rpc->arena, md_tensor_size(out_joined));
    if (at == NULL)
        return md_fail_memory(error, "batch");
    for (size_t i = 0; i < count; i++) {
        const struct md_tensor *part = inference_of(works[i])->inputs[index];
        memcpy(at, part->bytes, md_tensor_size(part));
        at += md_tensor_size(part);
    }
    return MD_OK;
}

/* Cuts output `index` of the joined run and copies every request's rows to its arena. */
static enum md_code cut_output(struct md_batch_work *const *works, size_t count, size_t index,
                               const struct md_tensor *joined, struct md_error *error)
{
    size_t rows = 0, total = 0;
    for (size_t i = 0; i < count; i++)
        total += works[i]->rows;
    if (joined->shape.rank == 0 || (size_t)joined->shape.dims[0] != total)
        return md_fail(error, MD_INTERNAL, "an output has no row for each row of the inputs");
    for (size_t i = 0; i < count; i++) {
        struct md_inference *inference = inference_of(works[i]);
        struct md_tensor *part = &inference->outputs[index];
        struct md_shape shape = joined->shape;
        shape.dims[0] = (int64_t)works[i]->rows;
        MD_TRY(md_tensor_describe(joined->datatype, &shape, NULL, part, error));
        size_t size = md_tensor_size(part);
        part->bytes = md_arena_allocate(&inference->rpc->arena, size);
        if (part->bytes == NULL)
            return md_fail_memory(error, "answer");
        if (size > 0)
            memcpy(part->bytes, (const unsigned char *)joined->bytes + rows * (md_tensor_size(joined) / total), size);
        rows += works[i]->rows;
    }
    return MD_OK;
}

static int64_t latest_deadline(struct md_batch_work *const *works, size_t count)
{
    int64_t latest = works[0]->deadline_us;
    for (size_t i = 1; i < count; i++)
        latest = works[i]->deadline_us > latest ? works[i]->deadline_us : latest;
    return latest;
}

static enum md_code run_joined(struct md_batch_work *const *works, size_t count, struct md_run *run,
                               struct md_error *error)
{
    struct md_inference *first = inference_of(works[0]);
    size_t input_count = md_session_input_count(first->session);
    struct md_tensor *joined = md_arena_allocate_zeroed(&first->rpc->arena, input_count, sizeof *joined);
    const struct md_tensor **inputs = md_arena_allocate_zeroed(&first->rpc->arena, input_count, sizeof *inputs);
    if (joined == NULL || inputs == NULL)
        return md_fail_memory(error, "batch");
    for (size_t i = 0; i < input_count; i++) {
        MD_TRY(join_input(works, count, i, &joined[i], error));
        inputs[i] = &joined[i];
    }
    md_run_set_limits(run, NULL, latest_deadline(works, count));
    MD_TRY(execute(run, first, inputs, error));
    for (size_t i = 0; i < md_session_output_count(first->session); i++)
        if (first->wanted[i])
            MD_TRY(cut_output(works, count, i, &md_run_output(run, i)->tensor, error));
    return MD_OK;
}

static bool has_same_outputs(const struct md_inference *inference, const struct md_tensor *batched)
{
    bool same = true;
    for (size_t i = 0; same && i < md_session_output_count(inference->session); i++)
        same = !inference->wanted[i] || (md_shape_equal(&inference->outputs[i].shape, &batched[i].shape) &&
                                         (batched[i].count == 0 ||
                                          memcmp(inference->outputs[i].bytes, batched[i].bytes,
                                                 md_tensor_size(&batched[i])) == 0));
    return same;
}

/* Runs each request alone and compares; what it gives alone is its answer. */
static void prove(struct md_batch_work *const *works, size_t count)
{
    struct md_inference *first = inference_of(works[0]);
    atomic_int *proofs = md_loaded_version_proofs(first->version);
    const size_t output_count = md_session_output_count(first->session);
    bool same = true;
    for (size_t i = 0; i < count; i++) {
        struct md_inference *inference = inference_of(works[i]);
        struct md_tensor *batched = md_arena_allocate_zeroed(&inference->rpc->arena, output_count, sizeof *batched);
        if (batched != NULL)
            memcpy(batched, inference->outputs, output_count * sizeof *batched);
        works[i]->code = run_alone(inference, works[i]->error);
        same = same && batched != NULL && works[i]->code == MD_OK && has_same_outputs(inference, batched);
    }
    if (same)
        atomic_fetch_add_explicit(proofs, 1, memory_order_relaxed);
    else
        atomic_store_explicit(proofs, -1, memory_order_relaxed);
}

static void run_tensors(struct md_batch_work *const *works, size_t count)
{
    struct md_inference *first = inference_of(works[0]);
    struct md_error error;
    struct md_run *run = NULL;
    int64_t begin_us = md_clock_us();
    int proofs = atomic_load_explicit(md_loaded_version_proofs(first->version), memory_order_relaxed);
    bool joins = count > 1 && proofs >= 0;
    for (size_t i = 1; joins && i < count; i++)
        joins = same_form(first, inference_of(works[i]));
    if (!joins || md_loaded_version_take_run(first->version, &run, &error) != MD_OK) {
        run_each(works, count);
        return;
    }
    enum md_code code = run_joined(works, count, run, &error);
    md_loaded_version_return_run(first->version, run);
    for (size_t i = 0; i < count; i++) {
        inference_of(works[i])->compute_us = (uint64_t)(md_clock_us() - begin_us);
        works[i]->code = code;
    }
    if (code != MD_OK)
        run_each(works, count); /* whose fault it was, if anybody's */
    else if (proofs < MD_BATCH_PROOFS)
        prove(works, count);
}

/* ---- texts ---- */

static enum md_code run_calls(struct md_batch_work *const *works, size_t count, struct md_error *error)
{
    struct md_text_call *calls[MD_MAX_BATCH_WORKS];
    struct md_inference *first = inference_of(works[0]);
    struct md_run *run = NULL;
    for (size_t i = 0; i < count; i++)
        calls[i] = &inference_of(works[i])->texts;
    MD_TRY(md_loaded_version_take_run(first->version, &run, error));
    md_run_set_limits(run, count == 1 ? &first->rpc->cancelled : NULL, latest_deadline(works, count));
    enum md_code code = md_task_run(first->task, run, calls, count, error);
    md_loaded_version_return_run(first->version, run);
    return code;
}

static void run_texts(struct md_batch_work *const *works, size_t count)
{
    int64_t begin_us = md_clock_us();
    enum md_code code = run_calls(works, count, works[0]->error);
    for (size_t i = 0; i < count; i++) {
        inference_of(works[i])->compute_us = (uint64_t)(md_clock_us() - begin_us);
        works[i]->code = code;
    }
    for (size_t i = 0; code != MD_OK && count > 1 && i < count; i++) /* whose fault it was */
        run_texts(works + i, 1);
}

void md_inference_run_batch(struct md_batch_work *const *works, size_t count)
{
    struct md_loaded_version *version = inference_of(works[0])->version;
    int64_t begin_us = md_clock_us();
    size_t rows = 0;
    for (size_t i = 0; i < count; i++)
        rows += works[i]->rows;
    if (inference_of(works[0])->texts.count > 0)
        run_texts(works, count);
    else
        run_tensors(works, count);
    md_version_counters_add_batch(md_loaded_version_counters(version), rows, (uint64_t)(md_clock_us() - begin_us));
}
