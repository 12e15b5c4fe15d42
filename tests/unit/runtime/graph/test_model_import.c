/* Ordinary models: values, nodes, constants, types, order, names. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "onnx_builder.h"

#include "allocator.h"
#include "md_test.h"

#include <string.h>

#define BUILD(builder)                                                                                       \
    struct onnx_builder builder;                                                                             \
    onnx_builder_init(&builder);                                                                             \
    Onnx__GraphProto *graph = builder.model->graph

static void finish(struct onnx_builder *builder, struct md_model *model)
{
    md_model_destroy(model);
    onnx_builder_cleanup(builder);
}

static void test_a_node_has_its_name_opset_inputs_and_outputs(void **state)
{
    (void)state;
    BUILD(builder);
    builder.model->producer_name = onnx_text(&builder, "pytorch");
    builder.model->producer_version = onnx_text(&builder, "1.13.1");
    onnx_add_input(&builder, graph, "a");
    onnx_add_input(&builder, graph, "b");
    onnx_add_node(&builder, graph, "Add", "sum", "a,b", "c");
    onnx_add_output(&builder, graph, "c");
    struct md_model *model = onnx_import_ok(&builder);
    const struct md_node *node = &model->graph->nodes[0];
    assert_int_equal(model->graph->node_count, 1);
    assert_int_equal(model->graph->value_count, 3);
    assert_string_equal(node->name, "sum");
    assert_string_equal(node->op_type, "Add");
    assert_string_equal(node->domain, "");
    assert_int_equal(node->opset, 17);
    assert_int_equal(node->input_count, 2);
    assert_string_equal(model->graph->values[node->inputs[1]].name, "b");
    assert_int_equal(model->graph->outputs[0], node->outputs[0]);
    assert_int_equal(model->graph->values[node->outputs[0]].producer, 0);
    assert_int_equal(model->graph->values[node->inputs[0]].producer, -1);
    assert_string_equal(model->producer, "pytorch 1.13.1");
    assert_int_equal(model->ir_version, 8);
    assert_int_equal(md_model_opset(model, "ai.onnx"), 17);
    assert_int_equal(md_model_opset(model, "other"), 0);
    finish(&builder, model);
}

static void test_an_unnamed_node_is_called_by_its_type_and_place(void **state)
{
    (void)state;
    BUILD(builder);
    onnx_add_input(&builder, graph, "a");
    onnx_add_node(&builder, graph, "Relu", "", "a", "b");
    onnx_add_node(&builder, graph, "Abs", "", "b", "c");
    struct md_model *model = onnx_import_ok(&builder);
    assert_string_equal(model->graph->nodes[1].name, "Abs#1");
    finish(&builder, model);
}

static void test_absent_inputs_are_no_value_and_trailing_ones_are_cut(void **state)
{
    (void)state;
    BUILD(builder);
    onnx_add_input(&builder, graph, "a");
    Onnx__NodeProto *proto = onnx_add_node(&builder, graph, "Clip", "clip", "a,,a,x", "b,,c");
    proto->input[3] = onnx_text(&builder, "");
    struct md_model *model = onnx_import_ok(&builder);
    const struct md_node *node = &model->graph->nodes[0];
    assert_int_equal(node->input_count, 3);
    assert_int_equal(node->inputs[1], MD_NO_VALUE);
    assert_int_equal(node->output_count, 3);
    assert_int_equal(node->outputs[1], MD_NO_VALUE);
    finish(&builder, model);
}

static void test_nodes_in_any_order_come_out_sorted(void **state)
{
    (void)state;
    BUILD(builder);
    onnx_add_node(&builder, graph, "Relu", "third", "c", "d");
    onnx_add_node(&builder, graph, "Relu", "second", "b", "c");
    onnx_add_node(&builder, graph, "Relu", "first", "a", "b");
    onnx_add_input(&builder, graph, "a");
    onnx_add_output(&builder, graph, "d");
    struct md_model *model = onnx_import_ok(&builder);
    const char *const names[] = { "first", "second", "third" };
    for (int32_t i = 0; i < 3; i++) {
        assert_string_equal(model->graph->nodes[i].name, names[i]);
        assert_int_equal(model->graph->values[model->graph->nodes[i].outputs[0]].producer, i);
    }
    finish(&builder, model);
}

static void test_nodes_in_order_keep_their_order(void **state)
{
    (void)state;
    BUILD(builder);
    onnx_add_input(&builder, graph, "a");
    onnx_add_node(&builder, graph, "Relu", "n0", "a", "b");
    onnx_add_node(&builder, graph, "Relu", "n1", "a", "c");
    onnx_add_node(&builder, graph, "Relu", "n2", "b", "d");
    onnx_add_node(&builder, graph, "Add", "n3", "c,d", "e");
    struct md_model *model = onnx_import_ok(&builder);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(model->graph->nodes[i].name[1], '0' + (int)i);
    finish(&builder, model);
}

static void test_a_chain_of_a_hundred_thousand_nodes_in_reverse_is_sorted(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    BUILD(builder);
    graph->node = onnx_zeroed(&builder, COUNT, sizeof *graph->node);
    graph->n_node = COUNT;
    for (int i = 0; i < COUNT; i++) {
        char *input = md_arena_printf(&builder.arena, "v%d", COUNT - i - 1);
        char *output = md_arena_printf(&builder.arena, "v%d", COUNT - i);
        graph->node[i] = onnx_new_node(&builder, "Relu", "", input, output);
    }
    onnx_add_input(&builder, graph, "v0");
    struct md_model *model = onnx_import_ok(&builder);
    assert_string_equal(model->graph->values[model->graph->nodes[0].inputs[0]].name, "v0");
    finish(&builder, model);
}

static void test_an_initializer_that_is_an_input_is_a_constant(void **state)
{
    (void)state;
    BUILD(builder);
    builder.model->ir_version = 3;
    onnx_add_input(&builder, graph, "x");
    onnx_add_input(&builder, graph, "w");
    onnx_add_initializer(&builder, graph, onnx_new_floats(&builder, "w", (const float[]){ 1, 2, 3 }, 3));
    onnx_add_node(&builder, graph, "Add", "", "x,w", "y");
    struct md_model *model = onnx_import_ok(&builder);
    assert_int_equal(model->graph->input_count, 1);
    assert_string_equal(model->graph->values[model->graph->inputs[0]].name, "x");
    const struct md_tensor *constant = onnx_find_constant(model->graph, "w");
    assert_int_equal(constant->count, 3);
    assert_true(md_elements(const float, constant)[2] == 3.0F);
    assert_int_equal(model->constant_bytes, 12);
    const struct md_value_type *type = &model->graph->values[onnx_find_value(model->graph, "w")].type;
    assert_int_equal(type->kind, MD_TYPE_TENSOR);
    assert_int_equal(type->datatype, MD_FP32);
    assert_true(type->has_shape && type->shape.rank == 1 && type->shape.dims[0] == 3);
    finish(&builder, model);
}

static void test_constant_nodes_vanish(void **state)
{
    (void)state;
    BUILD(builder);
    Onnx__AttributeProto *item = onnx_add_attribute(
        &builder, onnx_add_node(&builder, graph, "Constant", "", "", "t"), "value", MD_ATTRIBUTE_TENSOR);
    item->t = onnx_new_floats(&builder, "", (const float[]){ 5, 6 }, 2);
    item = onnx_add_attribute(&builder, onnx_add_node(&builder, graph, "Constant", "", "", "f"),
                              "value_float", MD_ATTRIBUTE_FLOAT);
    item->has_f = true;
    item->f = 0.5F;
    onnx_add_int(&builder, onnx_add_node(&builder, graph, "Constant", "", "", "i"), "value_int", -7);
    item = onnx_add_attribute(&builder, onnx_add_node(&builder, graph, "Constant", "", "", "is"),
                              "value_ints", MD_ATTRIBUTE_INTS);
    item->n_ints = 2;
    item->ints = (int64_t[]){ 8, 9 };
    item = onnx_add_attribute(&builder, onnx_add_node(&builder, graph, "Constant", "", "", "fs"),
                              "value_floats", MD_ATTRIBUTE_FLOATS);
    item->n_floats = 1;
    item->floats = (float[]){ 1.5F };
    item = onnx_add_attribute(&builder, onnx_add_node(&builder, graph, "Constant", "", "", "s"),
                              "value_string", MD_ATTRIBUTE_STRING);
    item->has_s = true;
    item->s = (ProtobufCBinaryData){ 2, (uint8_t *)onnx_text(&builder, "hi") };
    item = onnx_add_attribute(&builder, onnx_add_node(&builder, graph, "Constant", "", "", "ss"),
                              "value_strings", MD_ATTRIBUTE_STRINGS);
    item->n_strings = 1;
    item->strings = &(ProtobufCBinaryData){ 1, (uint8_t *)onnx_text(&builder, "x") };
    onnx_add_output(&builder, graph, "t");
    struct md_model *model = onnx_import_ok(&builder);
    struct md_graph *g = model->graph;
    assert_int_equal(g->node_count, 0);
    assert_true(md_elements(const float, onnx_find_constant(g, "t"))[1] == 6.0F);
    assert_true(md_elements(const float, onnx_find_constant(g, "f"))[0] == 0.5F);
    assert_int_equal(onnx_find_constant(g, "f")->shape.rank, 0);
    assert_int_equal(md_elements(const int64_t, onnx_find_constant(g, "i"))[0], -7);
    assert_int_equal(md_elements(const int64_t, onnx_find_constant(g, "is"))[1], 9);
    assert_int_equal(onnx_find_constant(g, "is")->shape.dims[0], 2);
    assert_true(md_elements(const float, onnx_find_constant(g, "fs"))[0] == 1.5F);
    assert_true(
        md_span_equal(md_elements(const struct md_span, onnx_find_constant(g, "s"))[0], md_span_of("hi")));
    assert_true(
        md_span_equal(md_elements(const struct md_span, onnx_find_constant(g, "ss"))[0], md_span_of("x")));
    finish(&builder, model);
}

static Onnx__TypeProto *tensor_type(struct onnx_builder *builder, int32_t datatype)
{
    Onnx__TypeProto *type = onnx_zeroed(builder, 1, sizeof *type);
    onnx__type_proto__init(type);
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = onnx_zeroed(builder, 1, sizeof *type->tensor_type);
    onnx__type_proto__tensor__init(type->tensor_type);
    type->tensor_type->has_elem_type = true;
    type->tensor_type->elem_type = datatype;
    return type;
}

static void add_dim(struct onnx_builder *builder, Onnx__TypeProto *type, const char *name, int64_t value)
{
    Onnx__TypeProto__Tensor *tensor = type->tensor_type;
    if (tensor->shape == NULL) {
        tensor->shape = onnx_zeroed(builder, 1, sizeof *tensor->shape);
        onnx__tensor_shape_proto__init(tensor->shape);
    }
    Onnx__TensorShapeProto__Dimension *dim = onnx_zeroed(builder, 1, sizeof *dim);
    onnx__tensor_shape_proto__dimension__init(dim);
    if (name != NULL) {
        dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
        dim->dim_param = onnx_text(builder, name);
    } else {
        dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        dim->dim_value = value;
    }
    onnx_append_pointer(builder, &tensor->shape->dim, &tensor->shape->n_dim, dim);
}

static void test_types_carry_shapes_and_the_names_of_dims(void **state)
{
    (void)state;
    BUILD(builder);
    Onnx__TypeProto *type = tensor_type(&builder, MD_INT64);
    add_dim(&builder, type, "batch", 0);
    add_dim(&builder, type, NULL, 128);
    add_dim(&builder, type, NULL, -1);
    onnx_add_input(&builder, graph, "ids")->type = type;
    onnx_add_input(&builder, graph, "any")->type = tensor_type(&builder, MD_FP32);
    onnx_add_input(&builder, graph, "untyped");
    Onnx__TypeProto *sequence = onnx_zeroed(&builder, 1, sizeof *sequence);
    onnx__type_proto__init(sequence);
    sequence->value_case = ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE;
    sequence->sequence_type = onnx_zeroed(&builder, 1, sizeof *sequence->sequence_type);
    onnx__type_proto__sequence__init(sequence->sequence_type);
    sequence->sequence_type->elem_type = tensor_type(&builder, MD_BOOL);
    Onnx__TypeProto *optional = onnx_zeroed(&builder, 1, sizeof *optional);
    onnx__type_proto__init(optional);
    optional->value_case = ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE;
    optional->optional_type = onnx_zeroed(&builder, 1, sizeof *optional->optional_type);
    onnx__type_proto__optional__init(optional->optional_type);
    optional->optional_type->elem_type = sequence;
    onnx_add_input(&builder, graph, "maybe")->type = optional;
    struct md_model *model = onnx_import_ok(&builder);
    const struct md_value_type *ids = &model->graph->values[onnx_find_value(model->graph, "ids")].type;
    assert_int_equal(ids->kind, MD_TYPE_TENSOR);
    assert_int_equal(ids->datatype, MD_INT64);
    assert_int_equal(ids->shape.rank, 3);
    assert_int_equal(ids->shape.dims[0], -1);
    assert_int_equal(ids->shape.dims[1], 128);
    assert_int_equal(ids->shape.dims[2], -1);
    assert_string_equal(ids->dim_names[0], "batch");
    assert_null(ids->dim_names[1]);
    assert_false(model->graph->values[onnx_find_value(model->graph, "any")].type.has_shape);
    assert_int_equal(model->graph->values[onnx_find_value(model->graph, "untyped")].type.kind,
                     MD_TYPE_UNKNOWN);
    const struct md_value_type *maybe = &model->graph->values[onnx_find_value(model->graph, "maybe")].type;
    assert_true(maybe->optional);
    assert_int_equal(maybe->kind, MD_TYPE_SEQUENCE);
    assert_int_equal(maybe->datatype, MD_BOOL);
    finish(&builder, model);
}

static void test_domains_that_are_not_imported_are_version_1(void **state)
{
    (void)state;
    BUILD(builder);
    onnx_add_opset(&builder, "unused", 9);
    onnx_add_input(&builder, graph, "a");
    onnx_add_node(&builder, graph, "FusedMatMul", "m", "a,a", "b")->domain =
        onnx_text(&builder, "com.microsoft");
    onnx_add_node(&builder, graph, "Relu", "r", "a", "c")->domain = onnx_text(&builder, "ai.onnx");
    struct md_model *model = onnx_import_ok(&builder);
    assert_int_equal(onnx_find_node(model->graph, "m")->opset, 1);
    assert_string_equal(onnx_find_node(model->graph, "r")->domain, "");
    assert_int_equal(onnx_find_node(model->graph, "r")->opset, 17);
    finish(&builder, model);
}

static void test_models_older_than_imports_have_opset_1(void **state)
{
    (void)state;
    BUILD(builder);
    builder.model->ir_version = 2;
    builder.model->n_opset_import = 0;
    onnx_add_input(&builder, graph, "a");
    onnx_add_node(&builder, graph, "Relu", "r", "a", "c");
    struct md_model *model = onnx_import_ok(&builder);
    assert_int_equal(model->graph->nodes[0].opset, 1);
    finish(&builder, model);
}

static void test_attributes_without_a_type_have_the_type_of_their_value(void **state)
{
    (void)state;
    BUILD(builder);
    onnx_add_input(&builder, graph, "a");
    Onnx__NodeProto *node = onnx_add_node(&builder, graph, "Op", "n", "a", "b");
    Onnx__AttributeProto *item = onnx_add_attribute(&builder, node, "f", 0);
    item->has_f = true;
    item->f = 2.5F;
    item = onnx_add_attribute(&builder, node, "ints", 0);
    item->n_ints = 2;
    item->ints = (int64_t[]){ 1, -2 };
    onnx_add_attribute(&builder, node, "empty", 0);
    onnx_add_attribute(&builder, node, "zero", MD_ATTRIBUTE_INT);
    item = onnx_add_attribute(&builder, node, "type", MD_ATTRIBUTE_TYPE);
    item->tp = tensor_type(&builder, MD_FP16);
    struct md_model *model = onnx_import_ok(&builder);
    const struct md_attributes *attributes = &model->graph->nodes[0].attributes;
    assert_int_equal(attributes->count, 5);
    assert_int_equal(md_attribute_find(attributes, "f")->kind, MD_ATTRIBUTE_FLOAT);
    assert_int_equal(md_attribute_find(attributes, "ints")->kind, MD_ATTRIBUTE_INTS);
    assert_int_equal(md_attribute_find(attributes, "ints")->value.ints[1], -2);
    assert_int_equal(md_attribute_find(attributes, "empty")->count, 0);
    assert_int_equal(md_attribute_find(attributes, "zero")->value.i, 0);
    assert_int_equal(md_attribute_find(attributes, "type")->value.type, MD_FP16);
    finish(&builder, model);
}

static void test_kept_bytes_are_not_copied(void **state)
{
    (void)state;
    BUILD(builder);
    float values[64] = { 0 };
    onnx_add_initializer(&builder, graph, onnx_new_floats(&builder, "w", values, 64));
    struct md_span bytes = onnx_pack(&builder, &builder.model->base);
    int pointed = 0;
    for (size_t shift = 0; shift < 4; shift++) { /* one of four places aligns the floats */
        char *moved = (char *)onnx_zeroed(&builder, 1, bytes.size + 4) + shift;
        memcpy(moved, bytes.bytes, bytes.size);
        struct md_model *model = NULL;
        assert_int_equal(md_model_import(md_process_allocator(), moved, bytes.size, true, NULL, &model, NULL),
                         MD_OK);
        const char *place = onnx_find_constant(model->graph, "w")->bytes;
        assert_int_equal((uintptr_t)place % 4, 0);
        pointed += place >= moved && place < moved + bytes.size;
        md_model_destroy(model);
    }
    assert_int_equal(pointed, 1);
    onnx_builder_cleanup(&builder);
}

