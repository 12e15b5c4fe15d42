/* metrics.c - see metrics.h. Both lists only grow, at the head, so that readers need no lock. */
#include "metrics.h"

#include "allocator.h"
#include "text.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

enum { BUCKET_COUNT = 17, CODE_COUNT = MD_UNAUTHENTICATED + 1, TABLE_SIZE = 64 };

const char *const md_stage_names[MD_STAGE_COUNT] = { "queue", "tokenize", "batch_wait", "compute", "serialize" };

/* Inclusive upper bounds; what is above the last is in +Inf alone. */
static const struct {
    uint64_t us;
    const char *label;
} bounds[BUCKET_COUNT] = { { 50, "5e-05" },      { 100, "0.0001" },   { 250, "0.00025" },  { 500, "0.0005" },
                           { 1000, "0.001" },    { 2500, "0.0025" },  { 5000, "0.005" },   { 10000, "0.01" },
                           { 25000, "0.025" },   { 50000, "0.05" },   { 100000, "0.1" },   { 250000, "0.25" },
                           { 500000, "0.5" },    { 1000000, "1" },    { 2500000, "2.5" },  { 5000000, "5" },
                           { 10000000, "10" } };

/* Codes that are written as zero before they occur: a rate over a counter that springs up at 1 misses the first. */
static const enum md_code usual_codes[] = { MD_OK,        MD_CANCELLED,          MD_INVALID_ARGUMENT,
                                            MD_NOT_FOUND, MD_DEADLINE_EXCEEDED,  MD_RESOURCE_EXHAUSTED,
                                            MD_INTERNAL,  MD_UNAVAILABLE };

struct histogram {
    atomic_uint_least64_t counts[BUCKET_COUNT + 1]; /* relaxed, as all counters here */
    atomic_uint_least64_t sum_us;
};

struct md_method_metrics {
    struct md_method_metrics *next;
    const char *protocol;
    const char *method;
    atomic_uint_least64_t codes[CODE_COUNT];
    struct histogram duration;
};

struct md_version_metrics {
    struct md_version_metrics *next;
    uint64_t version;
    atomic_uint_least64_t codes[CODE_COUNT];
    atomic_uint_least64_t rows;
    atomic_uint_least64_t tokens;
    struct histogram duration;
    struct histogram stages[MD_STAGE_COUNT];
    char model[];
};

struct md_metrics {
    const struct md_allocator *allocator;
    struct md_method_metrics *methods;                       /* immutable once others record */
    _Atomic(struct md_version_metrics *) table[TABLE_SIZE]; /* chains; release when a version is put in */
};

enum md_code md_metrics_create(const struct md_allocator *allocator, struct md_metrics **out_metrics,
                               struct md_error *error)
{
    struct md_metrics *metrics = md_allocate_zeroed(allocator, 1, sizeof *metrics);
    if (metrics == NULL)
        return md_fail_memory(error, "metrics");
    metrics->allocator = allocator;
    *out_metrics = metrics;
    return MD_OK;
}

void md_metrics_destroy(struct md_metrics *metrics)
{
    if (metrics == NULL)
        return;
    for (struct md_method_metrics *method = metrics->methods, *next; method != NULL; method = next) {
        next = method->next;
        md_release(metrics->allocator, method);
    }
    for (size_t i = 0; i < TABLE_SIZE; i++)
        for (struct md_version_metrics *version = atomic_load(&metrics->table[i]), *next; version != NULL;
             version = next) {
            next = version->next;
            md_release(metrics->allocator, version);
        }
    md_release(metrics->allocator, metrics);
}

struct md_method_metrics *md_metrics_add_method(struct md_metrics *metrics, const char *protocol, const char *method)
{
    struct md_method_metrics *made = md_allocate_zeroed(metrics->allocator, 1, sizeof *made);
    if (made == NULL)
        return NULL;
    made->protocol = protocol;
    made->method = method;
    made->next = metrics->methods;
    metrics->methods = made;
    return made;
}

/* ---- versions ---- */

static size_t slot_of(const char *model, uint64_t version)
{
    uint64_t hash = 0xcbf29ce484222325u ^ version; /* FNV-1a */
    for (; *model != '\0'; model++)
        hash = (hash ^ (unsigned char)*model) * 0x100000001b3u;
    return hash % TABLE_SIZE;
}

static struct md_version_metrics *find(struct md_version_metrics *from, const char *model, uint64_t version)
{
    while (from != NULL && (from->version != version || strcmp(from->model, model) != 0))
        from = from->next;
    return from;
}

