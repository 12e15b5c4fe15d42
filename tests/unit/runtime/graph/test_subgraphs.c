/* Graphs inside nodes: captures through several levels, shared constants, shadowing, order. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "onnx_builder.h"

#include <string.h>

/* If "name" with a then_branch and an else_branch that hands out its captured "else_source". */
static void add_if(struct onnx_builder *builder, Onnx__GraphProto *graph, const char *name,
                   Onnx__GraphProto *then, const char *else_source, const char *output)
{
    Onnx__NodeProto *node = onnx_add_node(builder, graph, "If", name, "cond", output);
    Onnx__GraphProto *other = onnx_new_graph(builder, "else");
    onnx_add_node(builder, other, "Identity", "", else_source, "else_result");
    onnx_add_output(builder, other, "else_result");
    onnx_add_graph(builder, node, "else_branch", other); /* the order of the file is not that of the model */
    onnx_add_graph(builder, node, "then_branch", then);
}

static void start(struct onnx_builder *builder)
{
    onnx_builder_init(builder);
    onnx_add_input(builder, builder->model->graph, "cond");
    onnx_add_input(builder, builder->model->graph, "x");
}

static void test_a_grandchild_captures_through_its_parent(void **state)
{
    (void)state;
    struct onnx_builder builder;
    start(&builder);
    Onnx__GraphProto *inner = onnx_new_graph(&builder, "inner");
    onnx_add_node(&builder, inner, "Add", "sum", "deep,deep", "r");
    onnx_add_node(&builder, inner, "Abs", "again", "deep", "r2");
    onnx_add_output(&builder, inner, "r");
    Onnx__GraphProto *middle = onnx_new_graph(&builder, "middle");
    add_if(&builder, middle, "inner_if", inner, "x", "m");
    onnx_add_output(&builder, middle, "m");
    add_if(&builder, builder.model->graph, "outer_if", middle, "x", "y");
    onnx_add_node(&builder, builder.model->graph, "Relu", "late", "x",
                  "deep"); /* after the If that reads it */
    struct md_model *model = onnx_import_ok(&builder);
    const struct md_graph *graph = model->graph;
    assert_string_equal(graph->nodes[0].name, "late");
    const struct md_node *outer_if = &graph->nodes[1];
    assert_int_equal(outer_if->subgraph_count, 2);
    const struct md_graph *m = outer_if->subgraphs[0];
    assert_string_equal(m->name, "middle");
    assert_string_equal(outer_if->subgraphs[1]->name, "else");
    assert_ptr_equal(md_attribute_find(&outer_if->attributes, "then_branch")->value.graph, m);
    assert_int_equal(m->capture_count, 3); /* cond, x, deep */
    const struct md_graph *i = m->nodes[0].subgraphs[0];
    assert_int_equal(i->capture_count, 1);
    int32_t in_middle = i->captures[0].outer;
    assert_string_equal(m->values[in_middle].name, "deep");
    bool passed_on = false;
    for (size_t n = 0; n < m->capture_count; n++)
        passed_on |=
            m->captures[n].inner == in_middle && m->captures[n].outer == onnx_find_value(graph, "deep");
    assert_true(passed_on);
    assert_int_equal(i->nodes[0].inputs[0], i->captures[0].inner);
    assert_int_equal(i->nodes[0].inputs[1], i->captures[0].inner);
    assert_int_equal(i->values[i->captures[0].inner].producer, -1);
    md_model_destroy(model);
    onnx_builder_cleanup(&builder);
}

static void test_constants_are_shared_instead_of_captured(void **state)
{
    (void)state;
    struct onnx_builder builder;
    start(&builder);
    Onnx__GraphProto *inner = onnx_new_graph(&builder, "inner");
    onnx_add_node(&builder, inner, "Add", "sum", "w,x", "r");
    onnx_add_output(&builder, inner, "r");
    Onnx__GraphProto *middle = onnx_new_graph(&builder, "middle");
    add_if(&builder, middle, "inner_if", inner, "x", "m");
    onnx_add_output(&builder, middle, "m");
    add_if(&builder, builder.model->graph, "outer_if", middle, "x", "y");
    Onnx__NodeProto *constant = onnx_add_node(&builder, builder.model->graph, "Constant", "", "", "w");
    onnx_add_int(&builder, constant, "value_int", 4);
    struct md_model *model = onnx_import_ok(&builder);
    const struct md_graph *m = model->graph->nodes[0].subgraphs[0];
    const struct md_graph *i = m->nodes[0].subgraphs[0];
    assert_int_equal(i->capture_count, 1);
    assert_string_equal(i->values[i->captures[0].inner].name, "x");
    assert_ptr_equal(onnx_find_constant(i, "w"), onnx_find_constant(model->graph, "w"));
    assert_int_equal(i->values[onnx_find_value(i, "w")].type.datatype, MD_INT64);
    md_model_destroy(model);
    onnx_builder_cleanup(&builder);
}

