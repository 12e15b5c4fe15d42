/* test_config.c - the table of options behind flags, environment and file. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "config.h"
#include "md_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = 16 };

/* Loads from flags and environment, each up to a NULL. argv[0] is added. */
static enum md_code load(struct md_config *config, const struct md_allocator *allocator,
                         const char *const *flags, const char *const *environment, struct md_error *error)
{
    char *argv[WORDS] = { (char *)(uintptr_t) "modeld" };
    char *variables[WORDS] = { 0 };
    enum md_config_action action;
    int argc = 1;
    for (; flags[argc - 1] != NULL; argc++)
        argv[argc] = (char *)(uintptr_t)flags[argc - 1];
    for (size_t i = 0; environment[i] != NULL; i++)
        variables[i] = (char *)(uintptr_t)environment[i];
    enum md_code code = md_config_load(config, allocator, argc, argv, variables, &action, error);
    return code != MD_OK ? code : action == MD_CONFIG_RUN ? MD_OK : MD_UNKNOWN;
}

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })
static const char *const nothing[] = { NULL };

static void write_text(char path[MD_TEST_PATH_SIZE], const char *folder, const char *text)
{
    md_test_join(path, folder, "modeld.conf");
    md_test_write_file(path, text, strlen(text));
}

static void test_defaults(void **state)
{
    (void)state;
    struct md_config config;
    assert_int_equal(load(&config, md_process_allocator(), nothing, nothing, NULL), MD_OK);
    assert_string_equal(config.listen, "127.0.0.1:8001");
    assert_string_equal(config.registry, "./modeld.db");
    assert_string_equal(config.repository, "./models");
    assert_int_equal(config.max_message_bytes, 64 * 1024 * 1024);
    assert_int_equal(config.drain_seconds, 20);
    assert_true(config.threads >= 1); /* one per core */
    assert_false(config.load_all);
    md_config_cleanup(&config);
}

static void test_flags_take_both_forms(void **state)
{
    (void)state;
    struct md_config config;
    assert_int_equal(load(&config, md_process_allocator(),
                          LIST("--threads", "3", "--listen=[::1]:0", "--load-all", "--log-requests=true",
                               "--log-format", "json"),
                          nothing, NULL),
                     MD_OK);
    assert_int_equal(config.threads, 3);
    assert_string_equal(config.listen, "[::1]:0");
    assert_true(config.load_all);
    assert_true(config.log_requests);
    assert_int_equal(config.log_format, MD_LOG_JSON);
    md_config_cleanup(&config);
}

static void test_a_bool_flag_takes_a_bool_word_and_nothing_else(void **state)
{
    (void)state;
    struct md_config config;
    assert_int_equal(load(&config, md_process_allocator(),
                          LIST("--load-all", "false", "--log-requests", "--threads", "2"), nothing, NULL),
                     MD_OK);
    assert_false(config.load_all);
    assert_true(config.log_requests);
    assert_int_equal(config.threads, 2);
    md_config_cleanup(&config);
}

static void test_flags_win_over_environment_over_file(void **state)
{
    (void)state;
    char folder[MD_TEST_PATH_SIZE], path[MD_TEST_PATH_SIZE];
    struct md_config config;
    md_test_make_folder(folder);
    write_text(path, folder,
               "# a comment\nthreads = 7\n\n  max-inflight = 70  # of calls\ndrain-seconds=70\n");
    assert_int_equal(load(&config, md_process_allocator(), LIST("--config", path, "--threads", "9"),
                          LIST("MODELD_THREADS=8", "MODELD_MAX_INFLIGHT=80"), NULL),
                     MD_OK);
    assert_int_equal(config.threads, 9);
    assert_int_equal(config.max_inflight, 80);
    assert_int_equal(config.drain_seconds, 70);
    md_config_cleanup(&config);
    md_test_remove_folder(folder);
}

static void test_the_file_may_be_named_by_the_environment(void **state)
{
    (void)state;
    char folder[MD_TEST_PATH_SIZE], path[MD_TEST_PATH_SIZE], variable[MD_TEST_PATH_SIZE + 16];
    struct md_config config;
    md_test_make_folder(folder);
    write_text(path, folder, "threads = 7");
    (void)snprintf(variable, sizeof variable, "MODELD_CONFIG=%s", path);
    assert_int_equal(load(&config, md_process_allocator(), nothing, LIST(variable), NULL), MD_OK);
    assert_int_equal(config.threads, 7);
    md_config_cleanup(&config);
    md_test_remove_folder(folder);
}

static void test_bytes_have_units(void **state)
{
    (void)state;
    struct md_config config;
    assert_int_equal(load(&config, md_process_allocator(),
                          LIST("--max-message-bytes", "1000000", "--max-inflight-bytes", "2GiB"), nothing,
                          NULL),
                     MD_OK);
    assert_int_equal(config.max_message_bytes, 1000000);
    assert_int_equal(config.max_inflight_bytes, (int64_t)2 * 1024 * 1024 * 1024);
    md_config_cleanup(&config);
}

static void test_unknown_variables_are_ignored(void **state)
{
    (void)state;
    struct md_config config; /* what Kubernetes sets for a Service of this name */
    assert_int_equal(load(&config, md_process_allocator(), nothing,
                          LIST("MODELD_PORT=tcp://10.0.0.1:8001", "PATH=/bin"), NULL),
                     MD_OK);
    md_config_cleanup(&config);
}

