/* Models that must be refused, and what the message must say. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "onnx_builder.h"

#include "allocator.h"

#include <string.h>

/* Every case starts from a model with the input "a" and node "relu": a -> b. */
static void start(struct onnx_builder *builder)
{
    onnx_builder_init(builder);
    onnx_add_input(builder, builder->model->graph, "a");
    onnx_add_node(builder, builder->model->graph, "Relu", "relu", "a", "b");
}

static void test_a_value_defined_twice(void **state)
{
    (void)state;
    struct onnx_builder builder;
    start(&builder);
    onnx_add_node(&builder, builder.model->graph, "Abs", "", "a", "b");
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "\"b\"", "node \"relu\" (Relu)", "node \"Abs#1\"", NULL);
    onnx_builder_cleanup(&builder);

    start(&builder);
    onnx_add_node(&builder, builder.model->graph, "Abs", "abs", "b", "a");
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "\"a\"", "by input", "node \"abs\"", NULL);
    onnx_builder_cleanup(&builder);

    start(&builder);
    onnx_add_input(&builder, builder.model->graph, "a");
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "\"a\"", "defined twice", NULL);
    onnx_builder_cleanup(&builder);

    start(&builder);
    onnx_add_initializer(&builder, builder.model->graph,
                         onnx_new_floats(&builder, "b", (const float[]){ 1 }, 1));
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "\"b\"", "initializer", "relu", NULL);
    onnx_builder_cleanup(&builder);
}

static void test_names_that_nobody_defines(void **state)
{
    (void)state;
    struct onnx_builder builder;
    start(&builder);
    onnx_add_node(&builder, builder.model->graph, "Add", "sum", "b,nowhere", "c");
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "node \"sum\" (Add)", "input 1", "\"nowhere\"", NULL);
    onnx_builder_cleanup(&builder);

    start(&builder);
    onnx_add_output(&builder, builder.model->graph, "lost");
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "output 0", "\"lost\"", NULL);
    onnx_builder_cleanup(&builder);
}

static void test_cycles_are_named(void **state)
{
    (void)state;
    struct onnx_builder builder;
    start(&builder);
    onnx_add_node(&builder, builder.model->graph, "Add", "one", "b,d", "c");
    onnx_add_node(&builder, builder.model->graph, "Abs", "two", "c", "d");
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "cycle of 2", "\"one\"", "\"two\"", NULL);
    onnx_builder_cleanup(&builder);

    start(&builder);
    onnx_add_node(&builder, builder.model->graph, "Abs", "own", "c", "c");
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "cycle of 1", "\"own\"", NULL);
    onnx_builder_cleanup(&builder);
}

static void test_nodes_and_values_without_names(void **state)
{
    (void)state;
    struct onnx_builder builder;
    start(&builder);
    onnx_add_node(&builder, builder.model->graph, "", "nameless", "a", "c");
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "\"nameless\"", "op_type", NULL);
    onnx_builder_cleanup(&builder);

    start(&builder);
    onnx_add_input(&builder, builder.model->graph, "");
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "input 1", "no name", NULL);
    onnx_builder_cleanup(&builder);

    start(&builder);
    onnx_add_output(&builder, builder.model->graph, "");
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "output 0", "no name", NULL);
    onnx_builder_cleanup(&builder);

    start(&builder);
    onnx_add_initializer(&builder, builder.model->graph,
                         onnx_new_floats(&builder, "", (const float[]){ 1 }, 1));
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "initializer", "no name", NULL);
    onnx_builder_cleanup(&builder);
}

static void test_opsets(void **state)
{
    (void)state;
    struct onnx_builder builder;
    start(&builder);
    builder.model->n_opset_import = 0;
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "\"relu\"", "imports no opset", NULL);
    onnx_builder_cleanup(&builder);

    start(&builder);
    onnx_add_opset(&builder, "ai.onnx", 11);
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "twice", "17", "11", NULL);
    onnx_builder_cleanup(&builder);

    start(&builder);
    builder.model->opset_import[0]->version = -3;
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "-3", NULL);
    onnx_builder_cleanup(&builder);
}

