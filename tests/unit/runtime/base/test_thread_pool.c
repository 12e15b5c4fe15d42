/* test_thread_pool.c - every index once, whoever calls and however many; slots that never overlap; sleep at rest. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "clock.h"
#include "md_test.h"
#include "thread_pool.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

enum { COUNT = 1000, MAX_SLOTS = 8, CALLERS = 6, ROUNDS = 200 };

struct tally {
    struct md_thread_pool *pool;
    atomic_uint calls[COUNT];
    atomic_bool taken[MAX_SLOTS];
    atomic_bool wrong;
    atomic_size_t slots;
    size_t slot_limit;
};

static void count_call(void *context, size_t index, size_t slot)
{
    struct tally *tally = context;
    if (slot >= tally->slot_limit || atomic_exchange(&tally->taken[slot], true))
        atomic_store(&tally->wrong, true);
    else {
        atomic_fetch_add(&tally->calls[index], 1);
        atomic_store(&tally->taken[slot], false);
    }
}

static struct md_thread_pool *make_pool(size_t threads)
{
    struct md_thread_pool *pool = NULL;
    assert_int_equal(md_thread_pool_create(md_process_allocator(), threads, &pool, NULL), MD_OK);
    return pool;
}

/* Runs a loop and says whether every index was called once, and slots were kept apart. */
static bool run_loop(struct md_thread_pool *pool, size_t count)
{
    static const struct tally fresh;
    struct tally tally;
    bool good = true;
    memcpy(&tally, &fresh, sizeof tally);
    const size_t threads = md_thread_pool_threads(pool);
    tally.slot_limit = count < threads ? count : threads;
    md_parallel_for(pool, count, count_call, &tally);
    for (size_t i = 0; i < COUNT; i++)
        good = good && tally.calls[i] == (i < count);
    return good && !tally.wrong;
}

static void test_every_index_is_called_once(void **state)
{
    (void)state;
    static const size_t counts[] = { 0, 1, 2, 3, 7, COUNT };
    for (size_t threads = 0; threads <= MAX_SLOTS; threads++) {
        struct md_thread_pool *pool = threads == 0 ? NULL : make_pool(threads);
        assert_int_equal(md_thread_pool_threads(pool), threads == 0 ? 1 : threads);
        md_thread_pool_enter(pool);
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
            for (int round = 0; round < 20; round++)
                assert_true(run_loop(pool, counts[i]));
        md_thread_pool_leave(pool);
        md_thread_pool_destroy(pool);
    }
}

static void *call_often(void *context)
{
    struct md_thread_pool *pool = context;
    bool good = true;
    for (int round = 0; round < ROUNDS; round++) {
        md_thread_pool_enter(pool);
        good = run_loop(pool, 50) && run_loop(pool, 3) && good;
        md_thread_pool_leave(pool);
    }
    return good ? pool : NULL;
}

static void test_many_callers_share_the_workers(void **state)
{
    (void)state;
    for (size_t threads = 2; threads <= MAX_SLOTS; threads += 3) {
        struct md_thread_pool *pool = make_pool(threads);
        pthread_t callers[CALLERS];
        for (size_t i = 0; i < CALLERS; i++)
            assert_int_equal(pthread_create(&callers[i], NULL, call_often, pool), 0);
        for (size_t i = 0; i < CALLERS; i++) {
            void *result = NULL;
            assert_int_equal(pthread_join(callers[i], &result), 0);
            assert_non_null(result);
        }
        md_thread_pool_destroy(pool);
    }
}

static void nest(void *context, size_t index, size_t slot)
{
    struct tally *outer = context;
    (void)slot;
    if (!run_loop(outer->pool, 20 + index))
        atomic_store(&outer->wrong, true);
    atomic_fetch_add(&outer->calls[index], 1);
}

static void test_a_loop_may_run_loops(void **state)
{
    (void)state;
    static struct tally tally;
    tally.pool = make_pool(3);
    md_thread_pool_enter(tally.pool);
    md_parallel_for(tally.pool, 100, nest, &tally);
    md_thread_pool_leave(tally.pool);
    md_thread_pool_destroy(tally.pool);
    assert_false(tally.wrong);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(tally.calls[i], i < 100);
}

