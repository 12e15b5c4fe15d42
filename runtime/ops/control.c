/* control.c - If and Loop: operators that run a subgraph. Captured values are the executor's business.
 *
 * A loop holds its state, the values of its scan outputs, and what one iteration of the body needs. The
 * executor checks for cancellation whenever a subgraph starts, so a loop without end ends with its request.
 */
#include "operator_table.h"
#include "parameters.h"
#include "value_list.h"

/* ---- If ---- */
/* The subgraphs' order (graph.h). */
enum { THEN_BRANCH = 0, ELSE_BRANCH = 1 };

/* A condition is one BOOL, whatever its rank. */
static enum md_code expect_condition(struct md_invocation *invocation, const struct md_tensor *condition,
                                     const char *what)
{
    if (condition == NULL || condition->datatype != MD_BOOL || condition->count != 1)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "%s must be one BOOL, it is %zu of %s", what,
                       condition != NULL ? condition->count : 0,
                       md_datatype_name(condition != NULL ? condition->datatype : MD_DATATYPE_NONE));
    return MD_OK;
}

static enum md_code if_prepare(struct md_invocation *invocation)
{
    MD_TRY(expect_condition(invocation, md_input(invocation, 0), "the condition of If"));
    return md_scratch(invocation, invocation->output_count * sizeof(struct md_value));
}

static enum md_code if_run(struct md_invocation *invocation)
{
    struct md_value *results = invocation->scratch;
    size_t branch = md_elements(const uint8_t, md_input(invocation, 0))[0] != 0 ? THEN_BRANCH : ELSE_BRANCH;
    for (size_t i = 0; i < invocation->output_count; i++)
        results[i] = (struct md_value){ 0 };
    MD_TRY(md_run_subgraph(invocation, branch, NULL, 0, results, invocation->output_count));
    enum md_code code = MD_OK;
    for (size_t i = 0; i < invocation->output_count; i++) {
        if (code == MD_OK && md_wants_output(invocation, i))
            code = md_output_value(invocation, i, &results[i]);
        md_value_clear(&results[i]);
    }
    return code;
}

/* ---- Loop ---- */
/* Body: (iteration, condition, states...) -> (condition, states..., scans...). */
struct loop {
    size_t states, scans;
    struct md_value *inputs;     /* 2 + states */
    struct md_value *outputs;    /* 1 + states + scans */
    struct md_value_list *lists; /* scans */
};

static size_t loop_states(const struct md_invocation *invocation)
{
    return invocation->input_count > 2 ? invocation->input_count - 2 : 0;
}

static enum md_code loop_prepare(struct md_invocation *invocation)
{
    const struct md_tensor *limit = md_input(invocation, 0), *condition = md_input(invocation, 1);
    size_t states = loop_states(invocation), outputs = invocation->output_count;
    if (limit != NULL && (limit->datatype != MD_INT64 || limit->count != 1))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "the trip count of Loop must be one INT64, it is %zu of %s", limit->count,
                       md_datatype_name(limit->datatype));
    if (condition != NULL)
        MD_TRY(expect_condition(invocation, condition, "the condition of Loop"));
    if (outputs < states)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "Loop carries %zu values and has %zu outputs",
                       states, outputs);
    return md_scratch(invocation, (2 + states + 1 + outputs) * sizeof(struct md_value) +
                                      (outputs - states) * sizeof(struct md_value_list));
}

static void loop_init(const struct md_invocation *invocation, struct loop *loop)
{
    loop->states = loop_states(invocation);
    loop->scans = invocation->output_count - loop->states;
    loop->inputs = invocation->scratch;
    loop->outputs = loop->inputs + 2 + loop->states;
    loop->lists = (struct md_value_list *)(void *)(loop->outputs + 1 + loop->states + loop->scans);
    memset(loop->inputs, 0, (2 + loop->states + 1 + loop->states + loop->scans) * sizeof *loop->inputs);
    memset(loop->lists, 0, loop->scans * sizeof *loop->lists);
    for (size_t i = 0; i < loop->states; i++)
        md_value_share(invocation->inputs[2 + i], &loop->inputs[2 + i]);
}