static Onnx__AttributeProto *attribute_of(struct onnx_builder *builder, int type)
{
    start(builder);
    return onnx_add_attribute(builder, builder->model->graph->node[0], "alpha", type);
}

static void test_attributes_of_impossible_kinds(void **state)
{
    (void)state;
    struct onnx_builder builder;
    Onnx__AttributeProto *attribute = attribute_of(&builder, MD_ATTRIBUTE_INT);
    attribute->has_f = true;
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "\"relu\"", "\"alpha\"", "INT", "FLOAT", NULL);
    onnx_builder_cleanup(&builder);

    (void)attribute_of(&builder, MD_ATTRIBUTE_TENSOR);
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "\"alpha\"", "TENSOR", NULL);
    onnx_builder_cleanup(&builder);

    (void)attribute_of(&builder, 99);
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "\"alpha\"", "99", NULL);
    onnx_builder_cleanup(&builder);

    (void)attribute_of(&builder, MD_ATTRIBUTE_GRAPHS);
    onnx_import_fails(&builder, MD_UNIMPLEMENTED, "\"alpha\"", "GRAPHS", NULL);
    onnx_builder_cleanup(&builder);

    attribute = attribute_of(&builder, 0);
    attribute->has_f = attribute->has_i = true;
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "\"alpha\"", "no type", NULL);
    onnx_builder_cleanup(&builder);

    attribute = attribute_of(&builder, MD_ATTRIBUTE_INT);
    attribute->ref_attr_name = onnx_text(&builder, "beta");
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "\"alpha\"", "\"beta\"", "function", NULL);
    onnx_builder_cleanup(&builder);
}

static void test_attributes_named_twice(void **state)
{
    (void)state;
    for (int others = 0; others < 20; others += 19) {
        struct onnx_builder builder;
        (void)attribute_of(&builder, MD_ATTRIBUTE_INT);
        for (int i = 0; i < others; i++)
            onnx_add_int(&builder, builder.model->graph->node[0],
                         md_arena_printf(&builder.arena, "other%d", i), i);
        onnx_add_int(&builder, builder.model->graph->node[0], "alpha", 1);
        onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "\"alpha\" occurs twice", NULL);
        onnx_builder_cleanup(&builder);
    }
    struct onnx_builder builder;
    start(&builder);
    onnx_add_int(&builder, builder.model->graph->node[0], "", 1);
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "attribute 0 has no name", NULL);
    onnx_builder_cleanup(&builder);
}

static void test_constants_without_a_value(void **state)
{
    (void)state;
    struct onnx_builder builder;
    start(&builder);
    onnx_add_node(&builder, builder.model->graph, "Constant", "c", "", "x");
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "\"c\"", "no value", NULL);
    onnx_builder_cleanup(&builder);

    start(&builder);
    onnx_add_int(&builder, onnx_add_node(&builder, builder.model->graph, "Constant", "c", "", ""),
                 "value_int", 1);
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "\"c\"", "0 outputs", NULL);
    onnx_builder_cleanup(&builder);
}

static void test_a_model_without_a_graph(void **state)
{
    (void)state;
    struct onnx_builder builder;
    start(&builder);
    builder.model->graph = NULL;
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "without a graph", NULL);
    struct md_model *model = NULL;
    assert_int_equal(md_model_import(md_process_allocator(), NULL, 0, false, NULL, &model, NULL),
                     MD_INVALID_ARGUMENT);
    onnx_builder_cleanup(&builder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_value_defined_twice),
        cmocka_unit_test(test_names_that_nobody_defines),
        cmocka_unit_test(test_cycles_are_named),
        cmocka_unit_test(test_nodes_and_values_without_names),
        cmocka_unit_test(test_opsets),
        cmocka_unit_test(test_attributes_of_impossible_kinds),
        cmocka_unit_test(test_attributes_named_twice),
        cmocka_unit_test(test_constants_without_a_value),
        cmocka_unit_test(test_a_model_without_a_graph),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