static void test_an_inner_name_hides_an_outer_one(void **state)
{
    (void)state;
    struct onnx_builder builder;
    start(&builder);
    Onnx__GraphProto *then = onnx_new_graph(&builder, "then");
    onnx_add_initializer(&builder, then, onnx_new_floats(&builder, "x", (const float[]){ 9 }, 1));
    onnx_add_node(&builder, then, "Abs", "", "x", "r");
    onnx_add_output(&builder, then, "r");
    add_if(&builder, builder.model->graph, "if", then, "x", "y");
    struct md_model *model = onnx_import_ok(&builder);
    const struct md_graph *t = model->graph->nodes[0].subgraphs[0];
    assert_int_equal(t->capture_count, 0);
    assert_non_null(t->values[t->nodes[0].inputs[0]].constant);
    md_model_destroy(model);
    onnx_builder_cleanup(&builder);
}

static void test_a_branch_may_hand_out_a_captured_value(void **state)
{
    (void)state;
    struct onnx_builder builder;
    start(&builder);
    Onnx__GraphProto *then = onnx_new_graph(&builder, "then");
    onnx_add_output(&builder, then, "x");
    add_if(&builder, builder.model->graph, "if", then, "x", "y");
    struct md_model *model = onnx_import_ok(&builder);
    const struct md_graph *t = model->graph->nodes[0].subgraphs[0];
    assert_int_equal(t->capture_count, 1);
    assert_int_equal(t->outputs[0], t->captures[0].inner);
    md_model_destroy(model);
    onnx_builder_cleanup(&builder);
}

static void test_names_of_a_branch_are_not_seen_outside(void **state)
{
    (void)state;
    struct onnx_builder builder;
    start(&builder);
    Onnx__GraphProto *then = onnx_new_graph(&builder, "then");
    onnx_add_node(&builder, then, "Abs", "", "x", "inside");
    onnx_add_output(&builder, then, "inside");
    add_if(&builder, builder.model->graph, "if", then, "x", "y");
    onnx_add_node(&builder, builder.model->graph, "Neg", "neg", "inside", "z");
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "\"neg\"", "\"inside\"", NULL);
    onnx_builder_cleanup(&builder);
}

static void test_a_branch_that_reads_its_own_node_is_a_cycle(void **state)
{
    (void)state;
    struct onnx_builder builder;
    start(&builder);
    Onnx__GraphProto *then = onnx_new_graph(&builder, "then");
    onnx_add_node(&builder, then, "Abs", "", "y", "r");
    onnx_add_output(&builder, then, "r");
    add_if(&builder, builder.model->graph, "if", then, "x", "y");
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "cycle of 1", "\"if\"", NULL);
    onnx_builder_cleanup(&builder);
}

static void nest(struct onnx_builder *builder, int levels)
{
    Onnx__GraphProto *graph = onnx_new_graph(builder, "level");
    onnx_add_node(builder, graph, "Abs", "", "x", "r");
    onnx_add_output(builder, graph, "r");
    for (int i = 2; i < levels; i++) {
        Onnx__GraphProto *around = onnx_new_graph(builder, "level");
        add_if(builder, around, "if", graph, "x", "r");
        onnx_add_output(builder, around, "r");
        graph = around;
    }
    add_if(builder, builder->model->graph, "if", graph, "x", "y");
}

static void test_nesting_is_bounded(void **state)
{
    (void)state;
    struct onnx_builder builder;
    start(&builder);
    nest(&builder, MD_MAX_NESTING - 1);
    md_model_destroy(onnx_import_ok(&builder));
    onnx_builder_cleanup(&builder);
    start(&builder);
    nest(&builder, MD_MAX_NESTING + 1);
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "deeper than 32", NULL);
    onnx_builder_cleanup(&builder);
}

static void test_a_loop_body_has_inputs_and_a_parent(void **state)
{
    (void)state;
    struct onnx_builder builder;
    start(&builder);
    Onnx__GraphProto *body = onnx_new_graph(&builder, "body");
    onnx_add_input(&builder, body, "i");
    onnx_add_input(&builder, body, "go");
    onnx_add_node(&builder, body, "Identity", "", "go", "go_on");
    onnx_add_node(&builder, body, "Add", "", "i,x", "scan");
    onnx_add_output(&builder, body, "go_on");
    onnx_add_output(&builder, body, "scan");
    Onnx__NodeProto *loop = onnx_add_node(&builder, builder.model->graph, "Loop", "loop", ",cond", "out");
    onnx_add_graph(&builder, loop, "body", body);
    struct md_model *model = onnx_import_ok(&builder);
    const struct md_graph *b = model->graph->nodes[0].subgraphs[0];
    assert_int_equal(b->input_count, 2);
    assert_int_equal(b->output_count, 2);
    assert_int_equal(b->capture_count, 1);
    md_model_destroy(model);
    onnx_builder_cleanup(&builder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_grandchild_captures_through_its_parent),
        cmocka_unit_test(test_constants_are_shared_instead_of_captured),
        cmocka_unit_test(test_an_inner_name_hides_an_outer_one),
        cmocka_unit_test(test_a_branch_may_hand_out_a_captured_value),
        cmocka_unit_test(test_names_of_a_branch_are_not_seen_outside),
        cmocka_unit_test(test_a_branch_that_reads_its_own_node_is_a_cycle),
        cmocka_unit_test(test_nesting_is_bounded),
        cmocka_unit_test(test_a_loop_body_has_inputs_and_a_parent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
