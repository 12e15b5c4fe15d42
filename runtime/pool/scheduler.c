/* scheduler.c - see scheduler.h. */
#include "scheduler.h"

#include "allocator.h"
#include "clock.h"
#include "mutex.h"

#include <inttypes.h>

enum work_state { WAITING, LEADING, DONE };

/* How much a new measurement counts for unit_us. */
static const double LEARNING = 0.1;

struct md_scheduler {
    const struct md_allocator *allocator; /* immutable, as options */
    struct md_scheduler_options options;
    struct {
        struct md_mutex lock;
        size_t free_slots;            /* > 0: nobody waits */
        struct md_batch_queue *first; /* queues with waiting work, in turn */
        struct md_batch_queue *last;
        double waiting_us;            /* measured cost of everything that waits */
    } synced;
};

/* ---- create ---- */

enum md_code md_scheduler_create(const struct md_allocator *allocator, const struct md_scheduler_options *options,
                                 struct md_scheduler **out_scheduler, struct md_error *error)
{
    struct md_scheduler *scheduler = md_allocate_zeroed(allocator, 1, sizeof *scheduler);
    if (scheduler == NULL)
        return md_fail_memory(error, "scheduler");
    scheduler->allocator = allocator;
    scheduler->options = *options;
    scheduler->synced.free_slots = options->slots;
    md_mutex_init(&scheduler->synced.lock);
    *out_scheduler = scheduler;
    return MD_OK;
}

void md_scheduler_destroy(struct md_scheduler *scheduler)
{
    if (scheduler == NULL)
        return;
    md_mutex_cleanup(&scheduler->synced.lock);
    md_release(scheduler->allocator, scheduler);
}

/* ---- queues ---- */

static size_t units_of(const struct md_batch_work *work)
{
    size_t units = work->tokens > 0 ? work->tokens : work->rows;
    return units > 0 ? units : 1;
}

static void append_turn_locked(struct md_scheduler *scheduler, struct md_batch_queue *queue)
{
    if (queue->synced.in_turn)
        return;
    queue->synced.in_turn = true;
    queue->synced.next = NULL;
    if (scheduler->synced.first == NULL)
        scheduler->synced.first = queue;
    else
        scheduler->synced.last->synced.next = queue;
    scheduler->synced.last = queue;
}

static void enqueue_locked(struct md_scheduler *scheduler, struct md_batch_queue *queue, struct md_batch_work *work)
{
    struct md_batch_work **link = &queue->synced.head;
    while (*link != NULL && (*link)->priority >= work->priority)
        link = &(*link)->synced.next;
    work->synced.next = *link;
    *link = work;
    queue->synced.queued++;
    scheduler->synced.waiting_us += work->synced.cost_us;
    append_turn_locked(scheduler, queue);
}

/* Takes the work that *link shows out of the queue. */
static struct md_batch_work *dequeue_locked(struct md_scheduler *scheduler, struct md_batch_queue *queue,
                                            struct md_batch_work **link)
{
    struct md_batch_work *work = *link;
    *link = work->synced.next;
    queue->synced.queued--;
    scheduler->synced.waiting_us -= work->synced.cost_us;
    return work;
}

static struct md_batch_queue *next_queue_locked(struct md_scheduler *scheduler)
{
    struct md_batch_queue *queue = scheduler->synced.first;
    if (queue == NULL)
        return NULL;
    scheduler->synced.first = queue->synced.next;
    queue->synced.in_turn = false;
    return queue;
}

/* A queue in turn has work: one that has lost its last leaves the line, for its version may go. */
static void leave_turn_locked(struct md_scheduler *scheduler, struct md_batch_queue *queue)
{
    struct md_batch_queue **link = &scheduler->synced.first, *before = NULL;
    while (*link != queue) {
        before = *link;
        link = &before->synced.next;
    }
    *link = queue->synced.next;
    if (scheduler->synced.last == queue)
        scheduler->synced.last = before;
    queue->synced.in_turn = false;
}

static void wake_locked(struct md_batch_work *work, enum work_state state)
{
    work->synced.state = (int)state;
    (void)pthread_cond_signal(&work->synced.woken); /* cannot fail */
}