/* Returns when another slot has come, or after ten seconds. */
static void wait_for_help(void *context, size_t index, size_t slot)
{
    struct tally *tally = context;
    (void)index;
    const int64_t until_us = md_clock_us() + 10000000;
    if (!atomic_exchange(&tally->taken[slot], true))
        atomic_fetch_add(&tally->slots, 1);
    while (tally->slots < 2 && md_clock_us() < until_us)
        ;
}

static size_t slots_used(struct md_thread_pool *pool)
{
    struct tally tally;
    memset(&tally, 0, sizeof tally);
    md_parallel_for(pool, 2, wait_for_help, &tally);
    return tally.slots;
}

static void test_sleeping_workers_come_to_help(void **state)
{
    (void)state;
    struct md_thread_pool *pool = make_pool(2);
    for (int i = 0; i < 3; i++) {
        const struct timespec rest = { .tv_nsec = 5000000 };
        (void)nanosleep(&rest, NULL); /* for the worker to fall asleep: waking it must work from there, too */
        md_thread_pool_enter(pool);
        assert_int_equal(slots_used(pool), 2);
        md_thread_pool_leave(pool);
    }
    md_thread_pool_destroy(pool);
}

static void test_nobody_helps_when_callers_fill_the_threads(void **state)
{
    (void)state;
    struct md_thread_pool *pool = make_pool(2);
    struct tally tally;
    memset(&tally, 0, sizeof tally);
    tally.slots = 1; /* wait_for_help waits for nobody: slot 0 alone makes it 2 */
    md_thread_pool_enter(pool);
    md_thread_pool_enter(pool); /* in place of a second caller */
    md_parallel_for(pool, COUNT, wait_for_help, &tally);
    assert_int_equal(tally.slots, 2);
    assert_false(tally.taken[1]);
    md_thread_pool_leave(pool);
    assert_int_equal(slots_used(pool), 2);
    md_thread_pool_leave(pool);
    md_thread_pool_destroy(pool);
}

static int64_t processor_us(void)
{
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now), 0);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void test_workers_sleep_at_rest(void **state)
{
    (void)state;
    struct md_thread_pool *pool = make_pool(MAX_SLOTS);
    md_thread_pool_enter(pool); /* a caller that does something else for long: no reason to stay awake, either */
    assert_true(run_loop(pool, COUNT));
    const struct timespec settle = { .tv_nsec = 20000000 }, rest = { .tv_nsec = 200000000 };
    (void)nanosleep(&settle, NULL); /* cut short by a signal, the test is only less strict */
    const int64_t before_us = processor_us();
    (void)nanosleep(&rest, NULL); /* as above */
    assert_true(processor_us() - before_us < 2000);
    md_thread_pool_leave(pool);
    md_thread_pool_destroy(pool);
}

static void test_create_survives_every_allocation_failure(void **state)
{
    (void)state;
    for (long nth = 0;; nth++) {
        struct md_faulty_allocator faulty;
        struct md_thread_pool *pool = NULL;
        md_faulty_init(&faulty, nth);
        enum md_code code = md_thread_pool_create(&faulty.allocator, 3, &pool, NULL);
        if (code != MD_OK) {
            assert_int_equal(code, MD_RESOURCE_EXHAUSTED);
            assert_null(pool);
        }
        md_thread_pool_destroy(pool);
        assert_int_equal(faulty.live, 0);
        if (code == MD_OK)
            break;
    }
}

static void test_wrong_numbers_of_threads_are_refused(void **state)
{
    (void)state;
    struct md_thread_pool *pool = NULL;
    struct md_error error;
    assert_int_equal(md_thread_pool_create(md_process_allocator(), 0, &pool, &error), MD_INVALID_ARGUMENT);
    assert_string_equal(error.message, "0 threads, limits are 1 to 1024");
    assert_int_equal(md_thread_pool_create(md_process_allocator(), MD_MAX_THREADS + 1, &pool, NULL),
                     MD_INVALID_ARGUMENT);
    assert_null(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_index_is_called_once),
        cmocka_unit_test(test_many_callers_share_the_workers),
        cmocka_unit_test(test_a_loop_may_run_loops),
        cmocka_unit_test(test_sleeping_workers_come_to_help),
        cmocka_unit_test(test_nobody_helps_when_callers_fill_the_threads),
        cmocka_unit_test(test_workers_sleep_at_rest),
        cmocka_unit_test(test_create_survives_every_allocation_failure),
        cmocka_unit_test(test_wrong_numbers_of_threads_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
