/* mutex.h - a pthread mutex that knows, in debug builds, who holds it.
 * Usage: struct { struct md_mutex lock; ... } synced; functions named _locked assert that it is held. */
#ifndef MD_MUTEX_H
#define MD_MUTEX_H

#include <pthread.h>
#include <stdint.h>

struct md_mutex {
    pthread_mutex_t mutex;
    pthread_t holder; /* valid while held */
    int held;
};

void md_mutex_init(struct md_mutex *mutex);
void md_mutex_cleanup(struct md_mutex *mutex);
void md_mutex_lock(struct md_mutex *mutex);
void md_mutex_unlock(struct md_mutex *mutex);
/* Aborts in debug builds unless the calling thread holds the mutex: a bug of ours, never of the input. */
void md_mutex_assert_held(const struct md_mutex *mutex);

/* A condition variable on the monotonic clock. */
void md_condition_init(pthread_cond_t *condition);
/* Caller holds the mutex. Waits until signalled or until md_clock_us() reaches deadline_us (INT64_MAX: no limit).
 * Returns 0 when signalled (or woken for nothing), ETIMEDOUT otherwise. */
int md_condition_wait(pthread_cond_t *condition, struct md_mutex *mutex, int64_t deadline_us);

#endif
