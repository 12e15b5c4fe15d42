/* group_normalization.c - InstanceNormalization and GroupNormalization: [batch, groups, channels, inner], each group
 * of channels is brought to mean 0 and variance 1, then each channel is scaled and shifted. An instance is a group of
 * one channel. GroupNormalization has one scale per group in opset 18, one per channel from 21 on. */
#include "elementwise.h"
#include "operator_table.h"

#include "parameters.h"
#include "row_normalization.h"

#include <math.h>

struct group_parameters {
    int64_t groups; /* 0: as many as channels */
    float epsilon;
    bool per_group; /* scale and bias */
};

static enum md_code group_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct group_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_attribute_float(configuration->attributes, "epsilon", 1e-5f, &parameters->epsilon,
                              configuration->error));
    MD_TRY(md_attribute_int(configuration->attributes, "num_groups", 0, &parameters->groups, configuration->error));
    parameters->per_group = configuration->opset < 21;
    if (parameters->groups <= 0)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "attribute num_groups is %lld: must be 1 or more",
                       (long long)parameters->groups);
    *out_parameters = parameters;
    return MD_OK;
}

static enum md_code instance_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct group_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    return md_attribute_float(configuration->attributes, "epsilon", 1e-5f, &parameters->epsilon,
                              configuration->error);
}

static enum md_code group_prepare(struct md_invocation *invocation)
{
    const struct group_parameters *parameters = invocation->parameters;
    for (size_t i = 0; i < 3; i++) {
        MD_TRY(md_expect_tensor(invocation, i));
        MD_TRY(md_expect_same_datatype(invocation, 0, i));
    }
    MD_TRY(md_expect_rank(invocation, 0, 2, MD_MAX_RANK));
    const int64_t channels = md_input(invocation, 0)->shape.dims[1];
    const int64_t groups = parameters->groups > 0 ? parameters->groups : channels;
    if (groups > 0 && channels % groups != 0)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "%lld channels are not a multiple of %lld groups",
                       (long long)channels, (long long)groups);
    for (size_t i = 1; i <= 2; i++) {
        const size_t want = (size_t)(parameters->per_group ? groups : channels);
        if (md_input(invocation, i)->count != want)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input %zu has %zu elements: must have %zu", i,
                           md_input(invocation, i)->count, want);
    }
    return md_prepare_same(invocation);
}

#define APPLY(type)                                                                                          \
    static void apply_##type(const type *in, type *out, size_t count, double mean, double factor, double bias) \
    {                                                                                                        \
        const type m = (type)mean, f = (type)factor, b = (type)bias;                                         \
        MD_INDEPENDENT                                                                                       \
        for (size_t i = 0; i < count; i++)                                                                   \
            out[i] = (in[i] - m) * f + b;                                                                    \
    }

APPLY(float)
APPLY(double)

static enum md_code group_run(struct md_invocation *invocation)
{
    const struct group_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0), *scale = md_input(invocation, 1),
                           *bias = md_input(invocation, 2);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    const size_t size = md_datatype_size(input->datatype), batch = (size_t)input->shape.dims[0];
    const size_t channels = (size_t)input->shape.dims[1];
    const size_t groups = parameters->groups > 0 ? (size_t)parameters->groups : channels;
    const size_t inner = md_shape_product(&input->shape, 2, input->shape.rank), members = channels / groups;
    for (size_t g = 0; g < batch * groups; g++) {
        const char *in = (const char *)input->bytes + g * members * inner * size;
        char *out = (char *)output->bytes + g * members * inner * size;
        double mean = 0, variance = 0;
        md_row_moments(input->datatype, in, members * inner, true, &mean, &variance);
        const double inverse = 1 / sqrt(variance + (double)parameters->epsilon);
        for (size_t m = 0; m < members; m++) {
            const size_t index = parameters->per_group ? g % groups : g % groups * members + m;
            const double factor = inverse * md_tensor_double(scale, index), shift = md_tensor_double(bias, index);
            const size_t at = m * inner * size;
            if (input->datatype == MD_FP64)
                apply_double((const double *)(const void *)(in + at), (double *)(void *)(out + at), inner, mean,
                             factor, shift);
            else
                apply_float((const float *)(const void *)(in + at), (float *)(void *)(out + at), inner, mean, factor,
                            shift);
        }
    }
    return MD_OK;
}

#define ROW(name, from, to, configure)                                                                       \
    { MD_ONNX, name, from, to, 3, 3, 1, 1, MD_TYPES_FLOAT, MD_TYPES_WIDE_FLOAT, MD_IN_PLACE, configure,      \
      group_prepare, group_run }

const struct md_operator md_operators_group_normalization[] = {
    ROW("InstanceNormalization", 1, MD_OPSET_NEWEST, instance_configure),
    ROW("GroupNormalization", 18, 20, group_configure),
    ROW("GroupNormalization", 21, MD_OPSET_NEWEST, group_configure),
    { 0 },
};