static void loop_cleanup(struct loop *loop)
{
    for (size_t i = 0; i < 2 + loop->states; i++)
        md_value_clear(&loop->inputs[i]);
    for (size_t i = 0; i < 1 + loop->states + loop->scans; i++)
        md_value_clear(&loop->outputs[i]);
    for (size_t i = 0; i < loop->scans; i++)
        md_value_list_clear(&loop->lists[i]);
}

/* The number of the iteration, in memory of its own when the body has kept the last one. */
static enum md_code set_iteration(struct md_invocation *invocation, struct md_value *value, int64_t iteration)
{
    if (value->kind == MD_VALUE_NONE || value->buffer->references > 1) {
        struct md_shape scalar = { 0 };
        md_value_clear(value);
        MD_TRY(md_value_new(invocation, MD_INT64, &scalar, value));
    }
    md_elements(int64_t, &value->tensor)[0] = iteration;
    return MD_OK;
}

static enum md_code loop_step(struct md_invocation *invocation, struct loop *loop, int64_t iteration,
                              bool *keep_going)
{
    size_t output_count = 1 + loop->states + loop->scans;
    MD_TRY(set_iteration(invocation, &loop->inputs[0], iteration));
    MD_TRY(md_run_subgraph(invocation, 0, loop->inputs, 2 + loop->states, loop->outputs, output_count));
    const struct md_value *condition = &loop->outputs[0];
    MD_TRY(expect_condition(invocation, condition->kind == MD_VALUE_TENSOR ? &condition->tensor : NULL,
                            "the condition that the body of Loop returns"));
    *keep_going = md_elements(const uint8_t, &condition->tensor)[0] != 0;
    for (size_t i = 0; i < 1 + loop->states; i++) {
        md_value_clear(&loop->inputs[1 + i]);
        loop->inputs[1 + i] = loop->outputs[i];
        loop->outputs[i] = (struct md_value){ 0 };
    }
    for (size_t i = 0; i < loop->scans; i++) {
        struct md_value *value = &loop->outputs[1 + loop->states + i];
        if (md_wants_output(invocation, loop->states + i))
            MD_TRY(md_value_list_append(invocation, &loop->lists[i], value));
        else
            md_value_clear(value);
    }
    return MD_OK;
}

static enum md_code loop_outputs(struct md_invocation *invocation, const struct loop *loop,
                                 int64_t iterations)
{
    const struct md_stack_options options = { .lead_rank = 1, .lead = &iterations };
    for (size_t i = 0; i < loop->states; i++)
        if (md_wants_output(invocation, i))
            MD_TRY(md_output_value(invocation, i, &loop->inputs[2 + i]));
    for (size_t i = 0; i < loop->scans; i++)
        MD_TRY(md_value_list_stack(invocation, loop->states + i, &loop->lists[i], &options));
    return MD_OK;
}

static enum md_code loop_iterate(struct md_invocation *invocation, struct loop *loop)
{
    const struct md_tensor *limit = md_input(invocation, 0), *condition = md_input(invocation, 1);
    int64_t trips = limit != NULL ? md_elements(const int64_t, limit)[0] : INT64_MAX;
    bool keep_going = condition == NULL || md_elements(const uint8_t, condition)[0] != 0;
    struct md_shape scalar = { 0 };
    MD_TRY(md_value_new(invocation, MD_BOOL, &scalar, &loop->inputs[1]));
    md_elements(uint8_t, &loop->inputs[1].tensor)[0] = keep_going;
    int64_t iteration = 0;
    for (; keep_going && iteration < trips; iteration++)
        MD_TRY(loop_step(invocation, loop, iteration, &keep_going));
    return loop_outputs(invocation, loop, iteration);
}

static enum md_code loop_run(struct md_invocation *invocation)
{
    struct loop loop;
    loop_init(invocation, &loop);
    enum md_code code = loop_iterate(invocation, &loop);
    loop_cleanup(&loop);
    return code;
}

/* clang-format off */
const struct md_operator md_operators_control[] = {
    { MD_ONNX, "If", 1, MD_OPSET_NEWEST, 1, 1, 1, -1, 0, 0, 0, NULL, if_prepare, if_run },
    /* Without trip count and condition a loop still lists both, empty; trailing empty ones are cut off. */
    { MD_ONNX, "Loop", 1, MD_OPSET_NEWEST, 0, -1, 0, -1, 0, 0, 0, NULL, loop_prepare, loop_run },
    { 0 },
};
