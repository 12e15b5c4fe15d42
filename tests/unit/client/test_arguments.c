/* test_arguments.c - the command line of modelctl. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "arguments.h"

#include <string.h>

static const struct md_ctl_option first_table[] = {
    { "server", "ADDR", "" },
    { "json", NULL, "" },
    { NULL, NULL, NULL },
};
static const struct md_ctl_option second_table[] = {
    { "limit", "N", "" },
    { "wait", "SECONDS", "" },
    { NULL, NULL, NULL },
};
static const struct md_ctl_option *const tables[] = { first_table, second_table };

enum { WORDS_MAX = 16 };

struct parsed {
    struct md_ctl_arguments arguments;
    const char *operands[WORDS_MAX];
    size_t used;
    struct md_error error;
    enum md_code code;
};

static struct parsed *parse(struct parsed *parsed, const char *const *words, bool stop)
{
    size_t count = 0;
    while (words[count] != NULL)
        count++;
    *parsed = (struct parsed){ 0 };
    parsed->code = md_ctl_arguments_parse(&parsed->arguments, words, count, tables, 2, stop, parsed->operands,
                                          &parsed->used, &parsed->error);
    return parsed;
}
#define PARSE(parsed, ...) parse(parsed, (const char *const[]){ __VA_ARGS__, NULL }, false)

static void test_options_and_operands_mix(void **state)
{
    (void)state;
    struct parsed parsed;
    PARSE(&parsed, "load", "--limit", "3", "model", "--json", "--server=unix:/a=b");
    assert_int_equal(parsed.code, MD_OK);
    assert_int_equal(parsed.arguments.operand_count, 2);
    assert_string_equal(parsed.operands[0], "load");
    assert_string_equal(parsed.operands[1], "model");
    assert_string_equal(md_ctl_arguments_value(&parsed.arguments, "server"), "unix:/a=b");
    assert_true(md_ctl_arguments_has(&parsed.arguments, "json"));
    assert_false(md_ctl_arguments_has(&parsed.arguments, "wait"));
}

static void test_the_last_value_wins(void **state)
{
    (void)state;
    struct parsed parsed;
    PARSE(&parsed, "--limit", "3", "--limit=4");
    assert_string_equal(md_ctl_arguments_value(&parsed.arguments, "limit"), "4");
}

static void test_two_dashes_end_the_options(void **state)
{
    (void)state;
    struct parsed parsed;
    PARSE(&parsed, "--", "--json", "-", "-x");
    assert_int_equal(parsed.code, MD_OK);
    assert_int_equal(parsed.arguments.operand_count, 3);
    assert_false(md_ctl_arguments_has(&parsed.arguments, "json"));
}

static void test_one_dash_is_an_operand(void **state)
{
    (void)state;
    struct parsed parsed;
    PARSE(&parsed, "-");
    assert_int_equal(parsed.arguments.operand_count, 1);
}

static void test_stops_before_the_first_operand(void **state)
{
    (void)state;
    struct parsed parsed;
    const char *const words[] = { "--json", "models", "--unknown", NULL };
    parse(&parsed, words, true);
    assert_int_equal(parsed.code, MD_OK);
    assert_int_equal(parsed.used, 1);
}

static void test_bad_options_are_named(void **state)
{
    (void)state;
    struct parsed parsed;
    assert_int_equal(PARSE(&parsed, "--limt", "3")->code, MD_INVALID_ARGUMENT);
    assert_string_equal(parsed.error.message, "unknown option \"--limt\"; did you mean \"--limit\"?");
    PARSE(&parsed, "--zzzzzzzz=1");
    assert_string_equal(parsed.error.message, "unknown option \"--zzzzzzzz\"");
    PARSE(&parsed, "--limit");
    assert_string_equal(parsed.error.message, "option \"--limit\" needs a value (N)");
    PARSE(&parsed, "--json=1");
    assert_string_equal(parsed.error.message, "option \"--json\" takes no value");
    PARSE(&parsed, "-j");
    assert_non_null(strstr(parsed.error.message, "unknown option \"-j\""));
}

static void test_numbers_have_limits(void **state)
{
    (void)state;
    static const char *const wrong[] = { "0", "11", "-1", "+1", " 1", "1x", "", "99999999999999999999" };
    struct parsed parsed;
    uint64_t value = 7;
    PARSE(&parsed, "--limit", "10");
    assert_int_equal(md_ctl_arguments_number(&parsed.arguments, "limit", 1, 10, &value, NULL), MD_OK);
    assert_int_equal(value, 10);
    assert_int_equal(md_ctl_arguments_number(&parsed.arguments, "wait", 1, 10, &value, NULL), MD_OK);
    assert_int_equal(value, 10);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        PARSE(&parsed, "--limit", wrong[i]);
        assert_int_equal(md_ctl_arguments_number(&parsed.arguments, "limit", 1, 10, &value, &parsed.error),
                         MD_INVALID_ARGUMENT);
        assert_non_null(strstr(parsed.error.message, "is not a number from 1 to 10"));
    }
    assert_int_equal(value, 10);
}

static void test_seconds_become_milliseconds(void **state)
{
    (void)state;
    static const char *const wrong[] = { "0", "-1", "nan", "inf", "1e3", "3601", "", "1.2.3", "0x1" };
    struct parsed parsed;
    uint32_t value = 0;
    PARSE(&parsed, "--wait", "2.5");
    assert_int_equal(md_ctl_arguments_milliseconds(&parsed.arguments, "wait", &value, NULL), MD_OK);
    assert_int_equal(value, 2500);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        PARSE(&parsed, "--wait", wrong[i]);
        assert_int_equal(md_ctl_arguments_milliseconds(&parsed.arguments, "wait", &value, NULL),
                         MD_INVALID_ARGUMENT);
    }
    assert_int_equal(value, 2500);
}

static void test_model_and_version(void **state)
{
    (void)state;
    struct md_ctl_model model;
    assert_int_equal(md_ctl_model_parse("sst2", true, &model, NULL), MD_OK);
    assert_string_equal(model.name, "sst2");
    assert_string_equal(model.version, "");
    assert_int_equal(model.number, 0);
    assert_int_equal(md_ctl_model_parse("a:b:12", true, &model, NULL), MD_OK);
    assert_string_equal(model.name, "a:b");
    assert_int_equal(model.number, 12);
    assert_int_equal(md_ctl_model_parse("sst2:stable", false, &model, NULL), MD_OK);
    assert_string_equal(model.version, "stable");
    assert_int_equal(model.number, 0);
}

static void test_bad_models_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = { "", ":1", "sst2:", "sst2:0", "sst2:x", "sst2:-1" };
    struct md_ctl_model model;
    char longest[300];
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(md_ctl_model_parse(wrong[i], true, &model, NULL), MD_INVALID_ARGUMENT);
    memset(longest, 'm', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(md_ctl_model_parse(longest, false, &model, NULL), MD_INVALID_ARGUMENT);
}

static void test_the_nearest_name(void **state)
{
    (void)state;
    static const char *const names[] = { "models", "load", "unload", "show" };
    assert_string_equal(md_ctl_nearest("model", names, 4), "models");
    assert_string_equal(md_ctl_nearest("laod", names, 4), "load");
    assert_string_equal(md_ctl_nearest("unlod", names, 4), "unload");
    assert_null(md_ctl_nearest("quantum", names, 4));
    assert_null(md_ctl_nearest("x", names, 4));
    assert_null(md_ctl_nearest("", names, 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_and_operands_mix),
        cmocka_unit_test(test_the_last_value_wins),
        cmocka_unit_test(test_two_dashes_end_the_options),
        cmocka_unit_test(test_one_dash_is_an_operand),
        cmocka_unit_test(test_stops_before_the_first_operand),
        cmocka_unit_test(test_bad_options_are_named),
        cmocka_unit_test(test_numbers_have_limits),
        cmocka_unit_test(test_seconds_become_milliseconds),
        cmocka_unit_test(test_model_and_version),
        cmocka_unit_test(test_bad_models_are_refused),
        cmocka_unit_test(test_the_nearest_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
