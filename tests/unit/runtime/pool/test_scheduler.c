/* test_scheduler.c - turns and batches: alone when idle, together when busy, fair between queues, refused in time. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "clock.h"
#include "md_test.h"
#include "scheduler.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MAX_WORKS = 64 };

/* What the batches of a test did. A batch blocks while `closed`, so that a test can let others gather. */
struct stage {
    struct md_scheduler *scheduler;
    struct md_batch_queue queue, other;
    atomic_bool closed;
    atomic_int running, most_running, entered;
    char order[256]; /* names of the works in the order in which they ran, '|' after a batch */
    pthread_mutex_t lock;
};

struct request {
    struct md_batch_work work; /* first */
    struct stage *stage;
    struct md_batch_queue *queue;
    struct md_error error;
    char name;
    pthread_t thread;
    enum md_code code;
};

static void run_works(struct md_batch_work *const *works, size_t count)
{
    struct stage *stage = ((struct request *)works[0])->stage;
    int running = atomic_fetch_add(&stage->running, 1) + 1, most = atomic_load(&stage->most_running);
    while (running > most && !atomic_compare_exchange_weak(&stage->most_running, &most, running))
        ;
    atomic_fetch_add(&stage->entered, 1);
    while (atomic_load(&stage->closed))
        usleep(100);
    (void)pthread_mutex_lock(&stage->lock);
    for (size_t i = 0; i < count; i++) {
        strncat(stage->order, &((struct request *)works[i])->name, 1);
        works[i]->code = MD_OK;
    }
    strcat(stage->order, "|");
    (void)pthread_mutex_unlock(&stage->lock);
    atomic_fetch_sub(&stage->running, 1);
}

static void open_stage(struct stage *stage, size_t slots, const struct md_batch_limits *limits)
{
    memset(stage, 0, sizeof *stage);
    (void)pthread_mutex_init(&stage->lock, NULL);
    const struct md_scheduler_options options = { slots, *limits, run_works };
    assert_int_equal(md_scheduler_create(md_process_allocator(), &options, &stage->scheduler, NULL), MD_OK);
}

static void close_stage(struct stage *stage)
{
    md_scheduler_destroy(stage->scheduler);
    (void)pthread_mutex_destroy(&stage->lock);
}

static void *execute(void *argument)
{
    struct request *request = argument;
    request->code = md_scheduler_execute(request->stage->scheduler, request->queue, &request->work);
    return NULL;
}

static void start(struct stage *stage, struct request *request, char name)
{
    if (request->queue == NULL)
        request->queue = &stage->queue;
    if (request->work.rows == 0)
        request->work.rows = 1;
    if (request->work.deadline_us == 0)
        request->work.deadline_us = INT64_MAX;
    request->stage = stage;
    request->name = name;
    request->work.error = &request->error;
    assert_int_equal(pthread_create(&request->thread, NULL, execute, request), 0);
}

static void wait_until_queued(struct stage *stage, const struct md_batch_queue *queue, size_t count)
{
    struct md_batch_statistics statistics;
    do {
        usleep(100);
        md_scheduler_statistics(stage->scheduler, queue, &statistics);
    } while (statistics.queued != count);
}

static void wait_until_entered(struct stage *stage, int count)
{
    while (atomic_load(&stage->entered) < count)
        usleep(100);
}

static void join(struct request *request)
{
    (void)pthread_join(request->thread, NULL);
}

static const struct md_batch_limits plain = { 32, 0, 100 };

/* A first request holds the only slot; `count` more gather behind it in order. */
static void gather(struct stage *stage, struct request *requests, size_t count)
{
    atomic_store(&stage->closed, true);
    start(stage, &requests[0], 'A');
    wait_until_entered(stage, 1);
    size_t before[2] = { 0, 0 };
    for (size_t i = 1; i <= count; i++) {
        struct md_batch_queue *queue = requests[i].queue != NULL ? requests[i].queue : &stage->queue;
        start(stage, &requests[i], (char)('A' + i));
        wait_until_queued(stage, queue, ++before[queue == &stage->other]);
    }
}

static void finish(struct stage *stage, struct request *requests, size_t count)
{
    atomic_store(&stage->closed, false);
    for (size_t i = 0; i <= count; i++)
        join(&requests[i]);
}

static void test_alone_when_idle(void **state)
{
    (void)state;
    struct stage stage;
    struct request request = { .work.company = 1 };
    open_stage(&stage, 2, &plain);
    start(&stage, &request, 'A');
    join(&request);
    assert_int_equal(request.code, MD_OK);
    assert_int_equal(request.work.batch_rows, 1);
    assert_string_equal(stage.order, "A|");
    close_stage(&stage);
}

static void test_together_when_busy(void **state)
{
    (void)state;
    struct stage stage;
    struct request requests[5] = { 0 };
    open_stage(&stage, 1, &plain);
    for (size_t i = 0; i < 5; i++)
        requests[i].work.company = i == 2 ? 7 : 1;
    gather(&stage, requests, 4);
    finish(&stage, requests, 4);
    assert_string_equal(stage.order, "A|BDE|C|");
    assert_int_equal(requests[3].work.batch_rows, 3);
    assert_true(requests[3].work.waited_us > 0);
    assert_int_equal(atomic_load(&stage.most_running), 1);
    close_stage(&stage);
}

