/* warm_up.c - the first run of a version, before anyone waits for it: it faults in the weights, makes the
 * memory plan, and shows whether the version works at all. */
#include "loaded_version.h"

#include "arena.h"
#include "session.h"
#include "task.h"

#include <string.h>

enum { MAX_WARM_UP_BYTES = 256 * 1024 * 1024 };

static enum md_code warm_up_task(struct md_loaded_version *version, struct md_run *run,
                                 struct md_arena *arena, struct md_error *error)
{
    const struct md_span text = md_span_of("The first words that this model reads.");
    struct md_task_result result;
    enum md_code code = md_task_predict(version->task, run, arena, &text, NULL, 1, NULL, &result, error);
    return code == MD_OK ? MD_OK : md_fail_prefix(error, code, "warm-up");
}

/* Zeros in the shape of an input, its free dims being 1. False: there is no such tensor, or none of bearable
 * size. */
static bool make_input(const struct md_signature *signature, struct md_arena *arena,
                       struct md_tensor *out_tensor)
{
    struct md_shape shape = signature->shape;
    if (!signature->is_tensor || !signature->has_shape || md_datatype_size(signature->datatype) == 0)
        return false;
    for (int32_t i = 0; i < shape.rank; i++)
        if (shape.dims[i] < 0)
            shape.dims[i] = 1;
    if (md_tensor_describe(signature->datatype, &shape, NULL, out_tensor, NULL) != MD_OK ||
        md_tensor_size(out_tensor) > MAX_WARM_UP_BYTES)
        return false;
    out_tensor->bytes = md_arena_allocate_zeroed(arena, 1, md_tensor_size(out_tensor));
    return out_tensor->bytes != NULL;
}

static void warm_up_tensors(struct md_loaded_version *version, struct md_run *run, struct md_arena *arena)
{
    for (size_t i = 0; i < md_session_input_count(version->session); i++) {
        struct md_tensor tensor;
        if (!make_input(md_session_input(version->session, i), arena, &tensor) ||
            md_run_set_input_tensor(run, i, &tensor, NULL) != MD_OK)
            return;
    }
    enum md_code code = md_run_execute(run, NULL);
    (void)code; /* zeros need not make sense to the model */
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
