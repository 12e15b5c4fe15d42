/* elementwise.c - see elementwise.h. */
#include "elementwise.h"

#include "parallel.h"
#include "parameters.h"

struct legacy_broadcast {
    bool enabled;
    bool has_axis;
    int64_t axis;
};

enum { LAST_LEGACY_OPSET = 6 };

enum md_code md_fail_datatype(struct md_invocation *invocation, enum md_datatype datatype)
{
    return md_fail(invocation->error, MD_UNIMPLEMENTED, "%s has no kernel for %s", invocation->row->op_type,
                   md_datatype_name(datatype));
}

enum md_code md_legacy_broadcast_configure(const struct md_configuration *configuration,
                                           const void **out_parameters)
{
    struct legacy_broadcast *legacy = md_parameters_new(configuration, sizeof *legacy);
    int64_t enabled = 0;
    if (legacy == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_attribute_int(configuration->attributes, "broadcast", 0, &enabled, configuration->error));
    MD_TRY(md_attribute_int(configuration->attributes, "axis", 0, &legacy->axis, configuration->error));
    legacy->enabled = enabled != 0;
    legacy->has_axis = md_attribute_find(configuration->attributes, "axis") != NULL;
    *out_parameters = legacy;
    return MD_OK;
}

static enum md_code fail_shapes(struct md_invocation *invocation, const struct md_shape *a,
                                const struct md_shape *b)
{
    char a_text[MD_SHAPE_TEXT_SIZE], b_text[MD_SHAPE_TEXT_SIZE];
    return md_fail(invocation->error, MD_INVALID_ARGUMENT, "shapes %s and %s do not broadcast",
                   md_shape_text(a, a_text, sizeof a_text), md_shape_text(b, b_text, sizeof b_text));
}

/* Opset 1-6: b is a run of a's dimensions, from `axis` on or at the end; it becomes b with ones appended. */
static enum md_code legacy_shapes(struct md_invocation *invocation, const struct legacy_broadcast *legacy,
                                  const struct md_shape *a, struct md_shape *b, struct md_shape *out_target)
{
    const struct md_shape original = *b;
    int64_t start = 0;
    if (!legacy->enabled) {
        *out_target = *a;
        return md_shape_equal(a, b) ? MD_OK : fail_shapes(invocation, a, b);
    }
    start = a->rank - b->rank;
    if (legacy->has_axis) /* exporters also wrote -1 */
        start = legacy->axis < 0 && legacy->axis >= -MD_MAX_RANK ? legacy->axis + a->rank : legacy->axis;
    if (start < 0 || start > MD_MAX_RANK || start + b->rank > a->rank)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "axis %lld with inputs of rank %d and %d: input 1 does not lie inside input 0",
                       (long long)legacy->axis, (int)a->rank, (int)b->rank);
    b->rank = a->rank - (int32_t)start;
    for (int32_t i = original.rank; i < b->rank; i++)
        b->dims[i] = 1;
    if (!md_shape_broadcast(a, b, out_target) || !md_shape_equal(out_target, a))
        return fail_shapes(invocation, a, &original);
    return MD_OK;
}

enum md_code md_binary_shapes(struct md_invocation *invocation, struct md_shape *out_b,
                              struct md_shape *out_target)
{
    const struct md_tensor *a = md_input(invocation, 0), *b = md_input(invocation, 1);
    *out_b = b->shape;
    if (invocation->row->to <= LAST_LEGACY_OPSET && invocation->parameters != NULL)
        return legacy_shapes(invocation, invocation->parameters, &a->shape, out_b, out_target);
    if (!md_shape_broadcast(&a->shape, &b->shape, out_target))
        return fail_shapes(invocation, &a->shape, &b->shape);
    return MD_OK;
}

static enum md_code binary_prepare_as(struct md_invocation *invocation, enum md_datatype datatype)
{
    struct md_shape b, target;
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_expect_tensor(invocation, 1));
    MD_TRY(md_expect_same_datatype(invocation, 0, 1));
    MD_TRY(md_binary_shapes(invocation, &b, &target));
    if (datatype == MD_DATATYPE_NONE)
        datatype = md_input(invocation, 0)->datatype;
    return md_output(invocation, 0, datatype, &target);
}

enum md_code md_binary_prepare(struct md_invocation *invocation)
{
    return binary_prepare_as(invocation, MD_DATATYPE_NONE);
}

enum md_code md_binary_prepare_bool(struct md_invocation *invocation)
{
    return binary_prepare_as(invocation, MD_BOOL);
}

enum md_code md_binary_run_shapes(struct md_invocation *invocation, const md_binary_fn *kernels,
                                  const struct md_shape *b_shape, const struct md_shape *target)
{
    const struct md_tensor *a = md_input(invocation, 0), *b = md_input(invocation, 1);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    md_binary_fn kernel = kernels[a->datatype];
    const struct md_shape *shapes[] = { &a->shape, b_shape };
    struct md_broadcast_loop loop;
    if (output == NULL || output->count == 0)
        return MD_OK;
    if (kernel == NULL)
        return md_fail_datatype(invocation, a->datatype);
    size_t in_size = md_datatype_size(a->datatype), out_size = md_datatype_size(output->datatype);
    for (md_broadcast_loop_start(&loop, target, 2, shapes); loop.runs > 0; md_broadcast_loop_next(&loop))
        kernel(loop.inner, (const char *)a->bytes + loop.offsets[0] * in_size, loop.steps[0],
               (const char *)b->bytes + loop.offsets[1] * in_size, loop.steps[1],
               (char *)output->bytes + loop.position * out_size);
    return MD_OK;
}

enum md_code md_binary_run(struct md_invocation *invocation, const md_binary_fn *kernels)
{
    struct md_shape b, target;
    MD_TRY(md_binary_shapes(invocation, &b, &target));
    return md_binary_run_shapes(invocation, kernels, &b, &target);
}

struct unary {
    md_unary_fn kernel;
    const void *parameters;
    const struct md_tensor *input;
    struct md_tensor *output;
};

static void run_unary(void *context, size_t first, size_t count, size_t slot)
{
    const struct unary *unary = context;
    (void)slot; /* needs no scratch */
    unary->kernel(count, (const char *)unary->input->bytes + first * md_datatype_size(unary->input->datatype),
                  (char *)unary->output->bytes + first * md_datatype_size(unary->output->datatype), unary->parameters);
}

enum md_code md_unary_run(struct md_invocation *invocation, const md_unary_fn *kernels)
{
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    md_unary_fn kernel = kernels[input->datatype];
    if (output == NULL || output->count == 0)
        return MD_OK;
    if (kernel == NULL)
        return md_fail_datatype(invocation, input->datatype);
    struct unary unary = { kernel, invocation->parameters, input, output };
    md_parallel_elements(invocation, output->count, MD_COST_MOVE, run_unary, &unary);
    return MD_OK;
}

enum md_code md_unary_prepare_bool(struct md_invocation *invocation)
{
    MD_TRY(md_expect_tensor(invocation, 0));
    return md_output(invocation, 0, MD_BOOL, &md_input(invocation, 0)->shape);
}
