/* Model-local functions: inlining, attributes by reference, and what a hostile file could do with them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "onnx_builder.h"

#include <string.h>

static Onnx__NodeProto *add_call(struct onnx_builder *builder, const char *function, const char *name,
                                 const char *inputs, const char *outputs)
{
    Onnx__NodeProto *node = onnx_add_node(builder, builder->model->graph, function, name, inputs, outputs);
    node->domain = onnx_text(builder, "local");
    return node;
}

static Onnx__NodeProto *add_inner_call(struct onnx_builder *builder, Onnx__FunctionProto *function,
                                       const char *called, const char *inputs, const char *outputs)
{
    Onnx__NodeProto *node = onnx_add_function_node(builder, function, called, "", inputs, outputs);
    node->domain = onnx_text(builder, "local");
    return node;
}

/* local.Twice(x) = Relu(Abs(x)), called twice: a -> b -> c. */
static void test_the_body_takes_the_place_of_the_call(void **state)
{
    (void)state;
    struct onnx_builder builder;
    onnx_builder_init(&builder);
    Onnx__FunctionProto *function = onnx_add_function(&builder, "local", "Twice", "x", "y");
    onnx_add_function_node(&builder, function, "Relu", "outer", "t", "y");
    onnx_add_function_node(&builder, function, "Abs", "", "x", "t");
    onnx_add_input(&builder, builder.model->graph, "a");
    add_call(&builder, "Twice", "one", "a", "b");
    add_call(&builder, "Twice", "two", "b", "c");
    onnx_add_output(&builder, builder.model->graph, "c");
    struct md_model *model = onnx_import_ok(&builder);
    const struct md_graph *graph = model->graph;
    assert_int_equal(graph->node_count, 4);
    assert_string_equal(graph->nodes[0].name, "one/Abs#1");
    assert_string_equal(graph->nodes[1].name, "one/outer");
    assert_string_equal(graph->nodes[3].name, "two/outer");
    assert_int_equal(graph->nodes[0].opset, 18);
    assert_string_equal(graph->values[graph->nodes[0].outputs[0]].name, "one/t");
    assert_int_equal(graph->nodes[1].outputs[0], onnx_find_value(graph, "b"));
    assert_int_equal(graph->nodes[2].inputs[0], onnx_find_value(graph, "b"));
    md_model_destroy(model);
    onnx_builder_cleanup(&builder);
}

static void test_attributes_by_reference_and_default(void **state)
{
    (void)state;
    struct onnx_builder builder;
    onnx_builder_init(&builder);
    Onnx__FunctionProto *inner = onnx_add_function(&builder, "local", "Inner", "x", "y");
    Onnx__NodeProto *node = onnx_add_function_node(&builder, inner, "Op", "op", "x", "y");
    onnx_add_reference(&builder, node, "given", MD_ATTRIBUTE_INT, "a");
    onnx_add_reference(&builder, node, "defaulted", MD_ATTRIBUTE_INT, "b");
    onnx_add_reference(&builder, node, "absent", MD_ATTRIBUTE_INT, "c");
    Onnx__AttributeProto *fallback = onnx_zeroed(&builder, 1, sizeof *fallback);
    onnx__attribute_proto__init(fallback);
    fallback->name = onnx_text(&builder, "b");
    fallback->has_type = fallback->has_i = true;
    fallback->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
    fallback->i = 22;
    onnx_append_pointer(&builder, &inner->attribute_proto, &inner->n_attribute_proto, fallback);
    Onnx__FunctionProto *outer = onnx_add_function(&builder, "local", "Outer", "x", "y");
    node = add_inner_call(&builder, outer, "Inner", "x", "y");
    onnx_add_reference(&builder, node, "a", MD_ATTRIBUTE_INT, "z");
    onnx_add_reference(&builder, node, "b", MD_ATTRIBUTE_INT, "not given");
    onnx_add_input(&builder, builder.model->graph, "a");
    onnx_add_int(&builder, add_call(&builder, "Outer", "call", "a", "b"), "z", 11);
    struct md_model *model = onnx_import_ok(&builder);
    const struct md_attributes *attributes = &model->graph->nodes[0].attributes;
    assert_string_equal(model->graph->nodes[0].name, "call/Inner#0/op");
    assert_int_equal(attributes->count, 2);
    assert_int_equal(md_attribute_find(attributes, "given")->value.i, 11);
    assert_int_equal(md_attribute_find(attributes, "defaulted")->value.i, 22);
    md_model_destroy(model);
    onnx_builder_cleanup(&builder);
}

