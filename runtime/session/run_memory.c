/* run_memory.c - see run_memory.h. */
#include "run_memory.h"

#include "allocator.h"

#include <stdlib.h>
#include <string.h>

struct md_run_buffer {
    struct md_buffer buffer; /* must be first */
    uint32_t index;          /* in this execution */
    bool in_arena;
    struct md_run_buffer *next_made;
    struct md_run_buffer *next_idle;
};

struct md_plan {
    struct md_plan *next;
    size_t key_size;
    size_t event_count;
    size_t arena_size;
    struct md_memory_event *events; /* event_count */
    size_t *offsets;                /* one per buffer */
    unsigned char key[];
};

void md_run_memory_init(struct md_run_memory_pool *pool, const struct md_allocator *allocator, size_t limit)
{
    *pool = (struct md_run_memory_pool){ .allocator = allocator, .limit = limit };
    md_arena_init(&pool->small, allocator, 0);
}

static void plan_destroy(struct md_run_memory_pool *pool, struct md_plan *plan)
{
    if (plan == NULL)
        return;
    md_release(pool->allocator, plan->events);
    md_release(pool->allocator, plan->offsets);
    md_release(pool->allocator, plan);
}

void md_run_memory_cleanup(struct md_run_memory_pool *pool)
{
    while (pool->plans != NULL) {
        struct md_plan *plan = pool->plans;
        pool->plans = plan->next;
        plan_destroy(pool, plan);
    }
    while (pool->all != NULL) {
        struct md_run_buffer *next = pool->all->next_made;
        md_release(pool->allocator, pool->all);
        pool->all = next;
    }
    md_release(pool->allocator, pool->arena);
    md_release(pool->allocator, pool->events);
    md_arena_cleanup(&pool->small);
}

/* Moves the plan for the key to the front and returns it; NULL: none. */
static struct md_plan *find_plan(struct md_run_memory_pool *pool, const void *key, size_t key_size)
{
    for (struct md_plan **link = &pool->plans; *link != NULL; link = &(*link)->next) {
        struct md_plan *plan = *link;
        if (plan->key_size != key_size || (key_size > 0 && memcmp(plan->key, key, key_size) != 0))
            continue;
        *link = plan->next;
        plan->next = pool->plans;
        pool->plans = plan;
        return plan;
    }
    return NULL;
}

enum md_code md_run_memory_begin(struct md_run_memory_pool *pool, const void *key, size_t key_size,
                                 struct md_error *error)
{
    pool->current = find_plan(pool, key, key_size);
    pool->recording = pool->current == NULL;
    pool->event_at = 0;
    pool->taken = 0;
    pool->live_bytes = pool->peak_live_bytes = pool->overflow_bytes = 0;
    md_arena_reset(&pool->small);
    if (pool->current == NULL || pool->current->arena_size <= pool->arena_size)
        return MD_OK;
    md_release(pool->allocator, pool->arena);
    pool->arena_size = 0;
    pool->arena = md_allocate(pool->allocator, pool->current->arena_size);
    if (pool->arena == NULL)
        return md_fail(error, MD_RESOURCE_EXHAUSTED, "out of memory: run arena of %zu bytes",
                       pool->current->arena_size);
    pool->arena_size = pool->current->arena_size;
    return MD_OK;
}

/* Notes one event. Returns whether the plan still holds: the same event at the same place. */
static bool note_event(struct md_run_memory_pool *pool, uint32_t index, size_t size)
{
    if (pool->current != NULL) {
        const struct md_plan *plan = pool->current;
        if (pool->event_at < plan->event_count && plan->events[pool->event_at].index == index &&
            plan->events[pool->event_at].size == size) {
            pool->event_at++;
            return true;
        }
        pool->current = NULL; /* left: what follows is allocated one by one */
        return false;
    }
    if (!pool->recording)
        return false;
    if (pool->event_at == pool->event_capacity) {
        size_t capacity = pool->event_capacity == 0 ? 256 : pool->event_capacity * 2;
        struct md_memory_event *events =
            md_reallocate(pool->allocator, pool->events, pool->event_capacity * sizeof *events, capacity * sizeof *events);
        if (events == NULL) {
            pool->recording = false; /* no plan then; the execution itself goes on */
            return false;
        }
        pool->events = events;
        pool->event_capacity = capacity;
    }
    pool->events[pool->event_at++] = (struct md_memory_event){ index, size };
    return false;
}