static struct md_version_metrics *make(const struct md_allocator *allocator, const char *model, uint64_t version)
{
    size_t size = strlen(model) + 1;
    struct md_version_metrics *made = md_allocate_zeroed(allocator, 1, sizeof *made + size);
    if (made == NULL)
        return NULL;
    made->version = version;
    memcpy(made->model, model, size);
    return made;
}

struct md_version_metrics *md_metrics_version(struct md_metrics *metrics, const char *model, uint64_t version)
{
    _Atomic(struct md_version_metrics *) *slot = &metrics->table[slot_of(model, version)];
    struct md_version_metrics *head = atomic_load_explicit(slot, memory_order_acquire);
    struct md_version_metrics *found = find(head, model, version);
    if (found != NULL)
        return found;
    struct md_version_metrics *made = make(metrics->allocator, model, version);
    if (made == NULL)
        return NULL;
    do { /* another thread may put the same one in meanwhile */
        found = find(head, model, version);
        if (found != NULL) {
            md_release(metrics->allocator, made);
            return found;
        }
        made->next = head;
    } while (!atomic_compare_exchange_weak_explicit(slot, &head, made, memory_order_acq_rel, memory_order_acquire));
    return made;
}

/* ---- recording ---- */

static void add(atomic_uint_least64_t *counter, uint64_t amount)
{
    atomic_fetch_add_explicit(counter, amount, memory_order_relaxed);
}

static void observe(struct histogram *histogram, uint64_t us)
{
    size_t bucket = 0;
    while (bucket < BUCKET_COUNT && us > bounds[bucket].us)
        bucket++;
    add(&histogram->counts[bucket], 1);
    add(&histogram->sum_us, us);
}

void md_metrics_count_call(struct md_method_metrics *method, enum md_code code, uint64_t duration_us)
{
    if (method == NULL)
        return;
    add(&method->codes[(int)code < CODE_COUNT ? code : MD_UNKNOWN], 1);
    observe(&method->duration, duration_us);
}

void md_metrics_count_inference(struct md_version_metrics *version, const struct md_inference_count *count)
{
    if (version == NULL)
        return;
    add(&version->codes[(int)count->code < CODE_COUNT ? count->code : MD_UNKNOWN], 1);
    observe(&version->duration, count->duration_us);
    if (count->rows > 0)
        add(&version->rows, count->rows);
    if (count->tokens > 0)
        add(&version->tokens, count->tokens);
    for (size_t i = 0; i < MD_STAGE_COUNT; i++)
        if (count->stage_us[i] >= 0)
            observe(&version->stages[i], (uint64_t)count->stage_us[i]);
}

/* ---- the text ---- */