/* ---- batches ---- */

static enum md_code check_alive(const struct md_batch_work *work, int64_t now_us)
{
    if (now_us >= work->deadline_us)
        return md_fail(work->error, MD_DEADLINE_EXCEEDED, "the deadline passed while it waited for its turn");
    if (work->cancelled != NULL && atomic_load_explicit(work->cancelled, memory_order_relaxed))
        return md_fail(work->error, MD_CANCELLED, "cancelled while it waited for its turn");
    return MD_OK;
}

/* Takes the next batch of the queue and wakes its first work to lead it. False: nothing there is alive. */
static bool start_batch_locked(struct md_scheduler *scheduler, struct md_batch_queue *queue)
{
    const struct md_batch_limits *limits = &scheduler->options.limits;
    const int64_t now_us = md_clock_us();
    struct md_batch_work *leader = NULL;
    size_t rows = 0, tokens = 0;
    for (struct md_batch_work **link = &queue->synced.head; *link != NULL;) {
        struct md_batch_work *work = *link;
        work->code = check_alive(work, now_us);
        if (work->code != MD_OK) {
            wake_locked(dequeue_locked(scheduler, queue, link), DONE);
            continue;
        }
        bool fits = leader == NULL || (work->company != 0 && work->company == leader->company &&
                                       leader->synced.batch_count < MD_MAX_BATCH_WORKS &&
                                       rows + work->rows <= limits->max_rows &&
                                       (limits->max_tokens == 0 || tokens + work->tokens <= limits->max_tokens));
        if (!fits) {
            link = &work->synced.next;
            continue;
        }
        (void)dequeue_locked(scheduler, queue, link);
        if (leader == NULL) {
            leader = work;
            leader->synced.batch_count = 0;
        }
        leader->synced.batch[leader->synced.batch_count++] = work;
        rows += work->rows;
        tokens += work->tokens;
        if (leader->company == 0 || rows >= limits->max_rows)
            break;
    }
    if (queue->synced.head != NULL)
        append_turn_locked(scheduler, queue);
    if (leader == NULL)
        return false;
    wake_locked(leader, LEADING);
    return true;
}

/* A slot is free: the next batch in turn gets it. */
static void pass_slot_locked(struct md_scheduler *scheduler)
{
    struct md_batch_queue *queue;
    while ((queue = next_queue_locked(scheduler)) != NULL)
        if (start_batch_locked(scheduler, queue))
            return;
    scheduler->synced.free_slots++;
}

static void learn_locked(struct md_batch_queue *queue, size_t units, int64_t elapsed_us)
{
    double unit_us = (double)elapsed_us / (double)units;
    double before = queue->synced.unit_us;
    queue->synced.unit_us = before == 0 ? unit_us : before + LEARNING * (unit_us - before);
}

/* Runs the batch that `leader` leads, on its thread, and passes the slot on. */
static void lead(struct md_scheduler *scheduler, struct md_batch_queue *queue, struct md_batch_work *leader,
                 int64_t called_us)
{
    struct md_batch_work *const *works = leader->synced.batch; /* nobody else touches a batch that runs */
    const size_t count = leader->synced.batch_count;
    const int64_t begin_us = md_clock_us();
    size_t rows = 0, units = 0;
    for (size_t i = 0; i < count; i++) {
        rows += works[i]->rows;
        units += units_of(works[i]);
    }
    for (size_t i = 0; i < count; i++) {
        works[i]->batch_rows = rows;
        works[i]->waited_us = begin_us; /* members turn it into a duration: they know when they came */
    }
    scheduler->options.run(works, count);
    leader->waited_us = begin_us - called_us;
    int64_t elapsed_us = md_clock_us() - begin_us;
    md_mutex_lock(&scheduler->synced.lock);
    learn_locked(queue, units, elapsed_us);
    queue->synced.batches++;
    queue->synced.works += count;
    for (size_t i = 1; i < count; i++)
        wake_locked(works[i], DONE);
    pass_slot_locked(scheduler);
    md_mutex_unlock(&scheduler->synced.lock);
}

/* ---- one request ---- */