static void give_back(struct md_buffer *base)
{
    struct md_run_buffer *buffer = (struct md_run_buffer *)base;
    struct md_run_memory_pool *pool = base->owner;
    (void)note_event(pool, buffer->index, SIZE_MAX); /* leaving the plan here needs no action */
    pool->live_bytes -= base->size;
    if (!buffer->in_arena)
        md_release(pool->allocator, base->bytes);
    buffer->next_idle = pool->idle;
    pool->idle = buffer;
}

bool md_run_memory_owns(const struct md_run_memory_pool *pool, const struct md_buffer *buffer)
{
    return buffer != NULL && buffer->owner == pool && buffer->free_buffer == give_back;
}

static struct md_run_buffer *idle_buffer(struct md_run_memory_pool *pool)
{
    struct md_run_buffer *buffer = pool->idle;
    if (buffer != NULL) {
        pool->idle = buffer->next_idle;
        return buffer;
    }
    buffer = md_allocate(pool->allocator, sizeof *buffer);
    if (buffer == NULL)
        return NULL;
    buffer->next_made = pool->all;
    pool->all = buffer;
    return buffer;
}

enum md_code md_run_memory_take(struct md_run_memory_pool *pool, size_t size, struct md_buffer **out_buffer,
                                struct md_error *error)
{
    if (size > pool->limit || pool->live_bytes > pool->limit - size)
        return md_fail(error, MD_RESOURCE_EXHAUSTED, "the run needs %zu bytes more than the %zu it holds, limit is %zu",
                       size, pool->live_bytes, pool->limit);
    struct md_run_buffer *buffer = idle_buffer(pool);
    if (buffer == NULL)
        return md_fail_memory(error, "buffer of a run");
    uint32_t index = pool->taken++;
    bool planned = note_event(pool, index, size);
    void *bytes = planned ? pool->arena + pool->current->offsets[index] : md_allocate(pool->allocator, size);
    if (bytes == NULL) {
        buffer->next_idle = pool->idle;
        pool->idle = buffer;
        return md_fail(error, MD_RESOURCE_EXHAUSTED, "out of memory: %zu bytes for a run", size);
    }
    if (!planned)
        pool->overflow_bytes += size;
    buffer->buffer = (struct md_buffer){
        .bytes = bytes, .size = size, .references = 1, .free_buffer = give_back, .owner = pool
    };
    buffer->index = index;
    buffer->in_arena = planned;
    pool->live_bytes += size;
    if (pool->live_bytes > pool->peak_live_bytes)
        pool->peak_live_bytes = pool->live_bytes;
    *out_buffer = &buffer->buffer;
    return MD_OK;
}

/* ---- making a plan ---- */

struct lifetime {
    uint32_t index;
    size_t size;
    size_t from, to; /* events; to is exclusive */
    size_t offset;
};

static int larger_first(const void *a, const void *b)
{
    const struct lifetime *x = a;
    const struct lifetime *y = b;
    if (x->size != y->size)
        return x->size < y->size ? 1 : -1;
    return x->from < y->from ? -1 : x->from > y->from;
}

static int lower_offset_first(const void *a, const void *b)
{
    const struct lifetime *const *x = a;
    const struct lifetime *const *y = b;
    return (*x)->offset < (*y)->offset ? -1 : (*x)->offset > (*y)->offset;
}

static size_t align_up(size_t size)
{
    return (size + MD_ALIGNMENT - 1) & ~(size_t)(MD_ALIGNMENT - 1);
}