static void test_open_maps_the_file(void **state)
{
    (void)state;
    BUILD(builder);
    onnx_add_input(&builder, graph, "a");
    struct md_span bytes = onnx_pack(&builder, &builder.model->base);
    char folder[MD_TEST_PATH_SIZE], path[MD_TEST_PATH_SIZE];
    md_test_make_folder(folder);
    md_test_join(path, folder, "model.onnx");
    md_test_write_file(path, bytes.bytes, bytes.size);
    struct md_model *model = NULL;
    assert_int_equal(md_model_open(md_process_allocator(), path, &model, &builder.error), MD_OK);
    assert_int_equal(model->mapping_count, 1);
    assert_int_equal(model->graph->input_count, 1);
    md_model_destroy(model);
    model = NULL;
    md_test_join(path, folder, "none.onnx");
    assert_int_equal(md_model_open(md_process_allocator(), path, &model, &builder.error), MD_NOT_FOUND);
    assert_null(model);
    md_test_join(path, folder, "empty.onnx");
    md_test_write_file(path, "", 0);
    assert_int_equal(md_model_open(md_process_allocator(), path, &model, &builder.error),
                     MD_INVALID_ARGUMENT);
    md_test_remove_folder(folder);
    onnx_builder_cleanup(&builder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_node_has_its_name_opset_inputs_and_outputs),
        cmocka_unit_test(test_an_unnamed_node_is_called_by_its_type_and_place),
        cmocka_unit_test(test_absent_inputs_are_no_value_and_trailing_ones_are_cut),
        cmocka_unit_test(test_nodes_in_any_order_come_out_sorted),
        cmocka_unit_test(test_nodes_in_order_keep_their_order),
        cmocka_unit_test(test_a_chain_of_a_hundred_thousand_nodes_in_reverse_is_sorted),
        cmocka_unit_test(test_an_initializer_that_is_an_input_is_a_constant),
        cmocka_unit_test(test_constant_nodes_vanish),
        cmocka_unit_test(test_types_carry_shapes_and_the_names_of_dims),
        cmocka_unit_test(test_domains_that_are_not_imported_are_version_1),
        cmocka_unit_test(test_models_older_than_imports_have_opset_1),
        cmocka_unit_test(test_attributes_without_a_type_have_the_type_of_their_value),
        cmocka_unit_test(test_kept_bytes_are_not_copied),
        cmocka_unit_test(test_open_maps_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
