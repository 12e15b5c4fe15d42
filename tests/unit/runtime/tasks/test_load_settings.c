/* test_load_settings.c - what model.json says about a load, with and without a tokenizer beside it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "load_settings.h"
#include "task_fixture.h"

static enum md_code read_settings(const char *model_json, struct md_load_settings *out_settings, struct md_error *error)
{
    char folder[MD_TEST_PATH_SIZE];
    struct md_faulty_allocator faulty;
    md_faulty_init(&faulty, MD_FAULTY_NEVER);
    make_directory(folder, NULL, NULL, model_json);
    enum md_code code = md_load_settings_read(&faulty.allocator, folder, out_settings, error);
    md_test_remove_folder(folder);
    assert_int_equal(faulty.live, 0);
    return code;
}

static void check_refused(const char *model_json, const char *message)
{
    struct md_load_settings settings;
    struct md_error error = { "" };
    assert_int_equal(read_settings(model_json, &settings, &error), MD_INVALID_ARGUMENT);
    assert_string_equal(error.message, message);
}

static void test_without_a_file_or_keys_there_are_defaults(void **state)
{
    (void)state;
    static const char *const files[] = { NULL, "{}", "{'precision':null,'max_tokens':7}" };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct md_load_settings settings;
        assert_int_equal(read_settings(files[i], &settings, NULL), MD_OK);
        assert_false(settings.has_precision);
        assert_false(settings.has_bound);
        assert_int_equal(settings.precision, MD_PRECISION_FP32);
        assert_true(settings.max_precision_difference[MD_PRECISION_BF16] == 0.05);
        assert_true(settings.max_precision_difference[MD_PRECISION_INT8] == 0.15);
    }
}

static void test_a_file_names_precision_and_bound(void **state)
{
    (void)state;
    struct md_load_settings settings;
    assert_int_equal(read_settings("{'precision':'int8','max_precision_difference':0.01}", &settings, NULL), MD_OK);
    assert_true(settings.has_precision);
    assert_true(settings.has_bound);
    assert_int_equal(settings.precision, MD_PRECISION_INT8);
    assert_true(settings.max_precision_difference[MD_PRECISION_BF16] == 0.01);
    assert_true(settings.max_precision_difference[MD_PRECISION_INT8] == 0.01);
    assert_int_equal(read_settings("{'max_precision_difference':0}", &settings, NULL), MD_OK);
    assert_true(settings.max_precision_difference[MD_PRECISION_INT8] == 0);
}

static void test_what_is_not_known_is_refused_with_what_is(void **state)
{
    (void)state;
    check_refused("{'precision':'fp16'}",
                  "model.json: precision: \"fp16\" is not known; known are fp32, bf16, int8");
    check_refused("{'precision':8}", "model.json: precision: expected a string, found an integer");
    check_refused("{'max_precision_difference':1.5}",
                  "model.json: max_precision_difference: expected a number from 0 to 1");
    check_refused("{'max_precision_difference':'0.1'}",
                  "model.json: max_precision_difference: expected a number from 0 to 1");
    check_refused("{'precison':'int8'}", "model.json: precison: not known; known are task, max_tokens, problem_type, "
                  "id2label, precision, max_precision_difference");
    check_refused("[]", "model.json: expected an object");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_file_or_keys_there_are_defaults),
        cmocka_unit_test(test_a_file_names_precision_and_bound),
        cmocka_unit_test(test_what_is_not_known_is_refused_with_what_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
