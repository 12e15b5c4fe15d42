/* test_metrics.c - counters, histograms, and the text that Prometheus reads. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "md_test.h"
#include "metrics.h"
#include "text.h"

#include <pthread.h>
#include <string.h>

struct fixture {
    struct md_metrics *metrics;
    struct md_text text;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    assert_int_equal(md_metrics_create(md_process_allocator(), &fixture.metrics, NULL), MD_OK);
    md_text_init(&fixture.text, md_process_allocator());
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    md_text_cleanup(&fixture->text);
    md_metrics_destroy(fixture->metrics);
    return 0;
}

static void assert_says(struct fixture *fixture, const char *line)
{
    fixture->text.size = 0;
    md_metrics_write(fixture->metrics, &fixture->text);
    md_text_add(&fixture->text, "", 1);
    if (strstr(fixture->text.bytes, line) == NULL)
        fail_msg("\"%s\" is not in:\n%s", line, fixture->text.bytes);
}

static void count(struct md_version_metrics *version, enum md_code code, uint64_t us)
{
    const int64_t stage_us[MD_STAGE_COUNT] = { 10, -1, -1, (int64_t)us, 3 };
    md_metrics_count_inference(version, &(struct md_inference_count){ code, us, 2, 7, stage_us });
}

static void test_a_new_version_is_written_as_zero(void **state)
{
    struct fixture *fixture = *state;
    assert_non_null(md_metrics_version(fixture->metrics, "bert", 3));
    assert_says(fixture, "# TYPE modeld_requests_total counter\n");
    assert_says(fixture, "modeld_requests_total{model=\"bert\",version=\"3\",code=\"OK\"} 0\n");
    assert_says(fixture, "modeld_request_duration_seconds_count{model=\"bert\",version=\"3\"} 0\n");
    assert_says(fixture,
                "modeld_stage_duration_seconds_bucket{model=\"bert\",version=\"3\",stage=\"batch_wait\",le=\"+Inf\"} 0\n");
}

static void test_buckets_are_cumulative_and_their_bounds_inclusive(void **state)
{
    struct fixture *fixture = *state;
    struct md_version_metrics *version = md_metrics_version(fixture->metrics, "m", 1);
    count(version, MD_OK, 50);
    count(version, MD_OK, 51);
    count(version, MD_ABORTED, 20000000);
    assert_says(fixture, "modeld_request_duration_seconds_bucket{model=\"m\",version=\"1\",le=\"5e-05\"} 1\n");
    assert_says(fixture, "modeld_request_duration_seconds_bucket{model=\"m\",version=\"1\",le=\"0.0001\"} 2\n");
    assert_says(fixture, "modeld_request_duration_seconds_bucket{model=\"m\",version=\"1\",le=\"10\"} 2\n");
    assert_says(fixture, "modeld_request_duration_seconds_bucket{model=\"m\",version=\"1\",le=\"+Inf\"} 3\n");
    assert_says(fixture, "modeld_request_duration_seconds_sum{model=\"m\",version=\"1\"} 20.000101\n");
    assert_says(fixture, "modeld_requests_total{model=\"m\",version=\"1\",code=\"ABORTED\"} 1\n");
    assert_says(fixture, "modeld_rows_total{model=\"m\",version=\"1\"} 6\n");
    assert_says(fixture, "modeld_stage_duration_seconds_count{model=\"m\",version=\"1\",stage=\"tokenize\"} 0\n");
    assert_says(fixture, "modeld_stage_duration_seconds_count{model=\"m\",version=\"1\",stage=\"queue\"} 3\n");
}

static void test_labels_are_escaped(void **state)
{
    struct fixture *fixture = *state;
    assert_non_null(md_metrics_version(fixture->metrics, "a\"b\\c\nd", 1));
    assert_says(fixture, "{model=\"a\\\"b\\\\c\\nd\",version=\"1\"}");
}

static void test_methods_are_counted_by_code(void **state)
{
    struct fixture *fixture = *state;
    struct md_method_metrics *method = md_metrics_add_method(fixture->metrics, "grpc", "/a/B");
    md_metrics_count_call(method, MD_OK, 5);
    md_metrics_count_call(method, (enum md_code)99, 5);
    md_metrics_count_call(NULL, MD_OK, 5);
    assert_says(fixture, "modeld_calls_total{protocol=\"grpc\",method=\"/a/B\",code=\"OK\"} 1\n");
    assert_says(fixture, "modeld_calls_total{protocol=\"grpc\",method=\"/a/B\",code=\"UNKNOWN\"} 1\n");
}

enum { THREADS = 4, ROUNDS = 2000 };

static void *hammer(void *metrics)
{
    for (uint64_t i = 0; i < ROUNDS; i++)
        count(md_metrics_version(metrics, "shared", i % 100 + 1), MD_OK, i);
    return NULL;
}

static void test_threads_make_one_version_together(void **state)
{
    struct fixture *fixture = *state;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, fixture->metrics), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_says(fixture, "modeld_requests_total{model=\"shared\",version=\"100\",code=\"OK\"} 80\n");
    assert_says(fixture, "modeld_requests_total{model=\"shared\",version=\"1\",code=\"OK\"} 80\n");
}

static void test_json_strings_are_escaped(void **state)
{
    struct fixture *fixture = *state;
    static const char expected[] = "\"a\\\"\\\\\\n\\u0001\xc3\xa9?b\"";
    md_text_json(&fixture->text, "a\"\\\n\x01\xc3\xa9\xff" "b", 9);
    assert_int_equal(fixture->text.size, sizeof expected - 1);
    assert_memory_equal(fixture->text.bytes, expected, sizeof expected - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_new_version_is_written_as_zero, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_buckets_are_cumulative_and_their_bounds_inclusive, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_labels_are_escaped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_methods_are_counted_by_code, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_threads_make_one_version_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_json_strings_are_escaped, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
