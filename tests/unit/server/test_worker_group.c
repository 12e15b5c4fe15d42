/* test_worker_group.c - jobs in order, a bounded queue, and an end that runs what was taken. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "md_test.h"
#include "worker_group.h"

#include <semaphore.h>

enum { JOBS = 100 };

struct work {
    struct md_job job;
    int number;
    int *ran;       /* numbers in the order of their run */
    int *ran_count; /* one worker: no lock */
    sem_t *gate;    /* NULL: does not wait */
};

static void run(void *owner)
{
    struct work *work = owner;
    if (work->gate != NULL)
        assert_int_equal(sem_wait(work->gate), 0);
    work->ran[(*work->ran_count)++] = work->number;
}

static void test_one_worker_runs_jobs_in_order_to_the_last(void **state)
{
    (void)state;
    struct md_worker_group *group = NULL;
    struct work work[JOBS];
    int ran[JOBS], ran_count = 0;
    assert_int_equal(md_worker_group_create(md_process_allocator(), "test", 1, 1, JOBS, &group, NULL), MD_OK);
    for (int i = 0; i < JOBS; i++) {
        work[i] =
            (struct work){ .job = { run, &work[i], NULL }, .number = i, .ran = ran, .ran_count = &ran_count };
        assert_true(md_worker_group_push(group, &work[i].job));
    }
    md_worker_group_destroy(group);
    assert_int_equal(ran_count, JOBS);
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(ran[i], i);
}

static void test_a_full_queue_takes_no_more(void **state)
{
    (void)state;
    struct md_worker_group *group = NULL;
    struct work work[4];
    int ran[4], ran_count = 0;
    sem_t gate;
    size_t taken = 0;
    assert_int_equal(sem_init(&gate, 0, 0), 0);
    assert_int_equal(md_worker_group_create(md_process_allocator(), "test", 1, 1, 2, &group, NULL), MD_OK);
    for (int i = 0; i < 4; i++) {
        work[i] = (struct work){
            .job = { run, &work[i], NULL }, .number = i, .ran = ran, .ran_count = &ran_count, .gate = &gate
        };
        taken += md_worker_group_push(group, &work[i].job) ? 1 : 0;
    }
    assert_true(taken == 2 || taken == 3); /* the worker may have taken one out of the queue already */
    for (size_t i = 0; i < taken; i++)
        assert_int_equal(sem_post(&gate), 0);
    md_worker_group_destroy(group);
    assert_int_equal(ran_count, taken);
    assert_int_equal(sem_destroy(&gate), 0);
}

static void test_no_memory_is_a_status(void **state)
{
    (void)state;
    struct md_faulty_allocator faulty;
    struct md_worker_group *group = NULL;
    md_faulty_init(&faulty, 0);
    assert_int_equal(md_worker_group_create(&faulty.allocator, "test", 1, 1, 1, &group, NULL),
                     MD_RESOURCE_EXHAUSTED);
    assert_null(group);
    md_worker_group_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_worker_runs_jobs_in_order_to_the_last),
        cmocka_unit_test(test_a_full_queue_takes_no_more),
        cmocka_unit_test(test_no_memory_is_a_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
