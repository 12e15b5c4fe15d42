/* test_session.c - sessions over a model made by hand: signatures, inputs that do not fit, limits, plans, and every
 * allocation failing once. The model: sum = Add(x, weights); out = Mul(sum, sum); x FP32 [-1,3], weights FP32 [3]. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "allocator.h"
#include "clock.h"
#include "graph.h"
#include "md_test.h"
#include "session.h"
#include "trial.h"

#include <math.h>
#include <string.h>

static const float weights[3] = { 1.0f, 2.0f, 3.0f };

enum { X, WEIGHTS, SUM, OUT, VALUE_COUNT };

static void set_node(struct md_node *node, const char *op_type, int32_t a, int32_t b, int32_t out, struct md_arena *arena)
{
    int32_t *operands = md_arena_allocate(arena, 3 * sizeof *operands);
    operands[0] = a;
    operands[1] = b;
    operands[2] = out;
    *node = (struct md_node){ .name = op_type, .domain = "", .op_type = op_type, .opset = 17,
                              .input_count = 2, .inputs = operands, .output_count = 1, .outputs = operands + 2 };
}

/* NULL when there is no memory. */
static struct md_model *make_model(const struct md_allocator *allocator, const char *second_operator)
{
    struct md_model *model = md_allocate_zeroed(allocator, 1, sizeof *model);
    if (model == NULL)
        return NULL;
    model->allocator = allocator;
    md_arena_init(&model->arena, allocator, 8192);
    struct md_graph *graph = md_arena_allocate_zeroed(&model->arena, 1, sizeof *graph);
    if (graph == NULL) {
        md_model_destroy(model);
        return NULL;
    }
    /* The arena's first block holds all that follows. */
    model->graph = graph;
    graph->name = "hand";
    graph->value_count = VALUE_COUNT;
    graph->values = md_arena_allocate_zeroed(&model->arena, VALUE_COUNT, sizeof *graph->values);
    struct md_shape any = { .rank = 2, .dims = { -1, 3 } };
    const char *const names[] = { "x", "weights", "sum", "out" };
    for (int i = 0; i < VALUE_COUNT; i++)
        graph->values[i] = (struct md_graph_value){
            .name = names[i], .producer = i - SUM,
            .type = { .kind = MD_TYPE_TENSOR, .datatype = MD_FP32, .has_shape = true, .shape = any } };
    struct md_tensor *constant = md_arena_allocate(&model->arena, sizeof *constant);
    struct md_shape three = { .rank = 1, .dims = { 3 } };
    assert_int_equal(md_tensor_describe(MD_FP32, &three, (void *)(uintptr_t)weights, constant, NULL), MD_OK);
    graph->values[WEIGHTS].constant = constant;
    graph->node_count = 2;
    graph->nodes = md_arena_allocate_zeroed(&model->arena, 2, sizeof *graph->nodes);
    set_node(&graph->nodes[0], "Add", X, WEIGHTS, SUM, &model->arena);
    set_node(&graph->nodes[1], second_operator, SUM, SUM, OUT, &model->arena);
    graph->input_count = graph->output_count = 1;
    graph->inputs = md_arena_allocate(&model->arena, 2 * sizeof *graph->inputs);
    graph->outputs = graph->inputs + 1;
    graph->inputs[0] = X;
    graph->outputs[0] = OUT;
    return model;
}

static struct md_tensor describe(enum md_datatype datatype, int64_t rows, int64_t columns, void *bytes)
{
    struct md_shape shape = { .rank = 2, .dims = { rows, columns } };
    struct md_tensor tensor;
    assert_int_equal(md_tensor_describe(datatype, &shape, bytes, &tensor, NULL), MD_OK);
    return tensor;
}

static enum md_code run_rows(struct md_run *run, int64_t rows, struct md_error *error)
{
    float x[30];
    for (int i = 0; i < 30; i++)
        x[i] = (float)i;
    struct md_tensor tensor = describe(MD_FP32, rows, 3, x);
    enum md_code code = md_run_set_input_tensor(run, 0, &tensor, error);
    if (code == MD_OK)
        code = md_run_execute(run, error);
    if (code != MD_OK)
        return code;
    const struct md_value *out = md_run_output(run, 0);
    assert_int_equal(out->tensor.shape.dims[0], rows);
    for (int i = 0; i < rows * 3; i++) {
        float want = (x[i] + weights[i % 3]) * (x[i] + weights[i % 3]);
        assert_true(fabsf(md_elements(const float, &out->tensor)[i] - want) < 1e-5f);
    }
    return MD_OK;
}

static struct md_session *make_session(const struct md_allocator *allocator)
{
    struct md_session *session = NULL;
    struct md_error error;
    if (md_session_create(allocator, make_model(allocator, "Mul"), NULL, &session, &error) != MD_OK)
        fail_msg("%s", error.message);
    return session;
}

