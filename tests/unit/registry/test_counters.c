/* Counting in memory: what is handed over, that a failed hand-over is repeated, and the limits. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "counters.h"
#include "md_test.h"
#include "mutex.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Sums over everything that was handed over; refuses the first `refusals` lists. */
struct sink {
    struct md_mutex lock;
    pthread_cond_t called;
    int calls;
    int refusals;
    size_t entries;
    uint64_t requests;
    uint64_t rows;
    uint64_t tokens;
    uint64_t duration_us;
    uint64_t latency[MD_LATENCY_BUCKETS];
    char last_model[64];
};

static bool sink_write(void *context, const struct md_counter *list)
{
    struct sink *sink = context;
    md_mutex_lock(&sink->lock);
    bool taken = sink->calls++ >= sink->refusals;
    for (const struct md_counter *at = list; taken && at != NULL; at = at->next) {
        sink->entries++;
        sink->requests += at->requests;
        sink->rows += at->rows;
        sink->tokens += at->tokens;
        sink->duration_us += at->duration_us;
        for (size_t i = 0; i < MD_LATENCY_BUCKETS; i++)
            sink->latency[i] += at->latency[i];
        (void)snprintf(sink->last_model, sizeof sink->last_model, "%s", at->model); /* cutting is fine */
    }
    (void)pthread_cond_signal(&sink->called); /* cannot fail on Linux */
    md_mutex_unlock(&sink->lock);
    return taken;
}

struct fixture {
    struct sink sink;
    struct md_faulty_allocator memory;
};

static int setup(void **state)
{
    static struct fixture fixture;
    memset(&fixture.sink, 0, sizeof fixture.sink);
    md_mutex_init(&fixture.sink.lock);
    md_condition_init(&fixture.sink.called);
    md_faulty_init(&fixture.memory, MD_FAULTY_NEVER);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    (void)pthread_cond_destroy(&fixture->sink.called); /* nobody waits */
    md_mutex_cleanup(&fixture->sink.lock);
    return fixture->memory.live == 0 ? 0 : -1;
}

static struct md_counters *start(struct fixture *fixture, int64_t interval_us)
{
    const struct md_counters_options options = { interval_us, sink_write, &fixture->sink };
    struct md_counters *counters = NULL;
    assert_int_equal(md_counters_create(&fixture->memory.allocator, &options, &counters, NULL), MD_OK);
    return counters;
}

/* Waits until the sink was called `calls` times. */
static void await_calls(struct sink *sink, int calls)
{
    md_mutex_lock(&sink->lock);
    while (sink->calls < calls)
        (void)md_condition_wait(&sink->called, &sink->lock,
                                INT64_MAX); /* loop re-checks; ctest has a timeout */
    md_mutex_unlock(&sink->lock);
}

static const int64_t never_us = INT64_C(3600) * 1000000;
static const struct md_request_count one = {
    .model = "m", .version = 1, .rows = 2, .tokens = 10, .duration_us = 300
};

static void test_destroy_hands_over_what_was_counted(void **state)
{
    struct fixture *fixture = *state;
    struct md_counters *counters = start(fixture, never_us);
    for (int i = 0; i < 5; i++)
        md_counters_add(counters, &one);
    md_counters_destroy(counters);
    assert_int_equal(fixture->sink.calls, 1);
    assert_int_equal(fixture->sink.requests, 5);
    assert_int_equal(fixture->sink.rows, 10);
    assert_int_equal(fixture->sink.tokens, 50);
    assert_int_equal(fixture->sink.duration_us, 1500);
    assert_int_equal(fixture->sink.latency[2], 5); /* 250 < 300 <= 500 */
    assert_string_equal(fixture->sink.last_model, "m");
}

static void test_nothing_counted_hands_over_nothing(void **state)
{
    struct fixture *fixture = *state;
    md_counters_destroy(start(fixture, 1));
    assert_int_equal(fixture->sink.calls, 0);
}

static void test_a_count_is_handed_over_after_the_interval(void **state)
{
    struct fixture *fixture = *state;
    struct md_counters *counters = start(fixture, 1000);
    md_counters_add(counters, &one);
    await_calls(&fixture->sink, 1);
    md_counters_add(counters, &one);
    await_calls(&fixture->sink, 2);
    md_counters_destroy(counters);
    assert_int_equal(fixture->sink.requests, 2);
}

static void test_refused_counts_are_kept_and_handed_over_again(void **state)
{
    struct fixture *fixture = *state;
    fixture->sink.refusals = 3;
    struct md_counters *counters = start(fixture, 1000);
    for (int i = 0; i < 100; i++) {
        struct md_request_count count = one;
        count.version = (uint64_t)(i % 10);
        md_counters_add(counters, &count);
        if (i == 50)
            await_calls(&fixture->sink, 1);
    }
    await_calls(&fixture->sink, 4);
    md_counters_destroy(counters);
    assert_int_equal(fixture->sink.requests, 100);
    assert_int_equal(fixture->sink.latency[2], 100);
}

static void test_counts_that_are_refused_to_the_end_do_not_leak(void **state)
{
    struct fixture *fixture = *state;
    fixture->sink.refusals = 1000000;
    struct md_counters *counters = start(fixture, never_us);
    md_counters_add(counters, &one);
    md_counters_destroy(counters);
    assert_int_equal(fixture->sink.requests, 0);
}

