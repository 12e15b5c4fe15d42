/* metrics.h - what the server counts in memory, and the Prometheus text of it (format 0.0.4).
 *
 * Counters and histograms per model version and stage, and per method and code. Recording is a few relaxed atomic
 * additions: no lock, no memory, no system call. Nothing is ever removed: a version that was unloaded keeps its
 * counts, as Prometheus wants it. A reader may see one counter a call ahead of another. Threads: any, but for create,
 * add_method and destroy. */
#ifndef MD_METRICS_H
#define MD_METRICS_H

#include "status.h"

#include <stdint.h>

struct md_allocator;
struct md_method_metrics;
struct md_metrics;
struct md_text;
struct md_version_metrics;

/* Where the time of an inference goes, in order. */
enum md_stage {
    MD_STAGE_QUEUE = 0,      /* arrival to a worker */
    MD_STAGE_TOKENIZE = 1,   /* texts to tokens */
    MD_STAGE_BATCH_WAIT = 2, /* waiting for others to share a batch with */
    MD_STAGE_COMPUTE = 3,    /* the session's run */
    MD_STAGE_SERIALIZE = 4,  /* the answer, from the run's outputs to bytes */
    MD_STAGE_COUNT = 5
};
extern const char *const md_stage_names[MD_STAGE_COUNT];

struct md_inference_count {
    enum md_code code;
    uint64_t duration_us;
    uint64_t rows;
    uint64_t tokens;
    const int64_t *stage_us; /* MD_STAGE_COUNT entries; negative: the stage was not reached */
};

MD_NODISCARD enum md_code md_metrics_create(const struct md_allocator *allocator, struct md_metrics **out_metrics,
                                            struct md_error *error);
void md_metrics_destroy(struct md_metrics *metrics); /* NULL is allowed */

/* Before the first md_metrics_write, on one thread. Both strings are borrowed until destroy. NULL: no memory. */
struct md_method_metrics *md_metrics_add_method(struct md_metrics *metrics, const char *protocol, const char *method);
/* The counters of a version, made (all zero) when it is new. NULL: no memory. */
struct md_version_metrics *md_metrics_version(struct md_metrics *metrics, const char *model, uint64_t version);

/* NULL is allowed for both. */
void md_metrics_count_call(struct md_method_metrics *method, enum md_code code, uint64_t duration_us);
void md_metrics_count_inference(struct md_version_metrics *version, const struct md_inference_count *count);

void md_metrics_write(const struct md_metrics *metrics, struct md_text *text);

/* For the families that others write: the two lines before a family, and a label's value, quoted and escaped. */
void md_metrics_write_family(struct md_text *text, const char *name, const char *type, const char *help);
void md_metrics_write_label(struct md_text *text, const char *value);

#endif
