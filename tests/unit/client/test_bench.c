/* test_bench.c - the command line of `modelctl bench`. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "bench.h"

#include "allocator.h"

#include <string.h>

/* Parses "MODEL OPTION..."; the bench's strings live as long as `arena`. */
static enum md_code parse(const char *const *words, struct md_arena *arena, struct md_ctl_bench *bench,
                          struct md_error *error)
{
    struct md_ctl_arguments arguments = { 0 };
    const char *operands[16];
    size_t count = 0, used;
    const struct md_ctl_option *tables[] = { md_ctl_bench_options };
    while (words[count] != NULL)
        count++;
    md_arena_init(arena, md_process_allocator(), 0);
    assert_int_equal(md_ctl_arguments_parse(&arguments, words, count, tables, 1, false, operands, &used, error), MD_OK);
    enum md_code code = md_ctl_bench_parse(&arguments, arena, bench, error);
    return code == MD_OK ? md_ctl_bench_set_values(bench, error) : code;
}
#define WORDS(...) ((const char *const[]){ "m:3", __VA_ARGS__, NULL })

static void check_refused(const char *const *words, const char *message)
{
    struct md_arena arena;
    struct md_ctl_bench bench;
    struct md_error error;
    assert_int_equal(parse(words, &arena, &bench, &error), MD_INVALID_ARGUMENT);
    if (strstr(error.message, message) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", message, error.message);
    md_arena_cleanup(&arena);
}

static void test_a_closed_loop_is_the_default(void **state)
{
    (void)state;
    struct md_arena arena;
    struct md_ctl_bench bench;
    assert_int_equal(parse(WORDS("--concurrency", "64"), &arena, &bench, NULL), MD_OK);
    assert_string_equal(bench.requests.model, "m");
    assert_string_equal(bench.requests.version, "3");
    assert_true(bench.load.rate == 0.0);
    assert_int_equal(bench.load.concurrency, 64);
    assert_int_equal(bench.load.connections, 5);
    assert_int_equal(bench.load.duration_ms, 10000);
    assert_int_equal(bench.load.warm_up_ms, 1000);
    md_arena_cleanup(&arena);
}

static void test_an_open_loop_and_its_inputs(void **state)
{
    (void)state;
    struct md_arena arena;
    struct md_ctl_bench bench;
    assert_int_equal(parse(WORDS("--rate", "1500.5", "--arrivals", "fixed", "--warm-up", "0", "--input",
                                 "ids=INT64[-1,-1]", "--input", "s=FP32[]", "--dims", "batch=2,sequence=8..128",
                                 "--values", "ids=1000..30000", "--protocol", "oip"),
                           &arena, &bench, NULL),
                     MD_OK);
    assert_true(bench.load.rate == 1500.5 && !bench.load.is_poisson);
    assert_int_equal(bench.load.warm_up_ms, 0);
    assert_int_equal(bench.requests.protocol, MD_LOAD_OIP);
    assert_int_equal(bench.requests.input_count, 2);
    assert_string_equal(bench.inputs[0].name, "ids");
    assert_string_equal(bench.inputs[0].datatype, "INT64");
    assert_int_equal(bench.inputs[0].rank, 2);
    assert_int_equal(bench.inputs[0].values.most, 30000);
    assert_int_equal(bench.inputs[1].rank, 0);
    assert_int_equal(bench.requests.axis_count, 2);
    assert_int_equal(bench.axes[0].least, 2);
    assert_int_equal(bench.axes[1].most, 128);
    md_arena_cleanup(&arena);
}

static void test_wrong_options_are_named(void **state)
{
    (void)state;
    check_refused(WORDS("--rate", "5", "--concurrency", "2"), "give one");
    check_refused(WORDS("--rate", "0"), "--rate");
    check_refused(WORDS("--rate", "nan"), "--rate");
    check_refused(WORDS("--arrivals", "bursts"), "poisson or fixed");
    check_refused(WORDS("--dims", "batch=1,sequence=9..8"), "--dims");
    check_refused(WORDS("--dims", "batch=-1"), "--dims");
    check_refused(WORDS("--dims", "batch"), "--dims");
    check_refused(WORDS("--input", "ids"), "--input");
    check_refused(WORDS("--input", "ids=INT64[1,"), "--input");
    check_refused(WORDS("--values", "ids=1"), "no input");
    check_refused(WORDS("--input", "ids=INT64[1]", "--values", "ids=x"), "--values");
    check_refused(WORDS("--texts", "f", "--dims", "batch=1"), "--texts");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_closed_loop_is_the_default),
        cmocka_unit_test(test_an_open_loop_and_its_inputs),
        cmocka_unit_test(test_wrong_options_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