static void test_models_versions_and_codes_are_kept_apart(void **state)
{
    struct fixture *fixture = *state;
    struct md_counters *counters = start(fixture, never_us);
    const struct md_request_count counts[] = {
        { .model = "a", .version = 1 },  { .model = "b", .version = 1 },
        { .model = "a", .version = 2 },  { .model = "a", .version = 1, .code = MD_INVALID_ARGUMENT },
        { .model = NULL, .version = 0 },
    };
    size_t kinds = sizeof counts / sizeof counts[0];
    for (size_t i = 0; i < kinds; i++)
        md_counters_add(counters, &counts[i]);
    md_counters_destroy(counters);
    /* A minute may have passed in between, but no key is counted twice. */
    assert_int_equal(fixture->sink.entries, kinds);
    assert_int_equal(fixture->sink.requests, kinds);
}

static void test_latency_bounds_are_inclusive_and_rise(void **state)
{
    struct fixture *fixture = *state;
    struct md_counters *counters = start(fixture, never_us);
    struct md_request_count count = one;
    for (size_t i = 0; i + 1 < MD_LATENCY_BUCKETS; i++) {
        assert_true(md_latency_upper_us[i] < md_latency_upper_us[i + 1]);
        count.duration_us = (uint64_t)md_latency_upper_us[i];
        md_counters_add(counters, &count);
        count.duration_us++;
        md_counters_add(counters, &count);
    }
    count.duration_us = 0;
    md_counters_add(counters, &count);
    md_counters_destroy(counters);
    assert_int_equal(md_latency_upper_us[MD_LATENCY_BUCKETS - 1], INT64_MAX);
    assert_int_equal(fixture->sink.latency[0], 2);
    for (size_t i = 1; i + 1 < MD_LATENCY_BUCKETS; i++)
        assert_int_equal(fixture->sink.latency[i], 2);
    assert_int_equal(fixture->sink.latency[MD_LATENCY_BUCKETS - 1], 1);
}

static void test_an_absurd_value_does_not_overflow_the_sums(void **state)
{
    struct fixture *fixture = *state;
    struct md_counters *counters = start(fixture, never_us);
    const struct md_request_count absurd = {
        .model = "m", .rows = UINT64_MAX, .tokens = UINT64_MAX, .duration_us = UINT64_MAX
    };
    md_counters_add(counters, &absurd);
    md_counters_add(counters, &absurd);
    md_counters_destroy(counters);
    assert_int_equal(fixture->sink.rows, UINT64_C(1) << 41);
    assert_int_equal(fixture->sink.tokens, UINT64_C(1) << 41);
    assert_int_equal(fixture->sink.duration_us, UINT64_C(1) << 41);
    assert_int_equal(fixture->sink.latency[MD_LATENCY_BUCKETS - 1], 2);
}

static void test_waiting_entries_have_a_limit(void **state)
{
    struct fixture *fixture = *state;
    struct md_counters *counters = start(fixture, never_us);
    struct md_request_count count = one;
    for (uint64_t version = 0; version < MD_COUNTERS_LIMIT + 10; version++) {
        count.version = version;
        md_counters_add(counters, &count);
    }
    md_counters_destroy(counters);
    assert_int_equal(fixture->sink.entries, MD_COUNTERS_LIMIT);
}

static void *count_many(void *counters)
{
    for (int i = 0; i < 2000; i++) {
        char model[16];
        (void)snprintf(model, sizeof model, "model-%d", i % 7); /* fits */
        struct md_request_count count = one;
        count.model = model;
        md_counters_add(counters, &count);
    }
    return NULL;
}

static void test_counts_from_many_threads_are_all_there(void **state)
{
    struct fixture *fixture = *state;
    struct md_counters *counters = start(fixture, 100);
    pthread_t threads[8];
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_many, counters), 0);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    md_counters_destroy(counters);
    assert_int_equal(fixture->sink.requests, 16000);
}

static void test_counting_survives_every_allocation_failure(void **state)
{
    struct fixture *fixture = *state;
    for (long nth = 0;; nth++) {
        struct md_faulty_allocator faulty;
        md_faulty_init(&faulty, nth);
        const struct md_counters_options options = { never_us, sink_write, &fixture->sink };
        struct md_counters *counters = NULL;
        enum md_code code = md_counters_create(&faulty.allocator, &options, &counters, NULL);
        if (code != MD_OK) {
            assert_int_equal(code, MD_RESOURCE_EXHAUSTED);
            assert_null(counters);
            continue;
        }
        fixture->sink.requests = 0;
        md_counters_add(counters, &one);
        md_counters_add(counters, &one);
        md_counters_destroy(counters);
        assert_int_equal(faulty.live, 0);
        assert_int_equal(fixture->sink.requests, faulty.failed == 0 ? 2 : 0);
        if (faulty.failed == 0)
            break;
    }
}

#define WITH_SINK(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SINK(test_destroy_hands_over_what_was_counted),
        WITH_SINK(test_nothing_counted_hands_over_nothing),
        WITH_SINK(test_a_count_is_handed_over_after_the_interval),
        WITH_SINK(test_refused_counts_are_kept_and_handed_over_again),
        WITH_SINK(test_counts_that_are_refused_to_the_end_do_not_leak),
        WITH_SINK(test_models_versions_and_codes_are_kept_apart),
        WITH_SINK(test_latency_bounds_are_inclusive_and_rise),
        WITH_SINK(test_an_absurd_value_does_not_overflow_the_sums),
        WITH_SINK(test_waiting_entries_have_a_limit),
        WITH_SINK(test_counts_from_many_threads_are_all_there),
        WITH_SINK(test_counting_survives_every_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
