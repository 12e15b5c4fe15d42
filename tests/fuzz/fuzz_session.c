/* fuzz_session.c - bytes into a model, a session and one run on made-up inputs: every operator's checks are in reach.
 * Whatever a file says, the end is a status: no crash, no more memory than the limit, no more time than the deadline. */
#include "arena.h"
#include "bounded_allocator.h"
#include "clock.h"
#include "fuzz_entry.h"
#include "model_import.h"
#include "session.h"
#include "trial.h"

#include <stdio.h>
#include <stdlib.h>

enum { MEMORY_LIMIT = 192 << 20, RUN_LIMIT = 16 << 20, RUN_MICROSECONDS = 200000, TOO_LONG_MICROSECONDS = 20000000 };

static void require(bool holds, const char *what, const char *message)
{
    if (holds)
        return;
    (void)fprintf(stderr, "the session breaks a promise: %s (%s)\n", what, message);
    abort();
}

static void run_session(const struct md_session *session, const struct md_allocator *allocator)
{
    struct md_run *run = NULL;
    struct md_arena arena;
    struct md_error error = { { 0 } };
    md_arena_init(&arena, allocator, 0);
    int64_t started = md_clock_us();
    if (md_run_create(session, &run, &error) == MD_OK) {
        for (int turn = 0; turn < 2; turn++) {
            md_run_set_limits(run, NULL, md_clock_us() + RUN_MICROSECONDS);
            enum md_code code = md_trial_set_inputs(session, run, NULL, &arena, &error);
            if (code == MD_OK)
                code = md_run_execute(run, &error);
            require(code == MD_OK || error.message[0] != '\0', "a failure has a message", "");
            if (code != MD_OK)
                break;
        }
    }
    require(md_clock_us() - started < TOO_LONG_MICROSECONDS, "a run ends near its deadline", error.message);
    md_run_destroy(run);
    md_arena_cleanup(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct md_bounded_allocator bounded;
    struct md_model *model = NULL;
    struct md_session *session = NULL;
    struct md_error error = { { 0 } };
    md_bounded_allocator_init(&bounded, MEMORY_LIMIT);
    if (md_model_import(&bounded.allocator, data, size, false, NULL, &model, &error) == MD_OK) {
        struct md_session_options options = { .max_run_bytes = RUN_LIMIT };
        enum md_code code = md_session_create(&bounded.allocator, model, &options, &session, &error);
        require((code == MD_OK) == (session != NULL), "a failed create leaves nothing", error.message);
        if (code == MD_OK)
            run_session(session, &bounded.allocator);
        md_session_destroy(session);
    }
    require(bounded.live == 0, "memory is given back", "");
    return 0;
}
