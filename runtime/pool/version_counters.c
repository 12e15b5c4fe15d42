/* version_counters.c - see version_counters.h. */
#include "version_counters.h"

#include "clock.h"

static void add(struct md_duration_counter *counter, uint64_t us)
{
    atomic_fetch_add_explicit(&counter->count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&counter->us, us, memory_order_relaxed);
}

void md_version_counters_add_request(struct md_version_counters *counters, bool succeeded, uint64_t rows,
                                     const struct md_request_times *times)
{
    add(succeeded ? &counters->success : &counters->fail, times->total_us);
    if (!succeeded)
        return;
    add(&counters->queue, times->queue_us);
    add(&counters->compute_input, times->input_us);
    add(&counters->compute_infer, times->infer_us);
    atomic_fetch_add_explicit(&counters->rows, rows, memory_order_relaxed);
    atomic_store_explicit(&counters->last_at_ms, md_clock_wall_us() / 1000, memory_order_relaxed);
}

void md_version_counters_add_batch(struct md_version_counters *counters, size_t rows, uint64_t infer_us)
{
    atomic_fetch_add_explicit(&counters->executions, 1, memory_order_relaxed);
    add(&counters->batches[rows <= MD_COUNTED_BATCH_ROWS ? rows : 0], infer_us);
}