static void test_a_graph_computes_and_its_plan_is_used(void **state)
{
    (void)state;
    struct md_faulty_allocator faulty;
    md_faulty_init(&faulty, MD_FAULTY_NEVER);
    struct md_session *session = make_session(&faulty.allocator);
    assert_int_equal(md_session_find_input(session, md_span_of("x")), 0);
    assert_int_equal(md_session_find_output(session, md_span_of("x")), -1);
    struct md_run *run;
    assert_int_equal(md_run_create(session, &run, NULL), MD_OK);
    for (int64_t rows = 0; rows <= 10; rows++)
        for (int turn = 0; turn < 3; turn++)
            assert_int_equal(run_rows(run, rows, NULL), MD_OK);
    struct md_run_memory memory;
    md_run_memory(run, &memory);
    assert_int_equal(memory.overflow_bytes, 0);
    assert_int_equal(memory.node_count, 2);
    assert_true(memory.arena_bytes >= memory.largest_live && memory.largest_live > 0);
    long live = faulty.live;
    assert_int_equal(run_rows(run, 10, NULL), MD_OK);
    assert_int_equal(faulty.live, live);
    md_run_destroy(run);
    md_session_destroy(session);
    assert_int_equal(faulty.live, 0);
}

static void test_inputs_that_do_not_fit_are_named_with_both_sides(void **state)
{
    (void)state;
    struct md_session *session = make_session(md_process_allocator());
    struct md_run *run;
    assert_int_equal(md_run_create(session, &run, NULL), MD_OK);
    struct md_error error;
    assert_int_equal(md_run_execute(run, &error), MD_INVALID_ARGUMENT);
    assert_string_equal(error.message, "input \"x\" is missing");
    float x[8] = { 0 };
    struct md_tensor tensor = describe(MD_FP32, 2, 4, x);
    assert_int_equal(md_run_set_input_tensor(run, 0, &tensor, &error), MD_INVALID_ARGUMENT);
    assert_string_equal(error.message, "input \"x\": shape [2,4], the model takes [-1,3]");
    tensor = describe(MD_INT64, 1, 3, x);
    assert_int_equal(md_run_set_input_tensor(run, 0, &tensor, &error), MD_INVALID_ARGUMENT);
    assert_string_equal(error.message, "input \"x\": datatype INT64, the model takes FP32");
    assert_int_equal(md_run_set_input_tensor(run, 1, &tensor, &error), MD_INVALID_ARGUMENT);
    assert_int_equal(run_rows(run, 2, NULL), MD_OK);
    md_run_destroy(run);
    md_session_destroy(session);
}

static void test_an_unknown_operator_is_named_with_its_node(void **state)
{
    (void)state;
    struct md_session *session = NULL;
    struct md_error error;
    struct md_model *model = make_model(md_process_allocator(), "Frobnicate");
    assert_int_equal(md_session_create(md_process_allocator(), model, NULL, &session, &error), MD_UNIMPLEMENTED);
    assert_string_equal(error.message, "node \"Frobnicate\": operator \"Frobnicate\" of domain \"ai.onnx\" is unknown; "
                                       "it is from opset 17");
    assert_null(session);
}

static void test_a_newer_opset_is_refused(void **state)
{
    (void)state;
    struct md_session *session = NULL;
    struct md_error error;
    struct md_model *model = make_model(md_process_allocator(), "Mul");
    model->graph->nodes[1].opset = 999;
    assert_int_equal(md_session_create(md_process_allocator(), model, NULL, &session, &error), MD_UNIMPLEMENTED);
    assert_non_null(strstr(error.message, "has no kernel for opset 999"));
}

static void test_cancelled_and_late_runs_stop_between_nodes(void **state)
{
    (void)state;
    struct md_session *session = make_session(md_process_allocator());
    struct md_run *run;
    assert_int_equal(md_run_create(session, &run, NULL), MD_OK);
    atomic_bool cancelled = true;
    md_run_set_limits(run, &cancelled, INT64_MAX);
    assert_int_equal(run_rows(run, 1, NULL), MD_CANCELLED);
    md_run_set_limits(run, NULL, md_clock_us() - 1);
    assert_int_equal(run_rows(run, 1, NULL), MD_DEADLINE_EXCEEDED);
    md_run_set_limits(run, NULL, INT64_MAX);
    assert_int_equal(run_rows(run, 1, NULL), MD_OK);
    md_run_destroy(run);
    md_session_destroy(session);
}

static void test_a_run_over_its_limit_fails_and_the_next_works(void **state)
{
    (void)state;
    struct md_session *session = NULL;
    struct md_session_options options = { .max_run_bytes = 50 };
    assert_int_equal(md_session_create(md_process_allocator(), make_model(md_process_allocator(), "Mul"), &options,
                                       &session, NULL),
                     MD_OK);
    struct md_run *run;
    assert_int_equal(md_run_create(session, &run, NULL), MD_OK);
    assert_int_equal(run_rows(run, 10, NULL), MD_RESOURCE_EXHAUSTED);
    assert_int_equal(run_rows(run, 1, NULL), MD_OK);
    md_run_destroy(run);
    md_session_destroy(session);
}

