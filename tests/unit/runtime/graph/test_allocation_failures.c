/* No memory at any moment: a code, no leak, no crash. The model uses everything that allocates. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "onnx_builder.h"

#include "md_test.h"

#include <string.h>

/* Initializers of all ways, a function called twice, an If with captures, constants, types. */
static void build_everything(struct onnx_builder *builder)
{
    onnx_builder_init(builder);
    Onnx__GraphProto *graph = builder->model->graph;
    onnx_add_input(builder, graph, "cond");
    onnx_add_input(builder, graph, "x");
    onnx_add_initializer(builder, graph, onnx_new_floats(builder, "w", (const float[100]){ 1, 2 }, 100));
    Onnx__TensorProto *strings = onnx_new_tensor(builder, "s", MD_BYTES, 1, (const int64_t[]){ 2 });
    strings->n_string_data = 2;
    strings->string_data = onnx_zeroed(builder, 2, sizeof *strings->string_data);
    onnx_add_initializer(builder, graph, strings);
    Onnx__TensorProto *typed = onnx_new_tensor(builder, "t", MD_FP16, 1, (const int64_t[]){ 2 });
    typed->n_int32_data = 2;
    typed->int32_data = onnx_zeroed(builder, 2, sizeof *typed->int32_data);
    onnx_add_initializer(builder, graph, typed);
    Onnx__FunctionProto *function = onnx_add_function(builder, "local", "F", "x", "y");
    Onnx__NodeProto *inner = onnx_add_function_node(builder, function, "Op", "", "x", "y");
    onnx_add_reference(builder, inner, "k", MD_ATTRIBUTE_INT, "k");
    for (int i = 0; i < 2; i++) {
        Onnx__NodeProto *call =
            onnx_add_node(builder, graph, "F", "", i == 0 ? "x" : "f0", i == 0 ? "f0" : "f1");
        call->domain = onnx_text(builder, "local");
        onnx_add_int(builder, call, "k", i);
    }
    Onnx__NodeProto *choice = onnx_add_node(builder, graph, "If", "", "cond", "y");
    for (int i = 0; i < 2; i++) {
        Onnx__GraphProto *branch = onnx_new_graph(builder, "branch");
        onnx_add_node(builder, branch, "Add", "", "f1,w", "r");
        onnx_add_output(builder, branch, "r");
        onnx_add_graph(builder, choice, i == 0 ? "then_branch" : "else_branch", branch);
    }
    Onnx__NodeProto *constant = onnx_add_node(builder, graph, "Constant", "", "", "c");
    onnx_add_int(builder, constant, "value_int", 1);
    onnx_add_output(builder, graph, "y");
}

static void test_import_survives_every_allocation_failure(void **state)
{
    (void)state;
    struct onnx_builder builder;
    build_everything(&builder);
    struct md_span bytes = onnx_pack(&builder, &builder.model->base);
    for (long nth = 0;; nth++) {
        struct md_faulty_allocator faulty;
        md_faulty_init(&faulty, nth);
        struct md_model *model = NULL;
        enum md_code code =
            md_model_import(&faulty.allocator, bytes.bytes, bytes.size, false, NULL, &model, &builder.error);
        if (code != MD_OK) {
            assert_int_equal(code, MD_RESOURCE_EXHAUSTED);
            assert_null(model);
        }
        md_model_destroy(model);
        assert_int_equal(faulty.live, 0);
        if (code == MD_OK)
            break;
        assert_true(nth < 10000);
    }
    onnx_builder_cleanup(&builder);
}

/* An arena hands out many pieces of one block, so the failures above hit few places. A larger model needs
 * more blocks, at other places; and memory comes back after the one failure, which must be reported all the
 * same. */
static void test_large_models_survive_allocation_failures(void **state)
{
    (void)state;
    struct onnx_builder builder;
    build_everything(&builder);
    Onnx__GraphProto *graph = builder.model->graph;
    for (int i = 0; i < 3000; i++) {
        char *input = i == 0 ? onnx_text(&builder, "y") : md_arena_printf(&builder.arena, "v%d", i);
        char *output = md_arena_printf(&builder.arena, "v%d", i + 1);
        onnx_add_node(&builder, graph, "Relu", md_arena_printf(&builder.arena, "node %d", i), input, output);
    }
    struct md_span bytes = onnx_pack(&builder, &builder.model->base);
    for (long nth = 0;; nth++) {
        struct md_faulty_allocator faulty;
        md_faulty_init(&faulty, nth);
        faulty.once = true;
        struct md_model *model = NULL;
        enum md_code code =
            md_model_import(&faulty.allocator, bytes.bytes, bytes.size, false, NULL, &model, NULL);
        bool failed = atomic_load(&faulty.failed) > 0;
        assert_int_equal(code, failed ? MD_RESOURCE_EXHAUSTED : MD_OK);
        md_model_destroy(model);
        assert_int_equal(faulty.live, 0);
        if (!failed)
            break;
    }
    onnx_builder_cleanup(&builder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_import_survives_every_allocation_failure),
        cmocka_unit_test(test_large_models_survive_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
