/* fused_attention.c - "Attention" of the internal domain, made by graph passes: what exporters write as Transpose,
 * MatMul, scale, mask, Softmax, MatMul, Transpose.
 *
 * Inputs: q, k, v of rank 4, mask (optional, added to the scores). Attributes perm_q, perm_k, perm_v bring them to
 * [batch, heads, rows, size]; perm_out takes the result of that layout to the output's. Batch and heads broadcast as in
 * MatMul. The transposes are only strides: nothing is copied. */
#include "checked.h"
#include "operator_table.h"
#include "parallel.h"
#include "parameters.h"
#include "vector_loops.h"

enum { RANK = 4, ALIGNMENT = 64 };

struct attention_parameters {
    float scale;
    const struct md_attention_loops *rounded; /* NULL: FP32 */
    int32_t permutations[4][RANK]; /* of q, k, v, output */
};

/* An operand seen as [batch, heads, rows, size]. */
struct view {
    int64_t dims[RANK];
    int64_t strides[RANK];
};

struct problem {
    struct view q, k, v, output, mask;
    struct md_shape output_shape;
    bool gathered[3]; /* elements of a row of q, k, v are apart: rows are copied first */
    size_t copies[3]; /* elements of those copies */
    size_t workspace; /* bytes of one head, all told */
};

static enum md_code read_permutation(const struct md_configuration *configuration, const char *name,
                                     int32_t out_permutation[RANK])
{
    const int64_t *values;
    size_t count;
    MD_TRY(md_attribute_ints(configuration->attributes, name, &values, &count, configuration->error));
    unsigned seen = 0;
    for (size_t i = 0; i < RANK; i++) {
        int64_t axis = count == RANK ? values[i] : (int64_t)i;
        if (axis < 0 || axis >= RANK)
            return md_fail(configuration->error, MD_INTERNAL, "%s is not a permutation", name);
        seen |= 1u << axis;
        out_permutation[i] = (int32_t)axis;
    }
    return seen == 15 ? MD_OK : md_fail(configuration->error, MD_INTERNAL, "%s is not a permutation", name);
}

static enum md_code attention_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    static const char *const names[] = { "perm_q", "perm_k", "perm_v", "perm_out" };
    struct attention_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    parameters->rounded = configuration->precision == MD_PRECISION_FP32 ? NULL : md_attention_bf16();
    MD_TRY(md_attribute_float(configuration->attributes, "scale", 1.0f, &parameters->scale, configuration->error));
    for (size_t i = 0; i < 4; i++)
        MD_TRY(read_permutation(configuration, names[i], parameters->permutations[i]));
    *out_parameters = parameters;
    return MD_OK;
}

static struct view view_of(const struct md_shape *shape, const int32_t permutation[RANK])
{
    struct view view;
    int64_t strides[MD_MAX_RANK];
    md_shape_strides(shape, strides);
    for (size_t i = 0; i < RANK; i++) {
        view.dims[i] = shape->dims[permutation[i]];
        view.strides[i] = strides[permutation[i]];
    }
    return view;
}

/* Broadcast of batch and heads (axes 0 and 1). False: they do not fit. */
static bool broadcast(struct view *view, int64_t dims[2])
{
    for (size_t i = 0; i < 2; i++) {
        if (dims[i] == 1)
            dims[i] = view->dims[i];
        if (view->dims[i] != dims[i] && view->dims[i] != 1)
            return false;
    }
    return true;
}

static void drop_single_strides(struct view *view)
{
    for (size_t i = 0; i < RANK; i++)
        if (view->dims[i] == 1)
            view->strides[i] = 0;
}

static bool view_mask(const struct md_tensor *mask, struct view *out_view)
{
    int64_t strides[MD_MAX_RANK];
    if (mask->shape.rank > RANK)
        return false;
    md_shape_strides(&mask->shape, strides);
    for (int32_t i = 0; i < RANK; i++) {
        int32_t axis = i - (RANK - mask->shape.rank);
        out_view->dims[i] = axis < 0 ? 1 : mask->shape.dims[axis];
        out_view->strides[i] = axis < 0 ? 0 : strides[axis];
    }
    return true;
}

static enum md_code fail_shapes(const struct md_invocation *invocation)
{
    char texts[4][MD_SHAPE_TEXT_SIZE] = { "", "", "", "none" };
    for (size_t i = 0; i < 4; i++)
        if (md_input(invocation, i) != NULL)
            (void)md_shape_text(&md_input(invocation, i)->shape, texts[i], sizeof texts[i]); /* fills the text */
    return md_fail(invocation->error, MD_INVALID_ARGUMENT, "attention cannot join q %s, k %s, v %s, mask %s", texts[0],
                   texts[1], texts[2], texts[3]);
}