static void test_absent_inputs_and_outputs_of_calls(void **state)
{
    (void)state;
    struct onnx_builder builder;
    onnx_builder_init(&builder);
    Onnx__FunctionProto *function = onnx_add_function(&builder, "local", "F", "x,low,high", "y,z");
    onnx_add_function_node(&builder, function, "Clip", "", "x,low,high", "y");
    onnx_add_function_node(&builder, function, "Neg", "", "y", "z");
    onnx_add_input(&builder, builder.model->graph, "a");
    add_call(&builder, "F", "f", "a,", "b");
    struct md_model *model = onnx_import_ok(&builder);
    assert_int_equal(model->graph->node_count, 2);
    assert_int_equal(model->graph->nodes[0].input_count, 1);
    assert_string_equal(model->graph->values[model->graph->nodes[1].outputs[0]].name, "f/z");
    md_model_destroy(model);
    onnx_builder_cleanup(&builder);
}

static void test_an_output_that_is_an_input_becomes_an_identity(void **state)
{
    (void)state;
    struct onnx_builder builder;
    onnx_builder_init(&builder);
    onnx_add_function(&builder, "local", "Same", "x", "x");
    onnx_add_input(&builder, builder.model->graph, "a");
    add_call(&builder, "Same", "s", "a", "b");
    onnx_add_output(&builder, builder.model->graph, "b");
    struct md_model *model = onnx_import_ok(&builder);
    assert_int_equal(model->graph->node_count, 1);
    assert_string_equal(model->graph->nodes[0].op_type, "Identity");
    md_model_destroy(model);
    onnx_builder_cleanup(&builder);
}

/* A constant of a body that is called twice is one tensor. */
static void test_constants_in_bodies_are_shared(void **state)
{
    (void)state;
    struct onnx_builder builder;
    onnx_builder_init(&builder);
    Onnx__FunctionProto *function = onnx_add_function(&builder, "local", "Five", "", "y");
    Onnx__NodeProto *node = onnx_add_function_node(&builder, function, "Constant", "", "", "y");
    onnx_add_attribute(&builder, node, "value", MD_ATTRIBUTE_TENSOR)->t =
        onnx_new_floats(&builder, "", (const float[]){ 5 }, 1);
    add_call(&builder, "Five", "one", "", "b");
    add_call(&builder, "Five", "two", "", "c");
    struct md_model *model = onnx_import_ok(&builder);
    assert_int_equal(model->graph->node_count, 0);
    assert_ptr_equal(onnx_find_constant(model->graph, "b")->bytes,
                     onnx_find_constant(model->graph, "c")->bytes);
    assert_int_equal(model->constant_bytes, 4);
    md_model_destroy(model);
    onnx_builder_cleanup(&builder);
}

/* The branches of an If in a body see the names of the body, and may take attributes of the function. */
static void test_subgraphs_in_bodies_capture_from_the_body(void **state)
{
    (void)state;
    struct onnx_builder builder;
    onnx_builder_init(&builder);
    Onnx__FunctionProto *function = onnx_add_function(&builder, "local", "Choose", "c,x", "y");
    onnx_add_function_node(&builder, function, "Abs", "abs", "x", "t");
    Onnx__NodeProto *node = onnx_add_function_node(&builder, function, "If", "if", "c", "y");
    Onnx__GraphProto *branch = onnx_new_graph(&builder, "then");
    onnx_add_reference(&builder, onnx_add_node(&builder, branch, "Op", "op", "t", "r"), "k", MD_ATTRIBUTE_INT,
                       "k");
    onnx_add_output(&builder, branch, "r");
    onnx_add_graph(&builder, node, "then_branch", branch);
    onnx_add_reference(&builder, node, "else_branch", MD_ATTRIBUTE_GRAPH, "otherwise");
    onnx_add_input(&builder, builder.model->graph, "cond");
    onnx_add_input(&builder, builder.model->graph, "a");
    Onnx__NodeProto *call = add_call(&builder, "Choose", "call", "cond,a", "b");
    onnx_add_int(&builder, call, "k", 3);
    Onnx__GraphProto *otherwise = onnx_new_graph(&builder, "else");
    onnx_add_node(&builder, otherwise, "Neg", "neg", "a", "t"); /* its "a" is the caller's */
    onnx_add_output(&builder, otherwise, "t");
    onnx_add_graph(&builder, call, "otherwise", otherwise);
    struct md_model *model = onnx_import_ok(&builder);
    const struct md_node *choice = onnx_find_node(model->graph, "call/if");
    assert_int_equal(choice->subgraph_count, 2);
    const struct md_graph *then = choice->subgraphs[0];
    assert_int_equal(then->capture_count, 1);
    assert_string_equal(model->graph->values[then->captures[0].outer].name, "call/t");
    assert_int_equal(md_attribute_find(&then->nodes[0].attributes, "k")->value.i, 3);
    const struct md_graph *other = choice->subgraphs[1];
    assert_int_equal(other->capture_count, 1);
    assert_string_equal(model->graph->values[other->captures[0].outer].name, "a");
    md_model_destroy(model);
    onnx_builder_cleanup(&builder);
}