static void test_survives_every_allocation_failure(void **state)
{
    (void)state;
    for (long nth = 0;; nth++) {
        struct md_faulty_allocator faulty;
        md_faulty_init(&faulty, nth);
        struct md_session *session = NULL;
        struct md_run *run = NULL;
        struct md_model *model = make_model(&faulty.allocator, "Mul");
        enum md_code code = MD_RESOURCE_EXHAUSTED;
        if (model != NULL)
            code = md_session_create(&faulty.allocator, model, NULL, &session, NULL);
        if (code == MD_OK)
            code = md_run_create(session, &run, NULL);
        if (code == MD_OK)
            code = run_rows(run, 4, NULL);
        if (code == MD_OK)
            code = run_rows(run, 4, NULL);
        if (code != MD_OK)
            assert_int_equal(code, MD_RESOURCE_EXHAUSTED);
        md_run_destroy(run);
        md_session_destroy(session);
        assert_int_equal(faulty.live, 0);
        if (code == MD_OK && faulty.failed == 0)
            return;
    }
}

/* ---- trial.h ---- */

/* The first output of a run on made-up inputs; out has 24 elements. Returns its rows. */
static int64_t run_trial(struct md_run *run, const struct md_session *session, const struct md_trial_options *options,
                         float *out)
{
    struct md_arena arena;
    md_arena_init(&arena, md_process_allocator(), 0);
    assert_int_equal(md_trial_set_inputs(session, run, options, &arena, NULL), MD_OK);
    assert_int_equal(md_run_execute(run, NULL), MD_OK);
    const struct md_tensor *tensor = &md_run_output(run, 0)->tensor;
    assert_true(tensor->count <= 24);
    memcpy(out, tensor->bytes, md_tensor_size(tensor));
    md_arena_cleanup(&arena);
    return tensor->shape.dims[0];
}

static void test_made_up_inputs_follow_size_and_seed(void **state)
{
    (void)state;
    struct md_session *session = make_session(md_process_allocator());
    struct md_run *run;
    float first[24], again[24], other[24];
    assert_int_equal(md_run_create(session, &run, NULL), MD_OK);
    assert_int_equal(run_trial(run, session, NULL, first), 1); /* zeros: the squares of the weights */
    assert_true(first[0] == 1.0f && first[1] == 4.0f && first[2] == 9.0f);
    const struct md_trial_options eight = { .free_size = 8, .seed = 1 };
    const struct md_trial_options another = { .free_size = 8, .seed = 2 };
    assert_int_equal(run_trial(run, session, &eight, first), 8);
    assert_int_equal(run_trial(run, session, &eight, again), 8);
    assert_int_equal(run_trial(run, session, &another, other), 8);
    assert_memory_equal(first, again, sizeof first);
    assert_memory_not_equal(first, other, sizeof first);
    for (int i = 0; i < 24; i++)
        assert_true(isfinite(first[i]));
    md_run_destroy(run);
    md_session_destroy(session);
}

static void test_made_up_inputs_have_a_limit(void **state)
{
    (void)state;
    struct md_session *session = make_session(md_process_allocator());
    struct md_run *run;
    struct md_arena arena;
    struct md_error error;
    const struct md_trial_options many = { .free_size = 1 << 30 };
    const struct md_trial_options endless = { .free_size = INT64_MAX };
    md_arena_init(&arena, md_process_allocator(), 0);
    assert_int_equal(md_run_create(session, &run, NULL), MD_OK);
    assert_int_equal(md_trial_set_inputs(session, run, &many, &arena, &error), MD_RESOURCE_EXHAUSTED);
    assert_string_equal(error.message, "input \"x\" would have 12884901888 bytes, limit is 268435456");
    assert_int_equal(md_trial_set_inputs(session, run, &endless, &arena, &error), MD_INVALID_ARGUMENT);
    md_run_destroy(run);
    md_arena_cleanup(&arena);
    md_session_destroy(session);
}

/* As a packed cache that somebody made up could have it. */
static void test_output_without_elements_is_refused(void **state)
{
    struct md_session *session = NULL;
    (void)state;
    struct md_model *model = make_model(md_process_allocator(), "Mul");
    struct md_tensor *constant = (struct md_tensor *)(uintptr_t)model->graph->values[WEIGHTS].constant;
    model->graph->outputs[0] = WEIGHTS;
    constant->bytes = NULL;
    assert_int_equal(md_session_create(md_process_allocator(), model, NULL, &session, NULL), MD_INTERNAL);
    assert_null(session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_graph_computes_and_its_plan_is_used),
        cmocka_unit_test(test_inputs_that_do_not_fit_are_named_with_both_sides),
        cmocka_unit_test(test_an_unknown_operator_is_named_with_its_node),
        cmocka_unit_test(test_a_newer_opset_is_refused),
        cmocka_unit_test(test_cancelled_and_late_runs_stop_between_nodes),
        cmocka_unit_test(test_a_run_over_its_limit_fails_and_the_next_works),
        cmocka_unit_test(test_survives_every_allocation_failure),
        cmocka_unit_test(test_made_up_inputs_follow_size_and_seed),
        cmocka_unit_test(test_made_up_inputs_have_a_limit),
        cmocka_unit_test(test_output_without_elements_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
