/* executor.c - runs the steps of a program, one after the other, on the calling thread; operators may
 * split their work over the session's thread pool.
 *
 * For each step: gather inputs, widen half precision if the kernel wants it, prepare, take scratch, run, round back,
 * drop the values that die here. Memory comes from the run's pool; see run_memory.h. */
#include "executor.h"

#include "allocator.h"
#include "clock.h"
#include "widen.h"

#include <string.h>

enum { MAX_STACK_OPERANDS = 16 };

/* One execution of one node. The invocation is what the operator sees of it. */
struct step_run {
    struct md_invocation invocation; /* must be first: the services cast back */
    struct md_run *run;
    struct md_frame *frame;
    const struct md_step *step;
    bool may_take_input[2];          /* in place: the memory of input 0, 1 dies with this step */
    size_t scratch_size;
    enum md_datatype rounded_to;     /* the half type that inputs were widened from, or NONE */
    bool preparing;
};

static struct step_run *step_of(struct md_invocation *invocation)
{
    return (struct step_run *)invocation;
}

/* ---- services ---- */

static enum md_code take_tensor(struct md_run *run, enum md_datatype datatype, const struct md_shape *shape,
                                struct md_value *out_value, struct md_error *error)
{
    struct md_value value = { .kind = MD_VALUE_TENSOR };
    MD_TRY(md_tensor_describe(datatype, shape, NULL, &value.tensor, error));
    MD_TRY(md_run_memory_take(&run->memory, md_tensor_size(&value.tensor), &value.buffer, error));
    value.tensor.bytes = value.buffer->bytes;
    *out_value = value;
    return MD_OK;
}

/* The memory of input 0 or 1 for output 0, when its bytes fit exactly and nobody else needs them. */
static bool take_input_memory(struct step_run *step, size_t index, enum md_datatype datatype,
                              const struct md_shape *shape)
{
    if (index != 0 || (step->invocation.row->flags & MD_IN_PLACE) == 0)
        return false;
    for (size_t i = 0; i < 2 && i < step->invocation.input_count; i++) {
        const struct md_value *input = step->invocation.inputs[i];
        if (!step->may_take_input[i] || input->kind != MD_VALUE_TENSOR || input->buffer->references != 1 ||
            md_datatype_size(input->tensor.datatype) != md_datatype_size(datatype) ||
            !md_shape_equal(&input->tensor.shape, shape))
            continue;
        struct md_value *output = step->invocation.outputs[0];
        md_value_share(input, output);
        output->tensor.datatype = datatype;
        return true;
    }
    return false;
}

static enum md_code allocate_output(struct md_invocation *invocation, size_t index, enum md_datatype datatype,
                                    const struct md_shape *shape)
{
    if (!md_wants_output(invocation, index))
        return MD_OK;
    md_value_clear(invocation->outputs[index]);
    return take_tensor(step_of(invocation)->run, datatype, shape, invocation->outputs[index], invocation->error);
}

static enum md_code declare_output(struct md_invocation *invocation, size_t index, enum md_datatype datatype,
                                   const struct md_shape *shape)
{
    if (!md_wants_output(invocation, index))
        return MD_OK;
    size_t count;
    md_value_clear(invocation->outputs[index]);
    if (md_shape_count(shape, datatype, &count) && take_input_memory(step_of(invocation), index, datatype, shape))
        return MD_OK;
    return allocate_output(invocation, index, datatype, shape);
}

static enum md_code declare_view(struct md_invocation *invocation, size_t output, size_t input,
                                 enum md_datatype datatype, const struct md_shape *shape, size_t offset)
{
    if (!md_wants_output(invocation, output))
        return MD_OK;
    const struct md_value *source = invocation->inputs[input];
    struct md_tensor tensor;
    MD_TRY(md_tensor_describe(datatype, shape, NULL, &tensor, invocation->error));
    size_t size = md_tensor_size(&tensor);
    size_t have = md_tensor_size(&source->tensor);
    if (offset > have || size > have - offset)
        return md_fail(invocation->error, MD_INTERNAL, "a view of %zu bytes at %zu does not fit into %zu bytes", size,
                       offset, have);
    tensor.bytes = source->tensor.bytes == NULL ? NULL : (unsigned char *)source->tensor.bytes + offset;
    struct md_value *value = invocation->outputs[output];
    md_value_clear(value);
    md_value_share(source, value);
    value->tensor = tensor;
    return MD_OK;
}

