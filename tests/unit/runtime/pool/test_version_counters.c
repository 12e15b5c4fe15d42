/* test_version_counters.c - what is counted where. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "version_counters.h"

static void test_a_success_counts_its_rows_and_the_parts_of_its_time(void **state)
{
    (void)state;
    struct md_version_counters counters = { 0 };
    const struct md_request_times times = { .total_us = 100, .queue_us = 20, .input_us = 3, .infer_us = 70 };
    md_version_counters_add_request(&counters, true, 5, &times);
    md_version_counters_add_request(&counters, true, 2, &times);
    assert_int_equal(counters.success.count, 2);
    assert_int_equal(counters.success.us, 200);
    assert_int_equal(counters.queue.us, 40);
    assert_int_equal(counters.compute_input.us, 6);
    assert_int_equal(counters.compute_infer.us, 140);
    assert_int_equal(counters.rows, 7);
    assert_true(counters.last_at_ms > 0);
    assert_int_equal(counters.fail.count, 0);
}

static void test_a_failure_counts_alone(void **state)
{
    (void)state;
    struct md_version_counters counters = { 0 };
    const struct md_request_times times = { .total_us = 100, .queue_us = 20, .infer_us = 70 };
    md_version_counters_add_request(&counters, false, 5, &times);
    assert_int_equal(counters.fail.count, 1);
    assert_int_equal(counters.fail.us, 100);
    assert_int_equal(counters.success.count + counters.queue.count + counters.compute_infer.count, 0);
    assert_int_equal(counters.rows, 0);
    assert_int_equal(counters.last_at_ms, 0);
}

static void test_batches_are_counted_by_their_rows(void **state)
{
    (void)state;
    struct md_version_counters counters = { 0 };
    md_version_counters_add_batch(&counters, 1, 10);
    md_version_counters_add_batch(&counters, MD_COUNTED_BATCH_ROWS, 20);
    md_version_counters_add_batch(&counters, MD_COUNTED_BATCH_ROWS + 1, 30);
    md_version_counters_add_batch(&counters, SIZE_MAX, 40);
    assert_int_equal(counters.executions, 4);
    assert_int_equal(counters.batches[1].us, 10);
    assert_int_equal(counters.batches[MD_COUNTED_BATCH_ROWS].us, 20);
    assert_int_equal(counters.batches[0].count, 2);
    assert_int_equal(counters.batches[0].us, 70);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_success_counts_its_rows_and_the_parts_of_its_time),
        cmocka_unit_test(test_a_failure_counts_alone),
        cmocka_unit_test(test_batches_are_counted_by_their_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
