/* worker_group.c - see worker_group.h. */
#include "worker_group.h"

#include "allocator.h"
#include "mutex.h"

#include <stdio.h>

struct md_worker_group {
    const struct md_allocator *allocator; /* immutable, as the next three */
    const char *name;
    size_t queue_limit;
    size_t thread_limit;
    struct {
        struct md_mutex lock;
        pthread_cond_t not_empty; /* signalled for each job, and for all when stopping is set */
        struct md_job *head;
        struct md_job **tail;
        size_t queued;
        size_t idle; /* threads that wait for a job */
        bool stopping;
        size_t thread_count; /* of threads[] that exist */
    } synced;
    pthread_t threads[]; /* as synced; joined when nobody pushes any more */
};

/* Waits for a job; NULL: stop. */
static struct md_job *take(struct md_worker_group *group)
{
    md_mutex_lock(&group->synced.lock);
    while (group->synced.head == NULL && !group->synced.stopping) {
        group->synced.idle++;
        (void)md_condition_wait(&group->synced.not_empty, &group->synced.lock,
                                INT64_MAX); /* has no deadline */
        group->synced.idle--;
    }
    struct md_job *job = group->synced.head;
    if (job != NULL) {
        group->synced.head = job->next;
        if (group->synced.head == NULL)
            group->synced.tail = &group->synced.head;
        group->synced.queued--;
    }
    md_mutex_unlock(&group->synced.lock);
    return job;
}

static void *work(void *owner)
{
    struct md_worker_group *group = owner;
    for (struct md_job *job = take(group); job != NULL; job = take(group))
        job->function(job->owner);
    return NULL;
}

static enum md_code start_thread_locked(struct md_worker_group *group, struct md_error *error)
{
    pthread_t *thread = &group->threads[group->synced.thread_count];
    if (pthread_create(thread, NULL, work, group) != 0)
        return md_fail(error, MD_RESOURCE_EXHAUSTED, "cannot start %s thread %zu", group->name,
                       group->synced.thread_count + 1);
    char name[16];
    (void)snprintf(name, sizeof name, "%.10s-%zu", group->name,
                   group->synced.thread_count % 1000); /* cut: a name only */
    (void)pthread_setname_np(*thread, name);           /* as above */
    group->synced.thread_count++;
    return MD_OK;
}

size_t md_worker_group_queued(struct md_worker_group *group)
{
    md_mutex_lock(&group->synced.lock);
    size_t queued = group->synced.queued;
    md_mutex_unlock(&group->synced.lock);
    return queued;
}

bool md_worker_group_push(struct md_worker_group *group, struct md_job *job)
{
    md_mutex_lock(&group->synced.lock);
    bool taken = group->synced.queued < group->queue_limit && !group->synced.stopping;
    if (taken) {
        job->next = NULL;
        *group->synced.tail = job;
        group->synced.tail = &job->next;
        group->synced.queued++;
        if (group->synced.queued > group->synced.idle && group->synced.thread_count < group->thread_limit) {
            enum md_code code = start_thread_locked(group, NULL);
            (void)code; /* those that exist will do it */
        }
        (void)pthread_cond_signal(&group->synced.not_empty); /* cannot fail */
    }
    md_mutex_unlock(&group->synced.lock);
    return taken;
}

enum md_code md_worker_group_create(const struct md_allocator *allocator, const char *name,
                                    size_t threads, size_t thread_limit, size_t queue_limit,
                                    struct md_worker_group **out_group, struct md_error *error)
{
    struct md_worker_group *group =
        md_allocate_zeroed(allocator, 1, sizeof *group + thread_limit * sizeof group->threads[0]);
    if (group == NULL)
        return md_fail_memory(error, "worker threads");
    group->allocator = allocator;
    group->name = name;
    group->queue_limit = queue_limit;
    group->thread_limit = thread_limit;
    group->synced.tail = &group->synced.head;
    md_mutex_init(&group->synced.lock);
    md_condition_init(&group->synced.not_empty);
    enum md_code code = MD_OK;
    md_mutex_lock(&group->synced.lock);
    for (size_t i = 0; i < threads && code == MD_OK; i++)
        code = start_thread_locked(group, error);
    md_mutex_unlock(&group->synced.lock);
    if (code != MD_OK) {
        md_worker_group_destroy(group);
        return code;
    }
    *out_group = group;
    return MD_OK;
}

void md_worker_group_destroy(struct md_worker_group *group)
{
    if (group == NULL)
        return;
    md_mutex_lock(&group->synced.lock);
    group->synced.stopping = true;
    (void)pthread_cond_broadcast(&group->synced.not_empty); /* cannot fail */
    md_mutex_unlock(&group->synced.lock);
    for (size_t i = 0; i < group->synced.thread_count; i++)
        (void)pthread_join(group->threads[i], NULL); /* fails only for a thread that is not ours */
    (void)pthread_cond_destroy(&group->synced.not_empty);
    md_mutex_cleanup(&group->synced.lock);
    md_release(group->allocator, group);
}