static enum md_code set_output(struct md_invocation *invocation, size_t index, const struct md_value *value)
{
    if (!md_wants_output(invocation, index))
        return MD_OK;
    struct md_value shared;
    md_value_share(value, &shared);
    md_value_clear(invocation->outputs[index]);
    *invocation->outputs[index] = shared;
    return MD_OK;
}

static enum md_code request_scratch(struct md_invocation *invocation, size_t size)
{
    step_of(invocation)->scratch_size = size;
    return MD_OK;
}

static void *run_allocate(struct md_invocation *invocation, size_t size)
{
    struct md_run *run = step_of(invocation)->run;
    if (size > run->memory.limit || run->memory.small.used_bytes > run->memory.limit - size)
        return NULL;
    return md_arena_allocate(&run->memory.small, size);
}

static const struct md_allocator *run_allocator(struct md_invocation *invocation)
{
    return step_of(invocation)->run->allocator;
}

/* splitmix64: a different seed for every node of every execution. */
static uint64_t random_seed(struct md_invocation *invocation)
{
    struct md_run *run = step_of(invocation)->run;
    uint64_t z = run->random_state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static enum md_code check_limits(const struct md_run *run, struct md_error *error)
{
    if (run->cancelled != NULL && atomic_load_explicit(run->cancelled, memory_order_relaxed))
        return md_fail(error, MD_CANCELLED, "cancelled while running");
    if (run->deadline_us != INT64_MAX && md_clock_us() >= run->deadline_us)
        return md_fail(error, MD_DEADLINE_EXCEEDED, "deadline passed while running");
    return MD_OK;
}

static bool is_cancelled(struct md_invocation *invocation)
{
    return check_limits(step_of(invocation)->run, NULL) != MD_OK;
}

static enum md_code run_subgraph(struct md_invocation *invocation, size_t index, const struct md_value *inputs,
                                 size_t input_count, struct md_value *out_outputs, size_t output_count)
{
    struct step_run *step = step_of(invocation);
    if (index >= step->step->node->subgraph_count)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "the node has %zu subgraphs, it needs number %zu",
                       step->step->node->subgraph_count, index);
    const struct md_program *program = step->step->subprograms[index];
    const struct md_graph *graph = program->graph;
    if (input_count != graph->input_count || output_count != graph->output_count)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "subgraph \"%s\" has %zu inputs and %zu outputs, the node gives %zu and takes %zu", graph->name,
                       graph->input_count, graph->output_count, input_count, output_count);
    MD_TRY(check_limits(step->run, invocation->error));
    struct md_frame *frame;
    MD_TRY(md_frame_take(step->run, program, &frame, invocation->error));
    for (size_t i = 0; i < input_count; i++)
        md_value_share(&inputs[i], &frame->values[graph->inputs[i]]);
    for (size_t i = 0; i < graph->capture_count; i++)
        md_value_share(&step->frame->values[graph->captures[i].outer], &frame->values[graph->captures[i].inner]);
    enum md_code code = md_execute(step->run, program, frame, NULL, invocation->error);
    for (size_t i = 0; i < output_count && code == MD_OK; i++)
        md_value_share(&frame->values[graph->outputs[i]], &out_outputs[i]);
    md_frame_give_back(step->run, program, frame);
    return code;
}

static const struct md_run_services services = {
    .declare_output = declare_output,
    .declare_view = declare_view,
    .allocate_output = allocate_output,
    .set_output = set_output,
    .request_scratch = request_scratch,
    .run_allocate = run_allocate,
    .run_subgraph = run_subgraph,
    .run_allocator = run_allocator,
    .random_seed = random_seed,
    .is_cancelled = is_cancelled,
};

/* ---- frames ---- */

enum md_code md_frame_take(struct md_run *run, const struct md_program *program, struct md_frame **out_frame,
                           struct md_error *error)
{
    const struct md_graph *graph = program->graph;
    struct md_frame *frame = run->idle_frames[program->index];
    if (frame != NULL) {
        run->idle_frames[program->index] = frame->next_idle;
    } else {
        size_t count = graph->value_count;
        if (count > (SIZE_MAX - sizeof *frame) / sizeof(struct md_value))
            return md_fail_memory(error, "values of a graph");
        frame = md_allocate(run->allocator, sizeof *frame + count * sizeof(struct md_value));
        if (frame == NULL)
            return md_fail_memory(error, "values of a graph");
        frame->values = (struct md_value *)(frame + 1);
        memset(frame->values, 0, count * sizeof(struct md_value));
    }
    for (size_t i = 0; i < graph->value_count; i++) {
        if (graph->values[i].constant == NULL)
            continue;
        frame->values[i] =
            (struct md_value){ .kind = MD_VALUE_TENSOR, .tensor = *graph->values[i].constant, .buffer = &run->borrowed };
        run->borrowed.references++;
    }
    *out_frame = frame;
    return MD_OK;
}

