/* run.c - one execution at a time of a session: inputs, limits, outputs; see session.h. */
#include "executor.h"

#include "allocator.h"
#include "thread_pool.h"

#include <string.h>

static bool allocate_lists(struct md_run *run)
{
    const struct md_session *session = run->session;
    run->idle_frames = md_allocate_zeroed(run->allocator, session->program_count, sizeof(struct md_frame *));
    run->inputs = md_allocate_zeroed(run->allocator, session->input_count, sizeof *run->inputs);
    run->input_set = md_allocate_zeroed(run->allocator, session->input_count, sizeof *run->input_set);
    run->output_wanted = md_allocate_zeroed(run->allocator, session->output_count, sizeof *run->output_wanted);
    run->step_needed =
        md_allocate_zeroed(run->allocator, session->program->graph->node_count, sizeof *run->step_needed);
    return run->idle_frames != NULL && run->inputs != NULL && run->input_set != NULL && run->output_wanted != NULL &&
           run->step_needed != NULL;
}

/* Backwards over the main graph: a step is needed when a wanted output or a needed step reads what it makes. */
static void find_needed_steps(struct md_run *run)
{
    const struct md_graph *graph = run->session->program->graph;
    const struct md_step *steps = run->session->program->steps;
    for (size_t i = 0; i < graph->node_count; i++)
        run->step_needed[i] = steps[i].needed;
    bool all = true;
    for (size_t i = 0; i < graph->output_count; i++)
        all = all && run->output_wanted[i];
    if (all)
        return;
    bool *live = md_allocate_zeroed(run->allocator, graph->value_count, sizeof *live);
    if (live == NULL)
        return; /* computing too much is right, too */
    for (size_t i = 0; i < graph->output_count; i++)
        live[graph->outputs[i]] = live[graph->outputs[i]] || run->output_wanted[i];
    for (size_t i = graph->node_count; i-- > 0;) {
        const struct md_node *node = &graph->nodes[i];
        bool needed = false;
        for (size_t j = 0; j < node->output_count; j++)
            needed = needed || (node->outputs[j] != MD_NO_VALUE && live[node->outputs[j]]);
        run->step_needed[i] = needed;
        for (size_t j = 0; needed && j < node->input_count; j++)
            if (node->inputs[j] != MD_NO_VALUE)
                live[node->inputs[j]] = true;
        for (size_t j = 0; needed && j < node->subgraph_count; j++)
            for (size_t k = 0; k < node->subgraphs[j]->capture_count; k++)
                live[node->subgraphs[j]->captures[k].outer] = true;
    }
    md_release(run->allocator, live);
}

enum md_code md_run_create(const struct md_session *session, struct md_run **out_run, struct md_error *error)
{
    const struct md_allocator *allocator = session->allocator;
    struct md_run *run = md_allocate_zeroed(allocator, 1, sizeof *run);
    if (run == NULL)
        return md_fail_memory(error, "run");
    run->session = session;
    run->allocator = allocator;
    run->deadline_us = INT64_MAX;
    run->borrowed.references = 1;
    md_run_memory_init(&run->memory, allocator, session->max_run_bytes);
    if (!allocate_lists(run)) {
        md_run_destroy(run);
        return md_fail_memory(error, "run");
    }
    for (size_t i = 0; i < session->output_count; i++)
        run->output_wanted[i] = true;
    find_needed_steps(run);
    *out_run = run;
    return MD_OK;
}

static void drop_outputs(struct md_run *run)
{
    if (run->frame != NULL)
        md_frame_give_back(run, run->session->program, run->frame);
    run->frame = NULL;
}

void md_run_destroy(struct md_run *run)
{
    if (run == NULL)
        return;
    drop_outputs(run);
    for (size_t i = 0; run->idle_frames != NULL && i < run->session->program_count; i++)
        while (run->idle_frames[i] != NULL) {
            struct md_frame *next = run->idle_frames[i]->next_idle;
            md_release(run->allocator, run->idle_frames[i]);
            run->idle_frames[i] = next;
        }
    md_run_memory_cleanup(&run->memory);
    md_release(run->allocator, run->idle_frames);
    md_release(run->allocator, run->inputs);
    md_release(run->allocator, run->input_set);
    md_release(run->allocator, run->output_wanted);
    md_release(run->allocator, run->step_needed);
    md_release(run->allocator, run->key);
    md_release(run->allocator, run);
}

