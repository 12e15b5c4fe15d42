/* trial.c - see trial.h. */
#include "trial.h"

#include "graph.h"
#include "session.h"

#include <math.h>

enum { MAX_TRIAL_BYTES = 256 << 20 };

/* ---- numbers ---- */

/* Marsaglia's xorshift64: the state is never 0 when the seed is not. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* In (0,1]: its logarithm exists. */
static double next_uniform(uint64_t *state)
{
    return ((double)(next_random(state) >> 11) + 1) * 0x1p-53;
}

/* Box and Muller. */
static double next_normal(uint64_t *state)
{
    const double two_pi = 6.283185307179586;
    double radius = sqrt(-2 * log(next_uniform(state)));
    return radius * cos(two_pi * next_uniform(state));
}

static void fill(struct md_tensor *tensor, uint64_t *state)
{
    bool is_count = md_datatype_in(tensor->datatype, MD_TYPES_INTEGER | MD_TYPE(MD_BOOL));
    if (!is_count && (*state == 0 || !md_datatype_in(tensor->datatype, MD_TYPES_FLOAT)))
        return;
    for (size_t i = 0; i < tensor->count; i++) {
        double value = *state == 0 ? 1 : is_count ? (double)(next_random(state) >> 63) : next_normal(state);
        md_tensor_set_double(tensor, i, value);
    }
}

/* ---- inputs ---- */

static int64_t dim_size(const struct md_value_type *type, int32_t axis, const struct md_trial_options *options)
{
    const char *name = type->dim_names != NULL ? type->dim_names[axis] : NULL;
    for (size_t i = 0; name != NULL && i < options->dim_count; i++)
        if (md_span_equal(md_span_of(name), options->dims[i].name))
            return options->dims[i].size;
    return options->free_size == 0 ? 1 : options->free_size;
}

static enum md_code set_input(const struct md_session *session, struct md_run *run, size_t index,
                              const struct md_trial_options *options, uint64_t *state, struct md_arena *arena,
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
            shape.dims[i] = dim_size(type, i, options);
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
    fill(&tensor, state);
    return md_run_set_input_tensor(run, index, &tensor, error);
}

enum md_code md_trial_set_inputs(const struct md_session *session, struct md_run *run,
                                 const struct md_trial_options *options, struct md_arena *arena, struct md_error *error)
{
    static const struct md_trial_options defaults = { .seed = 0 };
    if (options == NULL)
        options = &defaults;
    uint64_t state = options->seed;
    for (size_t i = 0; i < md_session_input_count(session); i++)
        MD_TRY(set_input(session, run, i, options, &state, arena, error));
    return MD_OK;
}