static bool describe_mask(const struct md_tensor *mask, struct problem *problem, int64_t batch[2])
{
    struct view *view = &problem->mask;
    if (mask == NULL)
        return true;
    if (!view_mask(mask, view) || !broadcast(view, batch))
        return false;
    if ((view->dims[2] != 1 && view->dims[2] != problem->q.dims[2]) ||
        (view->dims[3] != 1 && view->dims[3] != problem->k.dims[2]))
        return false;
    drop_single_strides(view);
    return true;
}

static size_t aligned(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* The output's rows must be dense for the kernel; else they are computed into a copy. */
static size_t output_copy(const struct problem *problem)
{
    return problem->output.strides[3] == 1 ? 0 : (size_t)(problem->output.dims[2] * problem->output.dims[3]);
}

static bool workspace_of(const struct attention_parameters *parameters, const struct problem *problem, size_t *out_bytes)
{
    const size_t keys = (size_t)problem->k.dims[2], size = (size_t)problem->k.dims[3];
    const size_t value_size = (size_t)problem->v.dims[3];
    return parameters->rounded != NULL ? parameters->rounded->workspace(keys, size, value_size, out_bytes) :
                                         md_vector_loops()->attention_workspace(keys, size, value_size, out_bytes);
}

/* False: overflow. The copies are smaller than tensors that exist: their sizes cannot overflow. */
static bool measure_workspace(const struct attention_parameters *parameters, struct problem *problem)
{
    size_t bytes;
    if (!workspace_of(parameters, problem, &bytes))
        return false;
    bytes = aligned(bytes);
    for (size_t i = 0; i < 3; i++)
        bytes += aligned(problem->copies[i] * sizeof(float));
    problem->workspace = bytes + aligned(output_copy(problem) * sizeof(float));
    return true;
}

static enum md_code describe(const struct md_invocation *invocation, struct problem *out_problem)
{
    const struct attention_parameters *parameters = invocation->parameters;
    struct problem problem = { .workspace = 0 };
    struct view *const views[] = { &problem.q, &problem.k, &problem.v };
    int64_t batch[2] = { 1, 1 };
    for (size_t i = 0; i < 3; i++) {
        *views[i] = view_of(&md_input(invocation, i)->shape, parameters->permutations[i]);
        if (!broadcast(views[i], batch))
            return fail_shapes(invocation);
    }
    if (problem.q.dims[3] != problem.k.dims[3] || problem.k.dims[2] != problem.v.dims[2] ||
        !describe_mask(md_input(invocation, 3), &problem, batch))
        return fail_shapes(invocation);
    for (size_t i = 0; i < 3; i++) {
        struct view *view = views[i];
        if (!broadcast(view, batch)) /* against what k, v and the mask made of it */
            return fail_shapes(invocation);
        problem.gathered[i] = view->strides[3] != 1 && view->dims[3] > 1;
        problem.copies[i] = problem.gathered[i] ? (size_t)(view->dims[2] * view->dims[3]) : 0;
        drop_single_strides(view);
    }
    const int64_t dims[RANK] = { batch[0], batch[1], problem.q.dims[2], problem.v.dims[3] };
    problem.output_shape.rank = RANK;
    for (size_t i = 0; i < RANK; i++)
        problem.output_shape.dims[i] = dims[parameters->permutations[3][i]];
    int64_t strides[MD_MAX_RANK];
    md_shape_strides(&problem.output_shape, strides);
    for (size_t i = 0; i < RANK; i++) {
        problem.output.dims[parameters->permutations[3][i]] = problem.output_shape.dims[i];
        problem.output.strides[parameters->permutations[3][i]] = strides[i];
    }
    if (!measure_workspace(parameters, &problem))
        return fail_shapes(invocation);
    *out_problem = problem;
    return MD_OK;
}

/* In multiply-adds. */
static double head_cost(const struct problem *problem)
{
    return (double)problem->q.dims[2] * (double)problem->k.dims[2] *
           ((double)(problem->q.dims[3] + problem->v.dims[3]) + MD_COST_NORMALIZE);
}

static size_t head_count(const struct problem *problem)
{
    return (size_t)(problem->output.dims[0] * problem->output.dims[1]);
}

static void attend(const struct attention_parameters *parameters, const struct md_attention_head *head, void *workspace)
{
    if (parameters->rounded != NULL)
        parameters->rounded->run(head, workspace);
    else
        md_vector_loops()->attention(head, workspace);
}

static enum md_code attention_prepare(struct md_invocation *invocation)
{
    struct problem problem;
    size_t bytes;
    for (size_t i = 0; i < 3; i++)
        MD_TRY(md_expect_tensor_rank(invocation, i, RANK, RANK));
    for (size_t i = 1; i < 4; i++)
        MD_TRY(md_expect_same_datatype(invocation, 0, i));
    MD_TRY(describe(invocation, &problem));
    const size_t slots = md_parallel_slots(invocation, head_count(&problem), head_cost(&problem));
    if (!md_checked_multiply(problem.workspace, slots, &bytes))
        return fail_shapes(invocation);
    MD_TRY(md_output(invocation, 0, MD_FP32, &problem.output_shape));
    return md_scratch(invocation, bytes);
}

/* Rows of one operand of one head; copied to `copy` where their elements are apart. Advances *copy. */
static const float *rows_of(const struct md_tensor *tensor, const struct view *view, const int64_t at[2],
                            bool gathered, char **copy, ptrdiff_t *out_stride)
{
    const float *from = md_elements(const float, tensor) + at[0] * view->strides[0] + at[1] * view->strides[1];
    *out_stride = (ptrdiff_t)view->strides[2];
    if (!gathered)
        return from;
    float *to = (float *)(void *)*copy;
    for (int64_t i = 0; i < view->dims[2]; i++)
        for (int64_t j = 0; j < view->dims[3]; j++)
            to[i * view->dims[3] + j] = from[i * view->strides[2] + j * view->strides[3]];
    *copy += aligned((size_t)(view->dims[2] * view->dims[3]) * sizeof(float));
    *out_stride = (ptrdiff_t)view->dims[3];
    return to;
}

static void run_head(const struct md_invocation *invocation, const struct problem *problem, const int64_t at[2],
                     char *copy)
{
    const struct attention_parameters *parameters = invocation->parameters;
    const struct md_tensor *mask = md_input(invocation, 3);
    const struct view *output = &problem->output;
    float *to = md_elements(float, md_output_tensor(invocation, 0)) + at[0] * output->strides[0] +
                at[1] * output->strides[1];
    struct md_attention_head head = {
        .queries = (size_t)problem->q.dims[2],
        .keys = (size_t)problem->k.dims[2],
        .size = (size_t)problem->q.dims[3],
        .value_size = (size_t)problem->v.dims[3],
        .scale = parameters->scale,
        .out = to,
        .out_stride = (ptrdiff_t)output->strides[2],
    };
    head.q = rows_of(md_input(invocation, 0), &problem->q, at, problem->gathered[0], &copy, &head.q_stride);
    head.k = rows_of(md_input(invocation, 1), &problem->k, at, problem->gathered[1], &copy, &head.k_stride);
    head.v = rows_of(md_input(invocation, 2), &problem->v, at, problem->gathered[2], &copy, &head.v_stride);
    if (mask != NULL) {
        head.mask = md_elements(const float, mask) + at[0] * problem->mask.strides[0] + at[1] * problem->mask.strides[1];
        head.mask_row_stride = (ptrdiff_t)problem->mask.strides[2];
        head.mask_per_key = problem->mask.dims[3] > 1;
    }
    if (output_copy(problem) == 0) {
        attend(parameters, &head, copy);
        return;
    }
    head.out = (float *)(void *)copy;
    head.out_stride = (ptrdiff_t)output->dims[3];
    attend(parameters, &head, copy + aligned(output_copy(problem) * sizeof(float)));
    for (int64_t i = 0; i < output->dims[2]; i++)
        for (int64_t j = 0; j < output->dims[3]; j++)
            to[i * output->strides[2] + j * output->strides[3]] = head.out[i * output->dims[3] + j];
}

struct heads {
    struct md_invocation *invocation;
    const struct problem *problem;
};

static void run_heads(void *context, size_t first, size_t count, size_t slot)
{
    const struct heads *heads = context;
    const struct problem *problem = heads->problem;
    for (size_t i = first; i < first + count; i++) {
        const int64_t at[2] = { (int64_t)i / problem->output.dims[1], (int64_t)i % problem->output.dims[1] };
        run_head(heads->invocation, problem, at, (char *)heads->invocation->scratch + slot * problem->workspace);
    }
}

static enum md_code attention_run(struct md_invocation *invocation)
{
    struct md_tensor *output = md_output_tensor(invocation, 0);
    struct problem problem;
    if (output == NULL || output->count == 0)
        return MD_OK;
    MD_TRY(describe(invocation, &problem));
    if (problem.k.dims[2] == 0) { /* a sum over no keys */
        memset(output->bytes, 0, output->count * sizeof(float));
        return MD_OK;
    }
    struct heads heads = { invocation, &problem };
    md_parallel(invocation, head_count(&problem), head_cost(&problem), run_heads, &heads);
    return MD_OK;
}

const struct md_operator md_operators_fused_attention[] = {
    { MD_INTERNAL_DOMAIN, "Attention", 1, 1, 3, 4, 1, 1, MD_TYPE(MD_FP32), MD_TYPE(MD_FP32), 0, attention_configure,
      attention_prepare, attention_run },
    { 0 },
};