static void test_overloads_are_told_apart(void **state)
{
    (void)state;
    struct onnx_builder builder;
    onnx_builder_init(&builder);
    for (int i = 0; i < 2; i++) {
        Onnx__FunctionProto *function = onnx_add_function(&builder, "local", "F", "x", "y");
        function->overload = onnx_text(&builder, i == 0 ? "abs" : "neg");
        onnx_add_function_node(&builder, function, i == 0 ? "Abs" : "Neg", "", "x", "y");
    }
    onnx_add_input(&builder, builder.model->graph, "a");
    add_call(&builder, "F", "f", "a", "b")->overload = onnx_text(&builder, "neg");
    struct md_model *model = onnx_import_ok(&builder);
    assert_string_equal(model->graph->nodes[0].op_type, "Neg");
    md_model_destroy(model);
    onnx_builder_cleanup(&builder);
}

static void test_recursion_is_refused(void **state)
{
    (void)state;
    struct onnx_builder builder;
    onnx_builder_init(&builder);
    add_inner_call(&builder, onnx_add_function(&builder, "local", "F", "x", "y"), "G", "x", "y");
    add_inner_call(&builder, onnx_add_function(&builder, "local", "G", "x", "y"), "F", "x", "y");
    onnx_add_input(&builder, builder.model->graph, "a");
    add_call(&builder, "F", "start", "a", "b");
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "\"start\"", "function \"F\" calls itself", NULL);
    onnx_builder_cleanup(&builder);
}

static void test_deep_and_exploding_calls_are_refused(void **state)
{
    (void)state;
    struct onnx_builder builder;
    for (int calls = 1; calls <= 2; calls++) { /* one call per level is too deep, two are too many nodes */
        onnx_builder_init(&builder);
        for (int i = 0; i < 40; i++) {
            char *name = md_arena_printf(&builder.arena, "F%d", i);
            char *next = md_arena_printf(&builder.arena, "F%d", i + 1);
            Onnx__FunctionProto *function = onnx_add_function(&builder, "local", name, "x", "y");
            if (calls == 2 && i == 25) {
                onnx_add_function_node(&builder, function, "Abs", "", "x", "y");
                break;
            }
            add_inner_call(&builder, function, next, "x", calls == 2 ? "t" : "y");
            if (calls == 2)
                add_inner_call(&builder, function, next, "t", "y");
        }
        onnx_add_input(&builder, builder.model->graph, "a");
        add_call(&builder, "F0", "start", "a", "b");
        onnx_import_fails(&builder, MD_INVALID_ARGUMENT, calls == 1 ? "deeper than 32" : "more than", NULL);
        onnx_builder_cleanup(&builder);
    }
}

static void test_functions_that_are_refused(void **state)
{
    (void)state;
    struct onnx_builder builder;
    onnx_builder_init(&builder);
    onnx_add_function(&builder, "local", "F", "x", "y");
    onnx_add_input(&builder, builder.model->graph, "a");
    add_call(&builder, "F", "f", "a", "b");
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "\"f\"", "output \"y\" of function \"F\"", NULL);
    builder.model->functions[0]->n_output = 0;
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "1 inputs and 1 outputs", "has 1 and 0", NULL);
    onnx_add_function(&builder, "local", "F", "x", "y");
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "\"F\"", "defined twice", NULL);
    onnx_builder_cleanup(&builder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_body_takes_the_place_of_the_call),
        cmocka_unit_test(test_attributes_by_reference_and_default),
        cmocka_unit_test(test_absent_inputs_and_outputs_of_calls),
        cmocka_unit_test(test_an_output_that_is_an_input_becomes_an_identity),
        cmocka_unit_test(test_constants_in_bodies_are_shared),
        cmocka_unit_test(test_subgraphs_in_bodies_capture_from_the_body),
        cmocka_unit_test(test_overloads_are_told_apart),
        cmocka_unit_test(test_recursion_is_refused),
        cmocka_unit_test(test_deep_and_exploding_calls_are_refused),
        cmocka_unit_test(test_functions_that_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
