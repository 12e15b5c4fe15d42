/* accuracy_check.c - what a precision other than FP32 costs this model: the version and an FP32 session of the same files
 * answer the same made-up requests, and their outputs are compared.
 *
 *   texts or trial inputs -+-> version's session -> outputs -+-> largest |difference| / largest |FP32 value|
 *                          `-> FP32 session ------> outputs -'      of each output, against the bound
 *
 * The texts of one request have like lengths, so that they are one batch: of several, a run would show the last one's
 * outputs only. The runs are the check's own: their memory plans are not those of requests. */
#include "loaded_version.h"

#include "arena.h"
#include "output_difference.h"
#include "session.h"
#include "task.h"
#include "trial.h"

enum { REQUEST_TEXTS = 4, LONG_TEXT_REPEATS = 16 };

struct check {
    const struct md_loaded_version *version;
    struct md_session *reference; /* owned */
    struct md_run *run;           /* owned, as the next */
    struct md_run *reference_run;
    struct md_output_difference *differences; /* of each output; the arena's */
    struct md_arena arena;
    enum md_code refused; /* why the last request that could not be compared was refused; MD_OK: none was */
    struct md_error refusal;
};

/* ---- requests ---- */

static const char *const texts[][REQUEST_TEXTS] = {
    { "Great." },
    { "I loved every minute of it.", "The service was slow and rude.", "Nothing here works as it should.",
      "Call now to claim your free prize!" },
    { "The first half is tense and beautifully filmed; the second never finds a reason to exist, and by the end "
      "hardly anybody in the room still cared about who had done it.",
      "We ordered 3 of them on 12/04, paid $59.99 each, and two arrived broken: after four mails to support nobody "
      "has answered yet, so I cannot recommend this shop to anyone.",
      "In 1905 he published four papers, on light, on molecules and on motion, which changed what everybody believed "
      "about space, time, mass and energy." },
};
#define LONG_TEXT                                                                                                     \
    "The report lists what was measured, where, and by whom; it does not say why the numbers of the second year are " \
    "so much lower than those of the first. "

static enum md_code predict(const struct check *check, struct md_run *run, size_t request, struct md_arena *arena,
                            struct md_error *error)
{
    struct md_span spans[REQUEST_TEXTS];
    struct md_task_result result;
    size_t count = 0;
    while (count < REQUEST_TEXTS && texts[request][count] != NULL) {
        spans[count] = md_span_of(texts[request][count]);
        count++;
    }
    return md_task_predict(check->version->task, run, arena, spans, NULL, count, NULL, &result, error);
}

static enum md_code predict_long(const struct check *check, struct md_run *run, struct md_arena *arena,
                                 struct md_error *error)
{
    enum { SIZE = sizeof LONG_TEXT - 1 };
    char text[SIZE * LONG_TEXT_REPEATS];
    const struct md_span span = { text, sizeof text };
    struct md_task_result result;
    for (size_t i = 0; i < LONG_TEXT_REPEATS; i++)
        memcpy(text + i * SIZE, LONG_TEXT, SIZE);
    return md_task_predict(check->version->task, run, arena, &span, NULL, 1, NULL, &result, error);
}

/* Request `index` of a text task, in this order: the rows of `texts`, the long one. */
static enum md_code run_texts(const struct check *check, struct md_run *run, size_t index, struct md_arena *arena,
                              struct md_error *error)
{
    return index < sizeof texts / sizeof texts[0] ? predict(check, run, index, arena, error)
                                                  : predict_long(check, run, arena, error);
}

/* Random numbers in made-up sizes: of rows, tokens or pixels, nobody knows. */
static const int64_t free_sizes[] = { 1, 2, 5, 16, 32 };

static enum md_code run_tensors(const struct check *check, struct md_run *run, size_t index, struct md_arena *arena,
                                struct md_error *error)
{
    const uint64_t golden_ratio = 0x9E3779B97F4A7C15;
    const struct md_trial_options trial = { .free_size = free_sizes[index], .seed = golden_ratio * (index + 1) };
    MD_TRY(md_trial_set_inputs(check->version->session, run, &trial, arena, error));
    return md_run_execute(run, error);
}

