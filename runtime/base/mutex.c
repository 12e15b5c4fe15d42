/* mutex.c - see mutex.h. */
#include "mutex.h"

#include <assert.h>
#include <time.h>

void md_mutex_init(struct md_mutex *mutex)
{
    (void)pthread_mutex_init(&mutex->mutex, NULL); /* cannot fail with default attributes on Linux */
    mutex->held = 0;
}

void md_mutex_cleanup(struct md_mutex *mutex)
{
    (void)pthread_mutex_destroy(&mutex->mutex);
}

void md_mutex_lock(struct md_mutex *mutex)
{
    int result = pthread_mutex_lock(&mutex->mutex);
    assert(result == 0);
    (void)result;
    mutex->holder = pthread_self();
    mutex->held = 1;
}

void md_mutex_unlock(struct md_mutex *mutex)
{
    mutex->held = 0;
    int result = pthread_mutex_unlock(&mutex->mutex);
    assert(result == 0);
    (void)result;
}

void md_mutex_assert_held(const struct md_mutex *mutex)
{
    assert(mutex->held && pthread_equal(mutex->holder, pthread_self()));
    (void)mutex;
}

void md_condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes); /* cannot fail on Linux */
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(condition, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

int md_condition_wait(pthread_cond_t *condition, struct md_mutex *mutex, int64_t deadline_us)
{
    mutex->held = 0;
    int result;
    if (deadline_us == INT64_MAX) {
        result = pthread_cond_wait(condition, &mutex->mutex);
    } else {
        struct timespec until = { .tv_sec = deadline_us / 1000000, .tv_nsec = (deadline_us % 1000000) * 1000 };
        result = pthread_cond_timedwait(condition, &mutex->mutex, &until);
    }
    mutex->holder = pthread_self();
    mutex->held = 1;
    return result;
}