struct wrong {
    const char *words[4];
    const char *expected; /* in the message */
};

static void test_wrong_flags_are_named(void **state)
{
    (void)state;
    static const struct wrong cases[] = {
        { { "--nonsense" }, "--nonsense" },
        { { "--nonsense=1" }, "--nonsense" },
        { { "stray" }, "stray" },
        { { "--listen" }, "needs a value" },
        { { "--threads", "many" }, "\"many\" is not a number" },
        { { "--threads", "-1" }, "\"-1\" is not a number" },
        { { "--threads", "1k" }, "\"1k\" is not a number" },
        { { "--threads", "1025" }, "limits are 0 to 1024" },
        { { "--max-inflight", "0" }, "limits are 1 to 65536" },
        { { "--max-inflight", "99999999999999999999999" }, "out of range" },
        { { "--max-message-bytes", "12x" }, "not a number of bytes" },
        { { "--max-message-bytes", "99999999999GiB" }, "out of range" },
        { { "--load-all=maybe" }, "neither true nor false" },
        { { "--log-format", "xml" }, "none of text|json" },
        { { "--log-level", "tex" }, "none of debug|info|warning|error" },
        { { "--config", "/no/such/file" }, "/no/such/file" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct md_config config;
        struct md_error error;
        assert_int_equal(load(&config, md_process_allocator(), cases[i].words, nothing, &error),
                         MD_INVALID_ARGUMENT);
        if (strstr(error.message, cases[i].expected) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", error.message, cases[i].expected);
    }
}

static void test_a_wrong_variable_is_named(void **state)
{
    (void)state;
    struct md_config config;
    struct md_error error;
    assert_int_equal(load(&config, md_process_allocator(), nothing, LIST("MODELD_THREADS=x"), &error),
                     MD_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "\"threads\" (environment)"));
}

static void test_a_wrong_line_is_named_with_its_number(void **state)
{
    (void)state;
    static const char *const texts[] = { "\nthreads = x\n", "\nnonsense = 1\n", "\njust words\n",
                                         "\nconfig = /other\n" };
    char folder[MD_TEST_PATH_SIZE], path[MD_TEST_PATH_SIZE];
    md_test_make_folder(folder);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct md_config config;
        struct md_error error;
        write_text(path, folder, texts[i]);
        assert_int_equal(load(&config, md_process_allocator(), LIST("--config", path), nothing, &error),
                         MD_INVALID_ARGUMENT);
        assert_non_null(strstr(error.message, "modeld.conf:2"));
    }
    md_test_remove_folder(folder);
}

/* What --print-config prints, read back, is the same configuration. */
static void test_print_is_a_file(void **state)
{
    (void)state;
    char folder[MD_TEST_PATH_SIZE], path[MD_TEST_PATH_SIZE];
    char *first = NULL, *second = NULL;
    size_t first_size, second_size;
    struct md_config config;
    md_test_make_folder(folder);
    assert_int_equal(load(&config, md_process_allocator(),
                          LIST("--threads=5", "--load-all", "--log-level=error", "--registry", "/a b.db"),
                          nothing, NULL),
                     MD_OK);
    FILE *out = open_memstream(&first, &first_size);
    md_config_print(&config, out);
    assert_int_equal(fclose(out), 0);
    md_config_cleanup(&config);
    assert_non_null(strstr(first, "threads = 5  # flag\n"));
    assert_non_null(strstr(first, "listen = 127.0.0.1:8001  # default\n"));

    write_text(path, folder, first);
    assert_int_equal(load(&config, md_process_allocator(), LIST("--config", path), nothing, NULL), MD_OK);
    assert_int_equal(config.threads, 5);
    assert_true(config.load_all);
    assert_int_equal(config.log_level, MD_LOG_ERROR);
    assert_string_equal(config.registry, "/a b.db");
    out = open_memstream(&second, &second_size);
    md_config_print(&config, out);
    assert_int_equal(fclose(out), 0);
    assert_non_null(strstr(second, "modeld.conf:"));
    md_config_cleanup(&config);
    free(first);
    free(second);
    md_test_remove_folder(folder);
}

static void test_survives_every_allocation_failure(void **state)
{
    (void)state;
    for (long nth = 0;; nth++) {
        struct md_faulty_allocator faulty;
        struct md_config config;
        md_faulty_init(&faulty, nth);
        enum md_code code = load(&config, &faulty.allocator, LIST("--threads", "2"), nothing, NULL);
        if (code == MD_OK)
            md_config_cleanup(&config);
        else
            assert_int_equal(code, MD_RESOURCE_EXHAUSTED);
        assert_int_equal(faulty.live, 0);
        if (code == MD_OK)
            return;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_flags_take_both_forms),
        cmocka_unit_test(test_a_bool_flag_takes_a_bool_word_and_nothing_else),
        cmocka_unit_test(test_flags_win_over_environment_over_file),
        cmocka_unit_test(test_the_file_may_be_named_by_the_environment),
        cmocka_unit_test(test_bytes_have_units),
        cmocka_unit_test(test_unknown_variables_are_ignored),
        cmocka_unit_test(test_wrong_flags_are_named),
        cmocka_unit_test(test_a_wrong_variable_is_named),
        cmocka_unit_test(test_a_wrong_line_is_named_with_its_number),
        cmocka_unit_test(test_print_is_a_file),
        cmocka_unit_test(test_survives_every_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
