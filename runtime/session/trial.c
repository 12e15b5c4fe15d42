/* trial.c - see trial.h. */
#include "trial.h"

#include "graph.h"
#include "session.h"

enum { MAX_TRIAL_BYTES = 1 << 30 };

static int64_t dim_size(const struct md_value_type *type, int32_t axis, const struct md_trial_dim *dims,
                        size_t dim_count)
{
    const char *name = type->dim_names != NULL ? type->dim_names[axis] : NULL;
    for (size_t i = 0; name != NULL && i < dim_count; i++)
        if (md_span_equal(md_span_of(name), dims[i].name))
            return dims[i].size;
    return 1;
}

static void fill(struct md_tensor *tensor)
{
    if (!md_datatype_in(tensor->datatype, MD_TYPES_INTEGER | MD_TYPE(MD_BOOL)))
        return;
    for (size_t i = 0; i < tensor->count; i++)
        md_tensor_set_double(tensor, i, 1);
}

static enum md_code set_input(const struct md_session *session, struct md_run *run, size_t index,
                              const struct md_trial_dim *dims, size_t dim_count, struct md_arena *arena,
                              struct md_error *error)
{
    const struct md_graph *graph = md_session_model(session)->graph;
    const struct md_value_type *type = &graph->values[graph->inputs[index]].type;
    const struct md_signature *signature = md_session_input(session, index);
    if (!signature->is_tensor || !signature->has_shape)
        return md_fail(error, MD_UNIMPLEMENTED, "input \"%s\" is no tensor of a known rank: nothing can be made up for it",
                       signature->name);
    struct md_shape shape = signature->shape;
    for (int32_t i = 0; i < shape.rank; i++)
        if (shape.dims[i] < 0)
            shape.dims[i] = dim_size(type, i, dims, dim_count);
    struct md_tensor tensor;
    enum md_code code = md_tensor_describe(signature->datatype, &shape, NULL, &tensor, error);
    if (code != MD_OK)
        return md_fail_prefix(error, code, "input \"%s\"", signature->name);
    if (md_tensor_size(&tensor) > MAX_TRIAL_BYTES)
        return md_fail(error, MD_RESOURCE_EXHAUSTED, "input \"%s\" would have %zu bytes, limit is %d", signature->name,
                       md_tensor_size(&tensor), (int)MAX_TRIAL_BYTES);
    tensor.bytes = md_arena_allocate_zeroed(arena, 1, md_tensor_size(&tensor));
    if (tensor.bytes == NULL)
        return md_fail_memory(error, "made-up input");
    fill(&tensor);
    return md_run_set_input_tensor(run, index, &tensor, error);
}

enum md_code md_trial_set_inputs(const struct md_session *session, struct md_run *run, const struct md_trial_dim *dims,
                                 size_t dim_count, struct md_arena *arena, struct md_error *error)
{
    for (size_t i = 0; i < md_session_input_count(session); i++)
        MD_TRY(set_input(session, run, i, dims, dim_count, arena, error));
    return MD_OK;
}