/* ---- inputs ---- */

static enum md_code check_tensor(const struct md_signature *signature, const struct md_tensor *tensor,
                                 struct md_error *error)
{
    if (signature->datatype != MD_DATATYPE_NONE && tensor->datatype != signature->datatype)
        return md_fail(error, MD_INVALID_ARGUMENT, "input \"%s\": datatype %s, the model takes %s", signature->name,
                       md_datatype_name(tensor->datatype), md_datatype_name(signature->datatype));
    if (!signature->has_shape)
        return MD_OK;
    bool fits = tensor->shape.rank == signature->shape.rank;
    for (int32_t i = 0; fits && i < tensor->shape.rank; i++)
        fits = signature->shape.dims[i] < 0 || signature->shape.dims[i] == tensor->shape.dims[i];
    if (fits)
        return MD_OK;
    char got[MD_SHAPE_TEXT_SIZE];
    char want[MD_SHAPE_TEXT_SIZE];
    return md_fail(error, MD_INVALID_ARGUMENT, "input \"%s\": shape %s, the model takes %s", signature->name,
                   md_shape_text(&tensor->shape, got, sizeof got),
                   md_shape_text(&signature->shape, want, sizeof want));
}

static enum md_code check_index(const struct md_session *session, size_t index, struct md_error *error)
{
    if (index < session->input_count)
        return MD_OK;
    return md_fail(error, MD_INVALID_ARGUMENT, "input %zu of a model with %zu inputs", index, session->input_count);
}

enum md_code md_session_check_input(const struct md_session *session, size_t index, const struct md_tensor *tensor,
                                    struct md_error *error)
{
    MD_TRY(check_index(session, index, error));
    return session->inputs[index].is_tensor ? check_tensor(&session->inputs[index], tensor, error) : MD_OK;
}

enum md_code md_run_set_input(struct md_run *run, size_t index, const struct md_value *value, struct md_error *error)
{
    MD_TRY(check_index(run->session, index, error));
    const struct md_signature *signature = &run->session->inputs[index];
    if (value->kind != MD_VALUE_TENSOR && signature->is_tensor)
        return md_fail(error, MD_INVALID_ARGUMENT, "input \"%s\" must be a tensor", signature->name);
    if (value->kind == MD_VALUE_TENSOR && signature->is_tensor)
        MD_TRY(check_tensor(signature, &value->tensor, error));
    run->inputs[index] = *value;
    run->inputs[index].buffer = &run->borrowed;
    run->input_set[index] = true;
    return MD_OK;
}

enum md_code md_run_set_input_tensor(struct md_run *run, size_t index, const struct md_tensor *tensor,
                                     struct md_error *error)
{
    struct md_value value = { .kind = MD_VALUE_TENSOR, .tensor = *tensor };
    return md_run_set_input(run, index, &value, error);
}

void md_run_want_output(struct md_run *run, size_t index, bool wanted)
{
    if (index >= run->session->output_count || run->output_wanted[index] == wanted)
        return;
    run->output_wanted[index] = wanted;
    find_needed_steps(run);
}

void md_run_set_limits(struct md_run *run, const atomic_bool *cancelled, int64_t deadline_us)
{
    run->cancelled = cancelled;
    run->deadline_us = deadline_us;
}

/* ---- execution ---- */

/* The key of a plan: which outputs are wanted, and kind, datatype and shape of every input. */
static enum md_code make_key(struct md_run *run, struct md_error *error)
{
    const struct md_session *session = run->session;
    size_t need = session->output_count * sizeof(bool) + session->input_count * (sizeof(struct md_shape) + 8);
    if (need > run->key_capacity) {
        unsigned char *key = md_allocate(run->allocator, need);
        if (key == NULL)
            return md_fail_memory(error, "key of a plan");
        md_release(run->allocator, run->key);
        run->key = key;
        run->key_capacity = need;
    }
    unsigned char *at = run->key;
    for (size_t i = 0; i < session->output_count; i++)
        *at++ = run->output_wanted[i];
    for (size_t i = 0; i < session->input_count; i++) {
        const struct md_tensor *tensor = &run->inputs[i].tensor;
        *at++ = (unsigned char)run->inputs[i].kind;
        *at++ = (unsigned char)tensor->datatype;
        *at++ = (unsigned char)tensor->shape.rank;
        memcpy(at, tensor->shape.dims, (size_t)tensor->shape.rank * sizeof(int64_t));
        at += (size_t)tensor->shape.rank * sizeof(int64_t);
    }
    run->key_size = (size_t)(at - run->key);
    return MD_OK;
}

