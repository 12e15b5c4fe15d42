/* test_mutex.c - waits end at their deadline, and signals wake. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "clock.h"
#include "mutex.h"

#include <errno.h>

struct gate {
    struct md_mutex lock;
    pthread_cond_t opened;
    int open;
};

static void *open_gate(void *owner)
{
    struct gate *gate = owner;
    md_mutex_lock(&gate->lock);
    gate->open = 1;
    (void)pthread_cond_signal(&gate->opened); /* cannot fail */
    md_mutex_unlock(&gate->lock);
    return NULL;
}

static void test_a_wait_ends_at_its_deadline(void **state)
{
    (void)state;
    struct gate gate = { .open = 0 };
    md_mutex_init(&gate.lock);
    md_condition_init(&gate.opened);
    md_mutex_lock(&gate.lock);
    int64_t deadline = md_clock_us() + 20000;
    int result = 0;
    while (result == 0)
        result = md_condition_wait(&gate.opened, &gate.lock, deadline);
    assert_int_equal(result, ETIMEDOUT);
    assert_true(md_clock_us() >= deadline);
    md_mutex_assert_held(&gate.lock);
    md_mutex_unlock(&gate.lock);
    (void)pthread_cond_destroy(&gate.opened);
    md_mutex_cleanup(&gate.lock);
}

static void test_a_signal_wakes(void **state)
{
    (void)state;
    struct gate gate = { .open = 0 };
    md_mutex_init(&gate.lock);
    md_condition_init(&gate.opened);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, open_gate, &gate), 0);
    md_mutex_lock(&gate.lock);
    while (!gate.open)
        assert_int_equal(md_condition_wait(&gate.opened, &gate.lock, INT64_MAX), 0);
    md_mutex_unlock(&gate.lock);
    assert_int_equal(pthread_join(thread, NULL), 0);
    (void)pthread_cond_destroy(&gate.opened);
    md_mutex_cleanup(&gate.lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_wait_ends_at_its_deadline),
        cmocka_unit_test(test_a_signal_wakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
