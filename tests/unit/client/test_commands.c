/* test_commands.c - whole command lines of modelctl that need no server: help, usage, no connection. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "command.h"

#include <stdlib.h>
#include <string.h>

struct ran {
    int exit_code;
    char *out; /* owned: free */
    char *err; /* owned: free */
};

static struct ran run_words(const char *const *words)
{
    struct ran ran = { 0 };
    size_t out_size, err_size;
    int count = 0;
    FILE *out = open_memstream(&ran.out, &out_size);
    FILE *err = open_memstream(&ran.err, &err_size);
    assert_non_null(out);
    assert_non_null(err);
    while (words[count] != NULL)
        count++;
    ran.exit_code = md_ctl_run(count, words, out, err);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(fclose(err), 0);
    return ran;
}
#define RUN(...) run_words((const char *const[]){ "modelctl", __VA_ARGS__, NULL })

static void release(struct ran *ran)
{
    free(ran->out);
    free(ran->err);
}

static void check_usage(struct ran ran, const char *message)
{
    assert_int_equal(ran.exit_code, MD_CTL_EXIT_USAGE);
    assert_string_equal(ran.out, "");
    if (strstr(ran.err, message) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", message, ran.err);
    release(&ran);
}

static void test_help_lists_every_command(void **state)
{
    (void)state;
    struct ran ran = RUN("--help");
    assert_int_equal(ran.exit_code, MD_CTL_EXIT_OK);
    for (size_t i = 0; md_ctl_commands[i] != NULL; i++)
        assert_non_null(strstr(ran.out, md_ctl_commands[i]->name));
    assert_non_null(strstr(ran.out, "--server ADDR"));
    release(&ran);
}

static void test_every_command_has_help(void **state)
{
    (void)state;
    for (size_t i = 0; md_ctl_commands[i] != NULL; i++) {
        struct ran ran = RUN(md_ctl_commands[i]->name, "--help");
        assert_int_equal(ran.exit_code, MD_CTL_EXIT_OK);
        assert_non_null(strstr(ran.out, md_ctl_commands[i]->summary));
        const struct md_ctl_option *option = md_ctl_commands[i]->options;
        for (; option != NULL && option->name != NULL; option++)
            assert_non_null(strstr(ran.out, option->name));
        release(&ran);
    }
}

static void test_version_is_printed(void **state)
{
    (void)state;
    struct ran ran = RUN("--version");
    assert_int_equal(ran.exit_code, MD_CTL_EXIT_OK);
    assert_int_equal(strncmp(ran.out, "modelctl 0.", 11), 0);
    release(&ran);
}

static void test_no_command_prints_help_and_fails(void **state)
{
    (void)state;
    const char *const words[] = { "modelctl", NULL };
    check_usage(run_words(words), "usage: modelctl");
}

static void test_unknown_names_are_corrected(void **state)
{
    (void)state;
    check_usage(RUN("predct", "m"), "unknown command \"predct\"; did you mean \"predict\"?");
    check_usage(RUN("models", "--jsn"), "unknown option \"--jsn\"; did you mean \"--json\"?");
    check_usage(RUN("events", "--limit=0"), "option \"--limit\": \"0\" is not a number from 1");
}

static void test_operands_are_counted(void **state)
{
    (void)state;
    check_usage(RUN("load"), "\"load\" needs MODEL[:VERSION]");
    check_usage(RUN("models", "x"), "\"models\" has 1 arguments, it takes 0");
    check_usage(RUN("load", "m:one"), "version \"one\" of \"m\" is not a number from 1");
    check_usage(RUN("predict", "m", "text", "--file", "f"), "give TEXT or --file FILE, not both");
    check_usage(RUN("predict", "m", "--file", "/no/such/file"), "cannot open \"/no/such/file\"");
    check_usage(RUN("predict", "m", "text", "--input", "x=FP32[1]:1"), "give texts or --input, not both");
    check_usage(RUN("predict", "m", "--input", "x=FP32[2]:1"), "1 values, the shape has 2");
    check_usage(RUN("health", "--timeout", "soon"), "\"soon\" is not a number of seconds");
}

static void check_unreachable(struct ran ran)
{
    assert_int_equal(ran.exit_code, MD_CTL_EXIT_UNREACHABLE);
    assert_non_null(
        strstr(ran.err, "modelctl: UNAVAILABLE: cannot connect to 127.0.0.1:1: is modeld running?"));
    release(&ran);
}

static void test_every_command_says_that_there_is_no_server(void **state)
{
    (void)state;
    check_unreachable(RUN("models", "--server", "127.0.0.1:1"));
    check_unreachable(RUN("--server=127.0.0.1:1", "load", "m"));
    check_unreachable(RUN("unload", "m", "--server", "127.0.0.1:1"));
    check_unreachable(RUN("show", "m", "--server", "127.0.0.1:1"));
    check_unreachable(RUN("predict", "m", "text", "--server", "127.0.0.1:1"));
    check_unreachable(RUN("predict", "m", "--input", "x=FP32[1]:1", "--server", "127.0.0.1:1"));
    check_unreachable(RUN("events", "--server", "127.0.0.1:1"));
    check_unreachable(RUN("health", "--server", "127.0.0.1:1"));
}

static void test_the_server_may_come_from_the_environment(void **state)
{
    (void)state;
    assert_int_equal(setenv("MODELD_SERVER", "127.0.0.1:1", 1), 0);
    check_unreachable(RUN("models"));
    assert_int_equal(unsetenv("MODELD_SERVER"), 0);
}

static void test_waiting_has_an_end(void **state)
{
    (void)state;
    struct ran ran = RUN("health", "--wait", "0.2", "--server", "127.0.0.1:1");
    assert_int_equal(ran.exit_code, MD_CTL_EXIT_UNREACHABLE);
    assert_non_null(strstr(ran.err, "cannot connect to 127.0.0.1:1 within 200 ms"));
    release(&ran);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_help_lists_every_command),
        cmocka_unit_test(test_every_command_has_help),
        cmocka_unit_test(test_version_is_printed),
        cmocka_unit_test(test_no_command_prints_help_and_fails),
        cmocka_unit_test(test_unknown_names_are_corrected),
        cmocka_unit_test(test_operands_are_counted),
        cmocka_unit_test(test_every_command_says_that_there_is_no_server),
        cmocka_unit_test(test_the_server_may_come_from_the_environment),
        cmocka_unit_test(test_waiting_has_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
