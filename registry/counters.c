/* counters.c - see counters.h. The flush thread is the only one that calls `write`. */
#include "counters.h"

#include "allocator.h"
#include "clock.h"
#include "mutex.h"

#include <stddef.h>
#include <string.h>

enum { CHAINS = 256 };
#define MD_MINUTE_US INT64_C(60000000)

/* One absurd value must not overflow the sums that are stored as 64-bit integers: 2^40 us are 12 days, and
 * 2^23 such requests would fit in one minute. */
#define MD_COUNT_VALUE_LIMIT (UINT64_C(1) << 40)

const int64_t md_latency_upper_us[MD_LATENCY_BUCKETS] = {
    100,    250,    500,    1000,    2500,    5000,    10000,    25000,     50000,
    100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000, INT64_MAX,
};

struct table {
    struct md_counter *chains[CHAINS];
    size_t count;
};

struct md_counters {
    const struct md_allocator *allocator; /* immutable after create */
    struct md_counters_options options;   /* immutable after create */
    pthread_t thread;                     /* immutable after create */
    struct {                              /* touch only with synced.lock held */
        struct md_mutex lock;             /* no other lock is taken while it is held */
        pthread_cond_t changed;           /* signalled when table.count goes 0 -> 1, or stopping is set */
        struct table table;
        bool stopping;
    } synced;
};

static uint64_t capped(uint64_t value)
{
    return value < MD_COUNT_VALUE_LIMIT ? value : MD_COUNT_VALUE_LIMIT;
}

static size_t bucket_of(uint64_t duration_us)
{
    size_t bucket = 0;
    while (duration_us > (uint64_t)md_latency_upper_us[bucket])
        bucket++; /* ends at the last one: a capped duration is below INT64_MAX */
    return bucket;
}

/* FNV-1a over the name; the numbers are mixed in as if they were three more bytes. */
static size_t chain_of(const struct md_counter *key, const char *model)
{
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    for (const char *at = model; *at != '\0'; at++)
        hash = (hash ^ (unsigned char)*at) * UINT64_C(0x100000001B3);
    hash = (hash ^ key->version) * UINT64_C(0x100000001B3);
    hash = (hash ^ (uint64_t)key->minute) * UINT64_C(0x100000001B3);
    hash = (hash ^ (uint64_t)key->code) * UINT64_C(0x100000001B3);
    return (size_t)(hash ^ (hash >> 32)) % CHAINS;
}

/* The entry with the key's version, minute, code and this model. Caller holds synced.lock. */
static struct md_counter *find_locked(struct md_counters *counters, const struct md_counter *key,
                                      const char *model)
{
    md_mutex_assert_held(&counters->synced.lock);
    struct md_counter *at = counters->synced.table.chains[chain_of(key, model)];
    while (at != NULL && (at->version != key->version || at->minute != key->minute || at->code != key->code ||
                          strcmp(at->model, model) != 0))
        at = at->next;
    return at;
}

/* Caller holds synced.lock. Takes the entry. */
static void insert_locked(struct md_counters *counters, struct md_counter *entry)
{
    md_mutex_assert_held(&counters->synced.lock);
    struct table *table = &counters->synced.table;
    struct md_counter **chain = &table->chains[chain_of(entry, entry->model)];
    entry->next = *chain;
    *chain = entry;
    if (table->count++ == 0)
        (void)pthread_cond_signal(&counters->synced.changed); /* cannot fail on Linux */
}

/* Caller holds synced.lock. NULL: no memory, or too many entries wait. */
static struct md_counter *new_entry_locked(struct md_counters *counters, const struct md_counter *key,
                                           const char *model)
{
    if (counters->synced.table.count >= MD_COUNTERS_LIMIT)
        return NULL;
    size_t size = strlen(model) + 1;
    struct md_counter *entry = md_allocate(counters->allocator, sizeof *entry + size);
    if (entry == NULL)
        return NULL;
    *entry = *key;
    memcpy(entry->model, model, size);
    insert_locked(counters, entry);
    return entry;
}

static void add_sums(struct md_counter *into, const struct md_counter *from)
{
    into->requests += from->requests;
    into->rows += from->rows;
    into->tokens += from->tokens;
    into->duration_us += from->duration_us;
    for (size_t i = 0; i < MD_LATENCY_BUCKETS; i++)
        into->latency[i] += from->latency[i];
}

void md_counters_add(struct md_counters *counters, const struct md_request_count *count)
{
    const char *model = count->model == NULL ? "" : count->model;
    const struct md_counter key = { .version = count->version,
                                    .minute = md_clock_wall_us() / MD_MINUTE_US,
                                    .code = count->code };
    uint64_t duration_us = capped(count->duration_us);
    md_mutex_lock(&counters->synced.lock);
    struct md_counter *entry = find_locked(counters, &key, model);
    if (entry == NULL)
        entry = new_entry_locked(counters, &key, model);
    if (entry != NULL) {
        entry->requests++;
        entry->rows += capped(count->rows);
        entry->tokens += capped(count->tokens);
        entry->duration_us += duration_us;
        entry->latency[bucket_of(duration_us)]++;
    }
    md_mutex_unlock(&counters->synced.lock);
}

