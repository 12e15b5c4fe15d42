/* warm_up.c - the first run of a version, before anyone waits for it: it faults in the weights, makes the
 * memory plan, and shows whether the version works at all. */
#include "loaded_version.h"

#include "arena.h"
#include "session.h"
#include "task.h"
#include "trial.h"

static enum md_code warm_up_task(struct md_loaded_version *version, struct md_run *run,
                                 struct md_arena *arena, struct md_error *error)
{
    const struct md_span text = md_span_of("The first words that this model reads.");
    struct md_task_result result;
    enum md_code code = md_task_predict(version->task, run, arena, &text, NULL, 1, NULL, &result, error);
    return code == MD_OK ? MD_OK : md_fail_prefix(error, code, "warm-up");
}

static void warm_up_tensors(struct md_loaded_version *version, struct md_run *run, struct md_arena *arena)
{
    enum md_code code = md_trial_set_inputs(version->session, run, NULL, arena, NULL);
    if (code == MD_OK)
        code = md_run_execute(run, NULL);
    (void)code; /* what was made up need not make sense to the model */
}

enum md_code md_loaded_version_warm_up(struct md_loaded_version *version, struct md_error *error)
{
    struct md_run *run = NULL;
    struct md_arena arena;
    MD_TRY(md_loaded_version_take_run(version, &run, error));
    md_arena_init(&arena, &version->counting.allocator, 0);
    enum md_code code = MD_OK;
    if (version->task != NULL)
        code = warm_up_task(version, run, &arena, error);
    else
        warm_up_tensors(version, run, &arena);
    md_arena_cleanup(&arena);
    md_loaded_version_return_run(version, run);
    return code;
}
