/* Every official case is read: the model, and its inputs and outputs by the types that the model states. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "onnx_builder.h"

#include "allocator.h"
#include "md_test.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>

#define DATA_FOLDER "/usr/share/libonnx-testdata/data"

enum { SKIPPED = 77 };

/* The n-th value of a list of graph inputs or outputs from input_N.pb or output_N.pb; false: no such file. */
static bool import_file(const char *folder, const char *kind, size_t index,
                        const struct md_graph_value *value)
{
    char path[MD_TEST_PATH_SIZE];
    struct md_file_mapping mapping = { 0 };
    struct md_error error;
    int size = snprintf(path, sizeof path, "%s/test_data_set_0/%s_%zu.pb", folder, kind, index);
    assert_true(size > 0 && (size_t)size < sizeof path);
    if (md_file_map(path, &mapping, &error) != MD_OK)
        return false;
    struct md_arena arena;
    struct md_value result;
    md_arena_init(&arena, md_process_allocator(), 0);
    enum md_code code = md_value_import(&arena, mapping.bytes, mapping.size, &value->type, &result, &error);
    if (code != MD_OK)
        fail_msg("%s: %s", path, error.message);
    md_value_clear(&result);
    md_arena_cleanup(&arena);
    md_file_unmap(&mapping);
    return true;
}

static void test_all_official_cases_are_read(void **state)
{
    (void)state;
    glob_t found;
    assert_int_equal(glob(DATA_FOLDER "/*/*/model.onnx", 0, NULL, &found), 0);
    size_t values = 0;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct md_model *model = NULL;
        struct md_error error;
        if (md_model_open(md_process_allocator(), found.gl_pathv[i], &model, &error) != MD_OK)
            fail_msg("%s", error.message);
        char folder[MD_TEST_PATH_SIZE];
        (void)snprintf(folder, sizeof folder, "%.*s",
                       (int)(strrchr(found.gl_pathv[i], '/') - found.gl_pathv[i]), found.gl_pathv[i]);
        const struct md_graph *graph = model->graph;
        for (size_t n = 0; n < graph->input_count; n++)
            values += import_file(folder, "input", n, &graph->values[graph->inputs[n]]);
        for (size_t n = 0; n < graph->output_count; n++)
            values += import_file(folder, "output", n, &graph->values[graph->outputs[n]]);
        md_model_destroy(model);
    }
    assert_int_equal(found.gl_pathc, 1072);
    assert_true(values > 2000);
    globfree(&found);
}

int main(void)
{
    glob_t found;
    if (glob(DATA_FOLDER, 0, NULL, &found) != 0) {
        (void)fprintf(stderr, "%s is not installed (package libonnx-testdata)\n", DATA_FOLDER);
        return SKIPPED;
    }
    globfree(&found);
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_all_official_cases_are_read) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