static uint64_t value_of(const atomic_uint_least64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void md_metrics_write_family(struct md_text *text, const char *name, const char *type, const char *help)
{
    md_text_print(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void md_metrics_write_label(struct md_text *text, const char *value)
{
    md_text_add(text, "\"", 1);
    for (; *value != '\0'; value++)
        if (*value == '\n')
            md_text_add(text, "\\n", 2);
        else if (*value == '"' || *value == '\\')
            md_text_add(text, (const char[]){ '\\', *value }, 2);
        else
            md_text_add(text, value, 1);
    md_text_add(text, "\"", 1);
}

/* Labels without braces: `model="a",version="1"`. */
static void write_version_labels(struct md_text *text, const struct md_version_metrics *version)
{
    md_text_put(text, "model=");
    md_metrics_write_label(text, version->model);
    md_text_print(text, ",version=\"%" PRIu64 "\"", version->version);
}

static void write_method_labels(struct md_text *text, const struct md_method_metrics *method)
{
    md_text_print(text, "protocol=\"%s\",method=", method->protocol);
    md_metrics_write_label(text, method->method);
}

static void write_histogram(struct md_text *text, const char *name, const struct md_text *labels,
                            const struct histogram *histogram)
{
    uint64_t total = 0;
    for (size_t i = 0; i <= BUCKET_COUNT; i++) {
        total += value_of(&histogram->counts[i]);
        md_text_print(text, "%s_bucket{", name);
        md_text_add(text, labels->bytes, labels->size);
        md_text_print(text, ",le=\"%s\"} %" PRIu64 "\n", i < BUCKET_COUNT ? bounds[i].label : "+Inf", total);
    }
    uint64_t sum_us = value_of(&histogram->sum_us);
    md_text_print(text, "%s_sum{", name);
    md_text_add(text, labels->bytes, labels->size);
    md_text_print(text, "} %" PRIu64 ".%06" PRIu64 "\n%s_count{", sum_us / 1000000, sum_us % 1000000, name);
    md_text_add(text, labels->bytes, labels->size);
    md_text_print(text, "} %" PRIu64 "\n", total);
}

static bool is_usual(enum md_code code)
{
    for (size_t i = 0; i < sizeof usual_codes / sizeof *usual_codes; i++)
        if (usual_codes[i] == code)
            return true;
    return false;
}

static void write_codes(struct md_text *text, const char *name, const struct md_text *labels,
                        const atomic_uint_least64_t *codes)
{
    for (int code = 0; code < CODE_COUNT; code++) {
        uint64_t value = value_of(&codes[code]);
        if (value == 0 && !is_usual((enum md_code)code))
            continue;
        md_text_print(text, "%s{", name);
        md_text_add(text, labels->bytes, labels->size);
        md_text_print(text, ",code=\"%s\"} %" PRIu64 "\n", md_code_name((enum md_code)code), value);
    }
}

/* What of an object a family shows. */
typedef void (*write_version_fn)(struct md_text *text, struct md_text *labels,
                                 const struct md_version_metrics *version);

static void write_requests(struct md_text *text, struct md_text *labels, const struct md_version_metrics *version)
{
    write_codes(text, "modeld_requests_total", labels, version->codes);
}

static void write_duration(struct md_text *text, struct md_text *labels, const struct md_version_metrics *version)
{
    write_histogram(text, "modeld_request_duration_seconds", labels, &version->duration);
}

static void write_stages(struct md_text *text, struct md_text *labels, const struct md_version_metrics *version)
{
    size_t size = labels->size;
    for (size_t i = 0; i < MD_STAGE_COUNT; i++) {
        md_text_print(labels, ",stage=\"%s\"", md_stage_names[i]);
        write_histogram(text, "modeld_stage_duration_seconds", labels, &version->stages[i]);
        labels->size = size;
    }
}

static void write_counter(struct md_text *text, const char *name, const struct md_text *labels,
                          const atomic_uint_least64_t *counter)
{
    md_text_print(text, "%s{", name);
    md_text_add(text, labels->bytes, labels->size);
    md_text_print(text, "} %" PRIu64 "\n", value_of(counter));
}

static void write_rows(struct md_text *text, struct md_text *labels, const struct md_version_metrics *version)
{
    write_counter(text, "modeld_rows_total", labels, &version->rows);
}

static void write_tokens(struct md_text *text, struct md_text *labels, const struct md_version_metrics *version)
{
    write_counter(text, "modeld_tokens_total", labels, &version->tokens);
}

static const struct {
    const char *name, *type, *help;
    write_version_fn write;
} version_families[] = {
    { "modeld_requests_total", "counter", "Inference requests by model version and status code.", write_requests },
    { "modeld_rows_total", "counter", "Rows (texts, or first dimension of the first input) of them.", write_rows },
    { "modeld_tokens_total", "counter", "Tokens of their texts, padding not included.", write_tokens },
    { "modeld_request_duration_seconds", "histogram", "Arrival to answer, inside the server.", write_duration },
    { "modeld_stage_duration_seconds", "histogram", "Time of each stage of a request.", write_stages },
};

static void write_methods(const struct md_metrics *metrics, struct md_text *text, struct md_text *labels, bool codes)
{
    for (const struct md_method_metrics *method = metrics->methods; method != NULL; method = method->next) {
        labels->size = 0;
        write_method_labels(labels, method);
        if (codes)
            write_codes(text, "modeld_calls_total", labels, method->codes);
        else
            write_histogram(text, "modeld_call_duration_seconds", labels, &method->duration);
    }
}

static void write_versions(const struct md_metrics *metrics, struct md_text *text, struct md_text *labels,
                           write_version_fn write)
{
    for (size_t i = 0; i < TABLE_SIZE; i++)
        for (const struct md_version_metrics *version =
                 atomic_load_explicit(&metrics->table[i], memory_order_acquire);
             version != NULL; version = version->next) {
            labels->size = 0;
            write_version_labels(labels, version);
            write(text, labels, version);
        }
}

void md_metrics_write(const struct md_metrics *metrics, struct md_text *text)
{
    struct md_text labels;
    md_text_init(&labels, metrics->allocator);
    for (size_t i = 0; i < sizeof version_families / sizeof *version_families; i++) {
        md_metrics_write_family(text, version_families[i].name, version_families[i].type, version_families[i].help);
        write_versions(metrics, text, &labels, version_families[i].write);
    }
    md_metrics_write_family(text, "modeld_calls_total", "counter", "Calls by protocol, method and status code.");
    write_methods(metrics, text, &labels, true);
    md_metrics_write_family(text, "modeld_call_duration_seconds", "histogram", "Arrival to answer, all methods.");
    write_methods(metrics, text, &labels, false);
    text->has_failed |= labels.has_failed;
    md_text_cleanup(&labels);
}
