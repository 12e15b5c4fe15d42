/* run_memory.h - the memory of one run: buffers with a plan. Private to session/.
 *
 * The first execution of a shape records when each buffer is taken and given back; from that the plan computes an
 * offset for every buffer in one arena (largest first, lowest free offset). Later executions of the shape follow the
 * plan as long as they ask for the same sizes in the same order; the first deviation (data-dependent shapes, another
 * branch) sends the rest of that execution to ordinary allocations, which cannot overlap anything.
 * Plans are kept for the MD_MAX_PLANS shapes used last. Threads: one at a time. */
#ifndef MD_RUN_MEMORY_H
#define MD_RUN_MEMORY_H

#include "arena.h"
#include "tensor.h"

enum { MD_MAX_PLANS = 128 };

struct md_plan;
struct md_run_buffer;

/* One step of a recording: buffer `index` taken with `size` bytes, or given back (size SIZE_MAX). */
struct md_memory_event {
    uint32_t index;
    size_t size;
};

struct md_run_memory_pool {
    const struct md_allocator *allocator;
    size_t limit;               /* bytes */
    unsigned char *arena;       /* of arena_size bytes; used by planned executions */
    size_t arena_size;
    struct md_plan *plans;      /* newest first */
    struct md_plan *current;    /* followed now; NULL: none, or left */
    size_t event_at;            /* events of this execution so far */
    struct md_memory_event *events; /* recording of this execution */
    size_t event_capacity;
    bool recording;
    uint32_t taken;             /* buffers of this execution */
    size_t live_bytes, peak_live_bytes, overflow_bytes;
    struct md_run_buffer *all;  /* every buffer struct made */
    struct md_run_buffer *idle; /* those that may be used again */
    struct md_arena small;      /* md_run_allocate: until the end of the run */
};

void md_run_memory_init(struct md_run_memory_pool *pool, const struct md_allocator *allocator, size_t limit);
void md_run_memory_cleanup(struct md_run_memory_pool *pool);

/* Begins an execution; no buffer may be in use. `key` of key_size bytes identifies the shapes. */
MD_NODISCARD enum md_code md_run_memory_begin(struct md_run_memory_pool *pool, const void *key, size_t key_size,
                                              struct md_error *error);
/* After an execution that went well: keeps its recording as a plan. Fails silently for want of memory. */
void md_run_memory_end(struct md_run_memory_pool *pool, const void *key, size_t key_size);

/* A buffer with one reference, 64-byte aligned. RESOURCE_EXHAUSTED: memory or the run's limit, both numbers named. */
MD_NODISCARD enum md_code md_run_memory_take(struct md_run_memory_pool *pool, size_t size,
                                             struct md_buffer **out_buffer, struct md_error *error);
/* True for buffers of this pool. */
bool md_run_memory_owns(const struct md_run_memory_pool *pool, const struct md_buffer *buffer);

#endif