static enum md_code run_request(const struct check *check, struct md_run *run, size_t index, struct md_arena *arena,
                                struct md_error *error)
{
    return check->version->task != NULL ? run_texts(check, run, index, arena, error)
                                        : run_tensors(check, run, index, arena, error);
}

static size_t request_count(const struct check *check)
{
    return check->version->task != NULL ? sizeof texts / sizeof texts[0] + 1 : sizeof free_sizes / sizeof free_sizes[0];
}

/* ---- comparing ---- */

static enum md_code compare_outputs(struct check *check, struct md_error *error)
{
    const struct md_session *session = check->version->session;
    for (size_t i = 0; i < md_session_output_count(session); i++) {
        enum md_code code = md_output_difference_add(&check->differences[i], md_run_output(check->run, i),
                                                     md_run_output(check->reference_run, i), error);
        if (code != MD_OK)
            return md_fail_prefix(error, code, "output \"%s\"", md_session_output(session, i)->name);
    }
    return MD_OK;
}

/* A request that the model refuses in FP32 proves nothing and is passed over: sizes that fit nobody, memory. */
static enum md_code compare_request(struct check *check, size_t index, struct md_error *error)
{
    struct md_arena arena; /* inputs: needed until the outputs are compared */
    md_arena_init(&arena, check->version->counting.parent, 0);
    enum md_code code = run_request(check, check->reference_run, index, &arena, &check->refusal);
    if (code != MD_OK) {
        check->refused = code;
        code = MD_OK;
    } else {
        code = run_request(check, check->run, index, &arena, error);
        if (code == MD_OK)
            code = compare_outputs(check, error);
    }
    md_arena_cleanup(&arena);
    return code;
}

/* ---- verdict ---- */

static enum md_code fail_nothing_compared(const struct check *check, struct md_error *error)
{
    bool refused = check->refused != MD_OK;
    return md_fail(error, check->refused == MD_RESOURCE_EXHAUSTED ? check->refused : MD_FAILED_PRECONDITION,
                   "nothing to compare with fp32: %.300s",
                   refused ? check->refusal.message : "the model has no output of floating point");
}

static enum md_code judge(const struct check *check, struct md_accuracy *accuracy, struct md_error *error)
{
    const struct md_session *session = check->version->session;
    size_t count = 0;
    for (size_t i = 0; i < md_session_output_count(session); i++) {
        double ratio = md_output_difference_ratio(&check->differences[i]);
        if (ratio > accuracy->bound)
            return md_fail(error, MD_FAILED_PRECONDITION,
                           "output \"%s\" differs from fp32 by %.3g of its largest value, limit is %.3g",
                           md_session_output(session, i)->name, ratio, accuracy->bound);
        accuracy->difference = ratio > accuracy->difference ? ratio : accuracy->difference;
        count += check->differences[i].count;
    }
    return count > 0 ? MD_OK : fail_nothing_compared(check, error);
}

static enum md_code prepare(struct check *check, const char *directory, struct md_error *error)
{
    const struct md_loaded_version *version = check->version;
    check->differences = md_arena_allocate_zeroed(&check->arena, md_session_output_count(version->session),
                                                  sizeof *check->differences);
    if (check->differences == NULL)
        return md_fail_memory(error, "accuracy check");
    MD_TRY(md_loaded_version_open_session(version->pool, version->counting.parent, directory, MD_PRECISION_FP32, 0,
                                          &check->reference,
                                          error));
    MD_TRY(md_run_create(check->reference, &check->reference_run, error));
    return md_run_create(version->session, &check->run, error);
}

enum md_code md_loaded_version_check_accuracy(struct md_loaded_version *version, const char *directory,
                                              struct md_error *error)
{
    struct check check = { .version = version };
    md_arena_init(&check.arena, version->counting.parent, 0);
    enum md_code code = prepare(&check, directory, error);
    for (size_t i = 0; i < request_count(&check) && code == MD_OK; i++)
        code = compare_request(&check, i, error);
    if (code == MD_OK)
        code = judge(&check, &version->accuracy, error);
    md_run_destroy(check.run);
    md_run_destroy(check.reference_run);
    md_session_destroy(check.reference);
    md_arena_cleanup(&check.arena);
    if (code == MD_OK)
        return MD_OK;
    return md_fail_prefix(error, code, "precision %s", md_precision_name(version->accuracy.precision));
}