/* What waits before it, and itself, at the measured speed, against the time that is left. */
static enum md_code admit_locked(const struct md_scheduler *scheduler, const struct md_batch_queue *queue,
                                 const struct md_batch_work *work, int64_t now_us)
{
    if (queue->synced.queued >= scheduler->options.limits.max_queued)
        return md_fail(work->error, MD_RESOURCE_EXHAUSTED, "%zu requests wait for this version, limit is %zu",
                       queue->synced.queued, scheduler->options.limits.max_queued);
    if (work->deadline_us == INT64_MAX)
        return MD_OK;
    double wait_us = scheduler->synced.waiting_us / (double)scheduler->options.slots + work->synced.cost_us;
    if ((double)(work->deadline_us - now_us) >= wait_us)
        return MD_OK;
    return md_fail(work->error, MD_RESOURCE_EXHAUSTED,
                   "an answer would take %" PRId64 " us at the present load, the deadline is in %" PRId64 " us",
                   (int64_t)wait_us, work->deadline_us - now_us);
}

/* Waits until it is to lead, is done, or has outlived its deadline, in which case it leaves the queue. */
static void wait_locked(struct md_scheduler *scheduler, struct md_batch_queue *queue, struct md_batch_work *work)
{
    int64_t until_us = work->deadline_us;
    while (work->synced.state == WAITING) {
        if (md_condition_wait(&work->synced.woken, &scheduler->synced.lock, until_us) == 0 ||
            work->synced.state != WAITING)
            continue;
        struct md_batch_work **link = &queue->synced.head;
        while (*link != work && *link != NULL)
            link = &(*link)->synced.next;
        until_us = INT64_MAX; /* if a batch that runs has it already, the answer is near */
        if (*link == NULL)
            continue;
        (void)dequeue_locked(scheduler, queue, link);
        if (queue->synced.head == NULL)
            leave_turn_locked(scheduler, queue);
        work->code = check_alive(work, work->deadline_us);
        work->synced.state = DONE;
    }
}

/* True: the work leads a batch, at once or after a wait. False: it is done, or refused. */
static bool take_turn(struct md_scheduler *scheduler, struct md_batch_queue *queue, struct md_batch_work *work,
                      int64_t now_us)
{
    md_mutex_lock(&scheduler->synced.lock);
    work->synced.cost_us = queue->synced.unit_us * (double)units_of(work);
    if (scheduler->synced.free_slots > 0) {
        scheduler->synced.free_slots--;
        work->synced.batch[0] = work;
        work->synced.batch_count = 1;
        work->synced.state = LEADING;
    } else {
        work->code = admit_locked(scheduler, queue, work, now_us);
        work->synced.state = work->code == MD_OK ? WAITING : DONE;
        if (work->code == MD_OK) {
            enqueue_locked(scheduler, queue, work);
            wait_locked(scheduler, queue, work);
        }
    }
    bool leads = work->synced.state == LEADING;
    md_mutex_unlock(&scheduler->synced.lock);
    return leads;
}

enum md_code md_scheduler_execute(struct md_scheduler *scheduler, struct md_batch_queue *queue,
                                  struct md_batch_work *work)
{
    const int64_t now_us = md_clock_us();
    work->waited_us = 0;
    work->batch_rows = 0;
    md_condition_init(&work->synced.woken);
    if (take_turn(scheduler, queue, work, now_us))
        lead(scheduler, queue, work, now_us);
    else if (work->waited_us != 0)
        work->waited_us -= now_us;
    (void)pthread_cond_destroy(&work->synced.woken); /* nobody waits */
    return work->code;
}

void md_scheduler_statistics(struct md_scheduler *scheduler, const struct md_batch_queue *queue,
                             struct md_batch_statistics *out_statistics)
{
    md_mutex_lock(&scheduler->synced.lock);
    *out_statistics = (struct md_batch_statistics){ .queued = queue->synced.queued,
                                                    .batches = queue->synced.batches,
                                                    .works = queue->synced.works,
                                                    .unit_us = queue->synced.unit_us };
    md_mutex_unlock(&scheduler->synced.lock);
}

struct md_batch_limits md_scheduler_limits(const struct md_scheduler *scheduler)
{
    return scheduler->options.limits;
}