/* Greedy by size: each buffer goes into the lowest gap between those already placed that live at the same time. */
static size_t place(struct lifetime *lifetimes, size_t count, struct lifetime **overlapping)
{
    size_t arena_size = 1; /* never empty, so that every offset is an address */
    qsort(lifetimes, count, sizeof *lifetimes, larger_first);
    for (size_t i = 0; i < count; i++) {
        size_t overlaps = 0;
        for (size_t j = 0; j < i; j++)
            if (lifetimes[j].from < lifetimes[i].to && lifetimes[i].from < lifetimes[j].to)
                overlapping[overlaps++] = &lifetimes[j];
        qsort(overlapping, overlaps, sizeof(struct lifetime *), lower_offset_first);
        size_t offset = 0;
        for (size_t j = 0; j < overlaps; j++) {
            if (overlapping[j]->offset >= offset + lifetimes[i].size)
                break;
            size_t end = align_up(overlapping[j]->offset + overlapping[j]->size);
            if (end > offset)
                offset = end;
        }
        lifetimes[i].offset = offset;
        if (offset + lifetimes[i].size > arena_size)
            arena_size = offset + lifetimes[i].size;
    }
    return align_up(arena_size);
}

static struct md_plan *plan_allocate(struct md_run_memory_pool *pool, const void *key, size_t key_size)
{
    struct md_plan *plan = md_allocate(pool->allocator, sizeof *plan + key_size);
    if (plan == NULL)
        return NULL;
    *plan = (struct md_plan){ .key_size = key_size, .event_count = pool->event_at };
    if (key_size > 0)
        memcpy(plan->key, key, key_size);
    plan->events = md_allocate(pool->allocator, pool->event_at * sizeof *plan->events);
    plan->offsets = md_allocate_zeroed(pool->allocator, pool->taken, sizeof *plan->offsets);
    if (plan->events == NULL || plan->offsets == NULL) {
        plan_destroy(pool, plan);
        return NULL;
    }
    if (pool->event_at > 0)
        memcpy(plan->events, pool->events, pool->event_at * sizeof *plan->events);
    return plan;
}

static bool fill_offsets(struct md_run_memory_pool *pool, struct md_plan *plan)
{
    struct lifetime *lifetimes = md_allocate_zeroed(pool->allocator, pool->taken, sizeof *lifetimes);
    struct lifetime **overlapping = md_allocate_zeroed(pool->allocator, pool->taken, sizeof(struct lifetime *));
    bool done = lifetimes != NULL && overlapping != NULL;
    if (done) {
        for (size_t i = 0; i < plan->event_count; i++) {
            struct lifetime *lifetime = &lifetimes[plan->events[i].index];
            if (plan->events[i].size == SIZE_MAX)
                lifetime->to = i;
            else
                *lifetime = (struct lifetime){ plan->events[i].index, plan->events[i].size, i, plan->event_count, 0 };
        }
        plan->arena_size = place(lifetimes, pool->taken, overlapping);
        for (size_t i = 0; i < pool->taken; i++)
            plan->offsets[lifetimes[i].index] = lifetimes[i].offset;
    }
    md_release(pool->allocator, lifetimes);
    md_release(pool->allocator, overlapping);
    return done;
}

static void forget_oldest_plan(struct md_run_memory_pool *pool)
{
    size_t count = 0;
    struct md_plan **link = &pool->plans;
    while (*link != NULL && ++count < MD_MAX_PLANS)
        link = &(*link)->next;
    if (*link != NULL) {
        plan_destroy(pool, *link);
        *link = NULL;
    }
}

/* Planning compares every pair of buffers that live together: a loop that takes more than this gets no plan. */
enum { MAX_PLANNED_BUFFERS = 4096 };

void md_run_memory_end(struct md_run_memory_pool *pool, const void *key, size_t key_size)
{
    if (!pool->recording || pool->taken > MAX_PLANNED_BUFFERS)
        return;
    pool->recording = false;
    struct md_plan *plan = plan_allocate(pool, key, key_size);
    if (plan == NULL)
        return;
    if (!fill_offsets(pool, plan)) {
        plan_destroy(pool, plan);
        return;
    }
    forget_oldest_plan(pool);
    plan->next = pool->plans;
    pool->plans = plan;
}
