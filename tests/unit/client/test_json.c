/* test_json.c - the JSON lines of modelctl. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "command.h"

#include <stdlib.h>
#include <string.h>

static void test_a_version_as_json(void **state)
{
    (void)state;
    static const int64_t shape[] = { -1, 2 };
    const struct md_client_signature output = { "logits", "FP32", shape, 2 };
    const struct md_client_setting setting = { "max_tokens", "128", "config.json" };
    const struct md_client_version version = { .model = "sst\"2",
                                               .version = 3,
                                               .state = MD_CLIENT_STATE_READY,
                                               .reason = "",
                                               .task = "text-classification",
                                               .sha256 = "ab",
                                               .path = "/m",
                                               .precision = "int8",
                                               .precision_difference = 0.25,
                                               .outputs = &output,
                                               .output_count = 1,
                                               .settings = &setting,
                                               .setting_count = 1 };
    json_t *json = md_ctl_json_version(&version);
    assert_string_equal(json_string_value(json_object_get(json, "model")), "sst\"2");
    assert_int_equal(json_integer_value(json_object_get(json, "version")), 3);
    assert_string_equal(json_string_value(json_object_get(json, "state")), "READY");
    assert_string_equal(json_string_value(json_object_get(json, "precision")), "int8");
    assert_true(json_real_value(json_object_get(json, "precision_difference")) == 0.25);
    json_t *first = json_array_get(json_object_get(json, "outputs"), 0);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(first, "shape"), 0)), -1);
    json_t *entry = json_array_get(json_object_get(json, "configuration"), 0);
    assert_string_equal(json_string_value(json_object_get(entry, "source")), "config.json");
    json_decref(json);
}

static void test_bytes_that_are_not_utf8_become_question_marks(void **state)
{
    (void)state;
    json_t *good = md_ctl_json_string("gr\xc3\xbc\xc3\x9f");
    json_t *bad = md_ctl_json_string("a\xff\xfe z");
    assert_string_equal(json_string_value(good), "gr\xc3\xbc\xc3\x9f");
    assert_string_equal(json_string_value(bad), "a?? z");
    json_decref(good);
    json_decref(bad);
}

static void test_one_object_is_one_line(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    struct md_ctl_context context = { .out = out, .err = stderr };
    assert_int_equal(md_ctl_print_json(&context, json_pack("{s:s}", "text", "two\nlines")), MD_CTL_EXIT_OK);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, "{\"text\":\"two\\nlines\"}\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_version_as_json),
        cmocka_unit_test(test_bytes_that_are_not_utf8_become_question_marks),
        cmocka_unit_test(test_one_object_is_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