static void test_limits_of_a_batch(void **state)
{
    (void)state;
    struct stage stage;
    struct request requests[6] = { 0 };
    static const struct md_batch_limits limits = { 3, 100, 100 };
    static const size_t tokens[6] = { 1, 60, 50, 30, 10, 500 };
    open_stage(&stage, 1, &limits);
    for (size_t i = 0; i < 6; i++) {
        requests[i].work.company = 1;
        requests[i].work.tokens = tokens[i];
    }
    gather(&stage, requests, 5);
    finish(&stage, requests, 5);
    assert_string_equal(stage.order, "A|BDE|C|F|"); /* 60 + 30 + 10; 50; 500 goes alone */
    close_stage(&stage);
}

static void test_priority_goes_first(void **state)
{
    (void)state;
    struct stage stage;
    struct request requests[4] = { 0 };
    open_stage(&stage, 1, &plain);
    requests[3].work.priority = 1;
    gather(&stage, requests, 3);
    finish(&stage, requests, 3);
    assert_string_equal(stage.order, "A|D|B|C|");
    close_stage(&stage);
}

static void test_queues_take_turns(void **state)
{
    (void)state;
    struct stage stage;
    struct request requests[6] = { 0 };
    open_stage(&stage, 1, &plain);
    requests[4].queue = requests[5].queue = &stage.other;
    gather(&stage, requests, 5);
    finish(&stage, requests, 5);
    assert_string_equal(stage.order, "A|B|E|C|F|D|");
    close_stage(&stage);
}

static void test_as_many_at_once_as_there_are_slots(void **state)
{
    (void)state;
    struct stage stage;
    static struct request requests[MAX_WORKS];
    memset(requests, 0, sizeof requests);
    open_stage(&stage, 3, &plain);
    for (size_t i = 0; i < MAX_WORKS; i++) {
        requests[i].work.company = i % 3;
        start(&stage, &requests[i], 'x');
    }
    for (size_t i = 0; i < MAX_WORKS; i++) {
        join(&requests[i]);
        assert_int_equal(requests[i].code, MD_OK);
    }
    assert_true(atomic_load(&stage.most_running) <= 3);
    close_stage(&stage);
}

static void test_expired_and_cancelled_work_is_not_run(void **state)
{
    (void)state;
    struct stage stage;
    struct request requests[4] = { 0 };
    atomic_bool cancelled = true;
    open_stage(&stage, 1, &plain);
    requests[2].work.cancelled = &cancelled;
    requests[3].work.deadline_us = md_clock_us() + 20000;
    gather(&stage, requests, 3);
    join(&requests[3]); /* leaves by itself */
    assert_int_equal(requests[3].code, MD_DEADLINE_EXCEEDED);
    atomic_store(&stage.closed, false);
    for (size_t i = 0; i < 3; i++)
        join(&requests[i]);
    assert_int_equal(requests[2].code, MD_CANCELLED);
    assert_string_equal(stage.order, "A|B|");
    close_stage(&stage);
}

static void test_what_cannot_be_done_in_time_is_refused_at_once(void **state)
{
    (void)state;
    struct stage stage;
    struct request requests[4] = { 0 };
    open_stage(&stage, 1, &plain);
    atomic_store(&stage.closed, true); /* the first one shows how slow the version is */
    start(&stage, &requests[0], 'A');
    wait_until_entered(&stage, 1);
    usleep(50000);
    atomic_store(&stage.closed, false);
    join(&requests[0]);
    gather(&stage, requests, 1);
    requests[2].work.deadline_us = md_clock_us() + 30000; /* two before it, 50 ms each */
    start(&stage, &requests[2], 'C');
    join(&requests[2]);
    assert_int_equal(requests[2].code, MD_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(requests[2].error.message, "the deadline is in"));
    finish(&stage, requests, 1);
    close_stage(&stage);
}

static void test_a_full_queue_refuses(void **state)
{
    (void)state;
    struct stage stage;
    struct request requests[4] = { 0 };
    static const struct md_batch_limits limits = { 32, 0, 2 };
    open_stage(&stage, 1, &limits);
    gather(&stage, requests, 2);
    start(&stage, &requests[3], 'D');
    join(&requests[3]);
    assert_int_equal(requests[3].code, MD_RESOURCE_EXHAUSTED);
    assert_string_equal(requests[3].error.message, "2 requests wait for this version, limit is 2");
    finish(&stage, requests, 2);
    close_stage(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone_when_idle),
        cmocka_unit_test(test_together_when_busy),
        cmocka_unit_test(test_limits_of_a_batch),
        cmocka_unit_test(test_priority_goes_first),
        cmocka_unit_test(test_queues_take_turns),
        cmocka_unit_test(test_as_many_at_once_as_there_are_slots),
        cmocka_unit_test(test_expired_and_cancelled_work_is_not_run),
        cmocka_unit_test(test_what_cannot_be_done_in_time_is_refused_at_once),
        cmocka_unit_test(test_a_full_queue_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
