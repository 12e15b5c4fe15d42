/* task.h - from texts to answers: what a model directory's config.json and tokenizer.json make of its tensors.
 *
 * A task prepares the inputs of a session from texts and reads answers out of its outputs. It is derived from
 * config.json `architectures` ("...ForSequenceClassification": text-classification); a directory without
 * tokenizer.json has no text task and serves tensors only. An optional model.json overrides (tasks/README.md).
 * Threads: immutable after create. Adding a task is a file and a row (tasks/README.md). */
#ifndef MD_TASK_H
#define MD_TASK_H

#include "arena.h"
#include "span.h"
#include "status.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct md_allocator;
struct md_run;
struct md_session;
struct md_task;

/* session is borrowed and must outlive the task. *out_task NULL with OK: the directory has no text task.
 * INVALID_ARGUMENT: a file is malformed or does not fit the session (labels against logits, vocabulary against
 * embedding, input names), with path and both numbers. UNIMPLEMENTED: named. */
MD_NODISCARD enum md_code md_task_create(const struct md_allocator *allocator, const char *model_directory,
                                         const struct md_session *session, struct md_task **out_task,
                                         struct md_error *error);
void md_task_destroy(struct md_task *task); /* NULL is allowed */
const char *md_task_name(const struct md_task *task); /* "text-classification"; static */

struct md_task_options {
    bool refuse_long_texts; /* INVALID_ARGUMENT instead of cutting */
    uint32_t top_k;         /* classes per text; 0: all */
};

struct md_class_score {
    const char *label; /* borrowed from the task */
    float score;       /* probability, 0 to 1 */
    uint32_t index;
};

struct md_text_answer {
    size_t class_count;
    struct md_class_score *classes; /* best first */
    uint32_t token_count;           /* special tokens included, padding not */
    bool truncated;
};

struct md_task_result {
    size_t count;                    /* one answer per text, in order */
    struct md_text_answer *answers;
    uint64_t token_count;
    uint64_t tokenize_us;
    uint64_t compute_us;
};

/* One request between its two halves: md_task_encode fills it, md_task_run answers it. Memory is the arena's that encode
 * was given, and the caller's. */
struct md_text_call {
    struct md_task_options options;
    struct md_arena *arena;      /* of the answers */
    size_t count;                /* texts */
    struct md_text_row *rows;    /* encoded; of the tasks folder */
    struct md_text_answer *answers;
    uint64_t token_count;
    uint64_t tokenize_us;
};

/* Tokenizes the texts of one request. options may be NULL. Errors: see md_task_predict. */
MD_NODISCARD enum md_code md_task_encode(const struct md_task *task, struct md_arena *arena,
                                         const struct md_span *texts, const struct md_span *pairs, size_t text_count,
                                         const struct md_task_options *options, struct md_text_call *out_call,
                                         struct md_error *error);
/* Runs the rows of some requests together and fills in their answers; their bits do not depend on the company. Fails for
 * all of them: run them one by one to know whose fault it was. */
MD_NODISCARD enum md_code md_task_run(const struct md_task *task, struct md_run *run, struct md_text_call *const *calls,
                                      size_t call_count, struct md_error *error);

/* Both: texts in, answers out, on the calling thread with the caller's run (of the task's session). `pairs` is NULL or has
 * text_count entries. The result's memory is the arena's. `cancelled` and deadline_us: see md_run_set_limits.
 * INVALID_ARGUMENT: text 3 is not UTF-8 at byte 17; no texts; an empty text; a text too long. */
MD_NODISCARD enum md_code md_task_predict(const struct md_task *task, struct md_run *run, struct md_arena *arena,
                                          const struct md_span *texts, const struct md_span *pairs, size_t text_count,
                                          const struct md_task_options *options, struct md_task_result *out_result,
                                          struct md_error *error);

/* Effective configuration, for GetModel: key, value and the file or rule it came from. Borrowed from the task. */
struct md_configuration_entry {
    const char *key;
    const char *value;
    const char *source;
};
size_t md_task_configuration(const struct md_task *task, const struct md_configuration_entry **out_entries);

#endif