/* Gives `value` memory of the run where its bytes, or the strings in it, may belong to somebody else. */
static enum md_code own_value(struct md_run *run, struct md_value *value, struct md_error *error)
{
    if (value->kind == MD_VALUE_SEQUENCE) {
        struct md_sequence *copy =
            md_sequence_create(run->allocator, value->sequence->datatype, value->sequence->count);
        if (copy == NULL)
            return md_fail_memory(error, "output sequence");
        for (size_t i = 0; i < copy->count; i++)
            md_value_share(&value->sequence->items[i], &copy->items[i]);
        struct md_value owned = { .kind = MD_VALUE_SEQUENCE, .sequence = copy };
        md_value_clear(value);
        *value = owned;
        for (size_t i = 0; i < copy->count; i++)
            MD_TRY(own_value(run, &copy->items[i], error));
        return MD_OK;
    }
    bool strings = value->kind == MD_VALUE_TENSOR && value->tensor.datatype == MD_BYTES;
    if (value->kind != MD_VALUE_TENSOR || (!strings && md_run_memory_owns(&run->memory, value->buffer)))
        return MD_OK;
    struct md_buffer *buffer;
    size_t size = md_tensor_size(&value->tensor);
    MD_TRY(md_run_memory_take(&run->memory, size, &buffer, error));
    struct md_value owned = { .kind = MD_VALUE_TENSOR, .tensor = value->tensor, .buffer = buffer };
    owned.tensor.bytes = buffer->bytes;
    if (size > 0)
        memcpy(buffer->bytes, value->tensor.bytes, size);
    for (size_t i = 0; strings && i < value->tensor.count; i++) {
        struct md_span *span = &md_elements(struct md_span, &owned.tensor)[i];
        span->bytes = md_arena_copy_string(&run->memory.small, span->bytes, span->size);
        if (span->bytes == NULL) {
            md_value_clear(&owned);
            return md_fail_memory(error, "output strings");
        }
    }
    md_value_clear(value);
    *value = owned;
    return MD_OK;
}

static enum md_code execute(struct md_run *run, struct md_error *error)
{
    const struct md_program *program = run->session->program;
    const struct md_graph *graph = program->graph;
    MD_TRY(md_frame_take(run, program, &run->frame, error));
    for (size_t i = 0; i < graph->input_count; i++)
        md_value_share(&run->inputs[i], &run->frame->values[graph->inputs[i]]);
    MD_TRY(md_execute(run, program, run->frame, run->step_needed, error));
    for (size_t i = 0; i < graph->output_count; i++)
        if (run->output_wanted[i])
            MD_TRY(own_value(run, &run->frame->values[graph->outputs[i]], error));
    return MD_OK;
}

enum md_code md_run_execute(struct md_run *run, struct md_error *error)
{
    const struct md_session *session = run->session;
    for (size_t i = 0; i < session->input_count; i++)
        if (!run->input_set[i])
            return md_fail(error, MD_INVALID_ARGUMENT, "input \"%s\" is missing", session->inputs[i].name);
    drop_outputs(run);
    run->node_count = 0;
    enum md_code code = make_key(run, error);
    if (code == MD_OK)
        code = md_run_memory_begin(&run->memory, run->key, run->key_size, error);
    md_thread_pool_enter(session->thread_pool);
    if (code == MD_OK)
        code = execute(run, error);
    md_thread_pool_leave(session->thread_pool);
    if (code == MD_OK)
        md_run_memory_end(&run->memory, run->key, run->key_size);
    else
        drop_outputs(run);
    memset(run->input_set, 0, session->input_count * sizeof *run->input_set);
    return code;
}

const struct md_value *md_run_output(const struct md_run *run, size_t index)
{
    return &run->frame->values[run->session->program->graph->outputs[index]];
}

void md_run_memory(const struct md_run *run, struct md_run_memory *out_memory)
{
    *out_memory = (struct md_run_memory){
        .arena_bytes = run->memory.arena_size,
        .largest_live = run->memory.peak_live_bytes,
        .overflow_bytes = run->memory.overflow_bytes,
        .node_count = run->node_count,
    };
}