static void release_list(struct md_counters *counters, struct md_counter *list)
{
    while (list != NULL) {
        struct md_counter *next = list->next;
        md_release(counters->allocator, list);
        list = next;
    }
}

/* Empties the table into one list. Caller holds synced.lock. */
static struct md_counter *take_all_locked(struct md_counters *counters)
{
    md_mutex_assert_held(&counters->synced.lock);
    struct md_counter *list = NULL;
    for (size_t i = 0; i < CHAINS; i++) {
        struct md_counter *at = counters->synced.table.chains[i];
        while (at != NULL) {
            struct md_counter *next = at->next;
            at->next = list;
            list = at;
            at = next;
        }
    }
    counters->synced.table = (struct table){ 0 };
    return list;
}

/* Puts entries that could not be stored back; what was counted meanwhile under the same key is added. */
static void merge_back(struct md_counters *counters, struct md_counter *list)
{
    struct md_counter *merged = NULL; /* released after the lock */
    md_mutex_lock(&counters->synced.lock);
    while (list != NULL) {
        struct md_counter *entry = list;
        list = entry->next;
        struct md_counter *present = find_locked(counters, entry, entry->model);
        if (present == NULL) {
            insert_locked(counters, entry);
            continue;
        }
        add_sums(present, entry);
        entry->next = merged;
        merged = entry;
    }
    md_mutex_unlock(&counters->synced.lock);
    release_list(counters, merged);
}

static void flush(struct md_counters *counters)
{
    md_mutex_lock(&counters->synced.lock);
    struct md_counter *list = take_all_locked(counters);
    md_mutex_unlock(&counters->synced.lock);
    if (list == NULL)
        return;
    if (counters->options.write(counters->options.context, list))
        release_list(counters, list);
    else
        merge_back(counters, list);
}

/* Sleeps until there is something to flush and it has been there for the interval, or stopping is set.
 * A server without requests does not wake up. Returns whether to go on. Why a wait ended does not matter: the
 * loops look again. */
static bool wait_for_work(struct md_counters *counters)
{
    md_mutex_lock(&counters->synced.lock);
    while (!counters->synced.stopping && counters->synced.table.count == 0)
        (void)md_condition_wait(&counters->synced.changed, &counters->synced.lock, INT64_MAX);
    int64_t deadline_us = md_clock_us() + counters->options.interval_us;
    while (!counters->synced.stopping && md_clock_us() < deadline_us)
        (void)md_condition_wait(&counters->synced.changed, &counters->synced.lock, deadline_us);
    bool go_on = !counters->synced.stopping;
    md_mutex_unlock(&counters->synced.lock);
    return go_on;
}

static void *run(void *argument)
{
    struct md_counters *counters = argument;
    while (wait_for_work(counters))
        flush(counters);
    flush(counters);
    return NULL;
}

enum md_code md_counters_create(const struct md_allocator *allocator,
                                const struct md_counters_options *options, struct md_counters **out_counters,
                                struct md_error *error)
{
    struct md_counters *counters = md_allocate_zeroed(allocator, 1, sizeof *counters);
    if (counters == NULL)
        return md_fail_memory(error, "request counters");
    counters->allocator = allocator;
    counters->options = *options;
    md_mutex_init(&counters->synced.lock);
    md_condition_init(&counters->synced.changed);
    int result = pthread_create(&counters->thread, NULL, run, counters);
    if (result != 0) {
        (void)pthread_cond_destroy(&counters->synced.changed); /* nobody waits */
        md_mutex_cleanup(&counters->synced.lock);
        md_release(allocator, counters);
        return md_fail(error, MD_RESOURCE_EXHAUSTED, "cannot start the counter thread: %s", strerror(result));
    }
    *out_counters = counters;
    return MD_OK;
}

void md_counters_destroy(struct md_counters *counters)
{
    if (counters == NULL)
        return;
    md_mutex_lock(&counters->synced.lock);
    counters->synced.stopping = true;
    (void)pthread_cond_signal(&counters->synced.changed); /* cannot fail on Linux */
    md_mutex_unlock(&counters->synced.lock);
    (void)pthread_join(counters->thread, NULL); /* our own thread, joined once */
    md_mutex_lock(&counters->synced.lock);
    struct md_counter *lost = take_all_locked(counters); /* the last flush failed: the disk had its chance */
    md_mutex_unlock(&counters->synced.lock);
    release_list(counters, lost);
    (void)pthread_cond_destroy(&counters->synced.changed); /* the thread is gone */
    md_mutex_cleanup(&counters->synced.lock);
    md_release(counters->allocator, counters);
}