void md_frame_give_back(struct md_run *run, const struct md_program *program, struct md_frame *frame)
{
    for (size_t i = 0; i < program->graph->value_count; i++)
        md_value_clear(&frame->values[i]);
    frame->next_idle = run->idle_frames[program->index];
    run->idle_frames[program->index] = frame;
}

/* ---- steps ---- */

/* A row that lists types takes tensors: its required inputs must be there (an empty optional or a sequence is not),
 * and the first one present must have one of the types. A row without types looks at its inputs itself. */
static enum md_code check_inputs(const struct md_invocation *invocation)
{
    const struct md_operator *row = invocation->row;
    if (row->types == 0)
        return MD_OK;
    bool typed = false;
    for (size_t i = 0; i < invocation->input_count; i++) {
        enum md_value_kind kind = invocation->inputs[i]->kind;
        if (kind == MD_VALUE_SEQUENCE || (kind == MD_VALUE_NONE && (i < (size_t)row->min_inputs || row->max_inputs < 0)))
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input %zu is %s, it must be a tensor", i,
                           kind == MD_VALUE_NONE ? "empty" : "a sequence");
        const struct md_tensor *input = md_input(invocation, i);
        if (input == NULL || typed)
            continue;
        typed = true;
        if (!md_datatype_in(input->datatype, row->types))
            return md_fail(invocation->error, MD_UNIMPLEMENTED, "input %zu has datatype %s, which has no kernel", i,
                           md_datatype_name(input->datatype));
    }
    return MD_OK;
}

static bool dies_here(const struct md_step *step, int32_t value)
{
    for (size_t i = 0; i < step->dying_count; i++)
        if (step->dying[i] == value)
            return true;
    return false;
}

static bool must_widen(const struct md_operator *row)
{
    unsigned half = MD_TYPE(MD_FP16) | MD_TYPE(MD_BF16);
    return row->native != 0 && (row->native & half) == 0 && (row->types & half) != 0 &&
           (row->flags & MD_KEEP_HALF_INPUTS) == 0;
}

static enum md_code run_prepared(struct step_run *step)
{
    struct md_invocation *invocation = &step->invocation;
    if (invocation->row->run == NULL)
        return MD_OK;
    struct md_buffer *scratch = NULL;
    if (step->scratch_size > 0) {
        MD_TRY(md_run_memory_take(&step->run->memory, step->scratch_size, &scratch, invocation->error));
        invocation->scratch = scratch->bytes;
    }
    enum md_code code = invocation->row->run(invocation);
    if (scratch != NULL && --scratch->references == 0)
        scratch->free_buffer(scratch);
    return code;
}

static enum md_code round_outputs(struct step_run *step)
{
    bool only_first = (step->invocation.row->flags & MD_WIDEN_OUTPUT_0_ONLY) != 0;
    for (size_t i = 0; i < step->invocation.output_count; i++) {
        struct md_value *output = step->invocation.outputs[i];
        if (output == NULL || output->kind != MD_VALUE_TENSOR || output->tensor.datatype != MD_FP32 ||
            (only_first && i > 0))
            continue;
        struct md_value rounded;
        MD_TRY(take_tensor(step->run, step->rounded_to, &output->tensor.shape, &rounded, step->invocation.error));
        md_round_from_float(&output->tensor, &rounded.tensor);
        md_value_clear(output);
        *output = rounded;
    }
    return MD_OK;
}

static enum md_code invoke(struct step_run *step)
{
    struct md_invocation *invocation = &step->invocation;
    MD_TRY(check_inputs(invocation));
    MD_TRY(invocation->row->prepare(invocation));
    MD_TRY(run_prepared(step));
    if (step->rounded_to != MD_DATATYPE_NONE)
        MD_TRY(round_outputs(step));
    return MD_OK;
}

/* Replaces half-precision inputs by FP32 copies, runs, rounds back, drops the copies. */
static enum md_code invoke_widened(struct step_run *step, const struct md_value **inputs)
{
    struct md_invocation *invocation = &step->invocation;
    struct md_value copies[MAX_STACK_OPERANDS];
    size_t copy_count = 0;
    enum md_code code = MD_OK;
    for (size_t i = 0; i < invocation->input_count && code == MD_OK; i++) {
        const struct md_tensor *input = md_input(invocation, i);
        if (input == NULL || (input->datatype != MD_FP16 && input->datatype != MD_BF16))
            continue;
        if (copy_count == MAX_STACK_OPERANDS) {
            code = md_fail(invocation->error, MD_UNIMPLEMENTED, "more than %d half-precision inputs",
                           (int)MAX_STACK_OPERANDS);
            break;
        }
        if (step->rounded_to == MD_DATATYPE_NONE)
            step->rounded_to = input->datatype;
        code = take_tensor(step->run, MD_FP32, &input->shape, &copies[copy_count], invocation->error);
        if (code != MD_OK)
            break;
        md_widen_to_float(input, &copies[copy_count].tensor);
        inputs[i] = &copies[copy_count++];
        if (i < 2)
            step->may_take_input[i] = true;
    }
    if (code == MD_OK)
        code = invoke(step);
    for (size_t i = 0; i < copy_count; i++)
        md_value_clear(&copies[i]);
    return code;
}

static bool has_half_input(const struct md_invocation *invocation)
{
    for (size_t i = 0; i < invocation->input_count; i++) {
        const struct md_tensor *input = md_input(invocation, i);
        if (input != NULL && (input->datatype == MD_FP16 || input->datatype == MD_BF16))
            return true;
    }
    return false;
}

static enum md_code run_step(struct md_run *run, struct md_frame *frame, const struct md_step *md_step,
                             const struct md_value **inputs, struct md_value **outputs, struct md_error *error)
{
    static const struct md_value absent = { .kind = MD_VALUE_NONE };
    const struct md_node *node = md_step->node;
    for (size_t i = 0; i < node->input_count; i++)
        inputs[i] = node->inputs[i] == MD_NO_VALUE ? &absent : &frame->values[node->inputs[i]];
    for (size_t i = 0; i < node->output_count; i++)
        outputs[i] = md_step->wanted[i] ? &frame->values[node->outputs[i]] : NULL;
    struct step_run step = {
        .invocation = { .row = md_step->row,
                        .parameters = md_step->parameters,
                        .opset = node->opset,
                        .input_count = node->input_count,
                        .output_count = node->output_count,
                        .inputs = inputs,
                        .outputs = outputs,
                        .error = error,
                        .thread_pool = run->session->thread_pool,
                        .services = &services },
        .run = run,
        .frame = frame,
        .step = md_step,
        .rounded_to = MD_DATATYPE_NONE,
    };
    for (size_t i = 0; i < 2 && i < node->input_count; i++)
        step.may_take_input[i] = md_run_memory_owns(&run->memory, inputs[i]->buffer) && dies_here(md_step, node->inputs[i]);
    enum md_code code = must_widen(md_step->row) && has_half_input(&step.invocation) ? invoke_widened(&step, inputs)
                                                                                     : invoke(&step);
    if (code != MD_OK)
        return md_fail_prefix(error, code, "node \"%s\" (%s)", node->name, node->op_type);
    for (size_t i = 0; i < md_step->dying_count; i++)
        md_value_clear(&frame->values[md_step->dying[i]]);
    return MD_OK;
}

enum md_code md_execute(struct md_run *run, const struct md_program *program, struct md_frame *frame,
                        const bool *needed, struct md_error *error)
{
    const struct md_value *few_inputs[MAX_STACK_OPERANDS];
    struct md_value *few_outputs[MAX_STACK_OPERANDS];
    const struct md_graph *graph = program->graph;
    for (size_t i = 0; i < graph->node_count; i++) {
        const struct md_step *step = &program->steps[i];
        if (!(needed != NULL ? needed[i] : step->needed))
            continue;
        MD_TRY(check_limits(run, error));
        const struct md_value **inputs = few_inputs;
        struct md_value **outputs = few_outputs;
        if (step->node->input_count > MAX_STACK_OPERANDS)
            inputs = md_arena_allocate_zeroed(&run->memory.small, step->node->input_count, sizeof(void *));
        if (step->node->output_count > MAX_STACK_OPERANDS)
            outputs = md_arena_allocate_zeroed(&run->memory.small, step->node->output_count, sizeof(void *));
        if (inputs == NULL || outputs == NULL)
            return md_fail_memory(error, "operands of a node");
        MD_TRY(run_step(run, frame, step, inputs, outputs, error));
        run->node_count++;
    }
    return MD_OK;
}
