/* batch_normalization.c - BatchNormalization, inference and (for its outputs only) training statistics.
 *
 * The input is [batch, channels, inner]. Opsets 1-13 train when outputs beyond Y are asked for, 14 and later when
 * training_mode is set. `spatial` = 0 (opsets 1-8) has one scale per channel and position, so every position is a
 * channel. The running values are old * momentum + batch * (1 - momentum), variances are those of the population. */
#include "elementwise.h"
#include "operator_table.h"

#include "parameters.h"

#include <math.h>

struct batch_parameters {
    float epsilon, momentum;
    bool training; /* opset >= 14 */
    bool spatial;
};

struct layout {
    size_t batch, channels, inner;
};

static enum md_code batch_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    const struct md_attributes *attributes = configuration->attributes;
    struct batch_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    int64_t training = 0, spatial = 1, is_test = 0;
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_attribute_float(attributes, "epsilon", 1e-5f, &parameters->epsilon, configuration->error));
    MD_TRY(md_attribute_float(attributes, "momentum", 0.9f, &parameters->momentum, configuration->error));
    MD_TRY(md_attribute_int(attributes, "training_mode", 0, &training, configuration->error));
    MD_TRY(md_attribute_int(attributes, "spatial", 1, &spatial, configuration->error));
    if (configuration->opset < 7)
        MD_TRY(md_attribute_int(attributes, "is_test", 0, &is_test, configuration->error));
    parameters->training = configuration->opset >= 14 ? training != 0 : is_test == 0 && configuration->output_count > 1;
    parameters->spatial = spatial != 0;
    *out_parameters = parameters;
    return MD_OK;
}

static struct layout layout_of(const struct md_invocation *invocation)
{
    const struct batch_parameters *parameters = invocation->parameters;
    const struct md_shape *shape = &md_input(invocation, 0)->shape;
    struct layout layout = { 1, 1, 1 };
    if (shape->rank > 0)
        layout.batch = (size_t)shape->dims[0];
    if (shape->rank > 1 && !parameters->spatial)
        layout.channels = md_shape_product(shape, 1, shape->rank);
    else if (shape->rank > 1) {
        layout.channels = (size_t)shape->dims[1];
        layout.inner = md_shape_product(shape, 2, shape->rank);
    }
    return layout;
}

static enum md_code batch_prepare(struct md_invocation *invocation)
{
    const struct batch_parameters *parameters = invocation->parameters;
    for (size_t i = 0; i < 5; i++) {
        MD_TRY(md_expect_tensor(invocation, i));
        MD_TRY(md_expect_datatype(invocation, i, MD_TYPES_FLOAT));
    }
    const struct layout layout = layout_of(invocation);
    for (size_t i = 1; i < 5; i++)
        if (md_input(invocation, i)->count != layout.channels)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "input %zu has %zu elements: input 0 has %zu channels", i, md_input(invocation, i)->count,
                           layout.channels);
    for (size_t i = 1; i < invocation->output_count; i++) {
        const struct md_tensor *like = md_input(invocation, i % 2 == 1 ? 3 : 4);
        if (!parameters->training && md_wants_output(invocation, i))
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "output %zu exists in training mode only", i);
        MD_TRY(md_output(invocation, i, like->datatype, &like->shape));
    }
    return md_prepare_same(invocation);
}

/* Mean and population variance of one channel over batch and inner. */
#define MOMENTS(type)                                                                                        \
    static void moments_##type(const struct layout *layout, const type *channel, double *out_mean,           \
                               double *out_variance)                                                         \
    {                                                                                                        \
        const double count = (double)layout->batch * (double)layout->inner;                                  \
        const size_t stride = layout->channels * layout->inner;                                              \
        double sum = 0, squares = 0;                                                                         \
        for (size_t n = 0; n < layout->batch; n++)                                                           \
            for (size_t i = 0; i < layout->inner; i++)                                                       \
                sum += (double)channel[n * stride + i];                                                      \
        *out_mean = sum / count;                                                                             \
        for (size_t n = 0; n < layout->batch; n++)                                                           \
            for (size_t i = 0; i < layout->inner; i++) {                                                     \
                const double distance = (double)channel[n * stride + i] - *out_mean;                         \
                squares += distance * distance;                                                              \
            }                                                                                                \
        *out_variance = squares / count;                                                                     \
    }
#define NORMALIZE(type)                                                                                      \
    static void normalize_##type(const struct layout *layout, const type *in, type *out, double mean,        \
                                 double factor, double bias)                                                 \
    {                                                                                                        \
        const type m = (type)mean, f = (type)factor, b = (type)bias;                                         \
        const size_t stride = layout->channels * layout->inner;                                              \
        for (size_t n = 0; n < layout->batch; n++) {                                                         \
            MD_INDEPENDENT                                                                                   \
            for (size_t i = 0; i < layout->inner; i++)                                                       \
                out[n * stride + i] = (in[n * stride + i] - m) * f + b;                                      \
        }                                                                                                    \
    }

MOMENTS(float)
MOMENTS(double)
NORMALIZE(float)
NORMALIZE(double)

/* Stores what training mode gives for channel c: running values in outputs 1, 2, batch values in 3, 4. */
static void store_statistics(struct md_invocation *invocation, size_t c, double mean, double variance)
{
    const struct batch_parameters *parameters = invocation->parameters;
    const double momentum = (double)parameters->momentum;
    for (size_t i = 1; i < invocation->output_count; i++) {
        struct md_tensor *output = md_output_tensor(invocation, i);
        const double batch = i % 2 == 1 ? mean : variance;
        const double running = md_tensor_double(md_input(invocation, i % 2 == 1 ? 3 : 4), c);
        if (output != NULL)
            md_tensor_set_double(output, c, i <= 2 ? running * momentum + batch * (1 - momentum) : batch);
    }
}

static enum md_code batch_run(struct md_invocation *invocation)
{
    const struct batch_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    const struct layout layout = layout_of(invocation);
    const bool wide = input->datatype == MD_FP64;
    for (size_t c = 0; c < layout.channels; c++) {
        double mean = md_tensor_double(md_input(invocation, 3), c);
        double variance = md_tensor_double(md_input(invocation, 4), c);
        const size_t start = c * layout.inner;
        if (parameters->training) {
            mean = variance = 0; /* of no elements */
            if (input->count > 0 && wide)
                moments_double(&layout, md_elements(const double, input) + start, &mean, &variance);
            else if (input->count > 0)
                moments_float(&layout, md_elements(const float, input) + start, &mean, &variance);
            store_statistics(invocation, c, mean, variance);
        }
        const double factor = md_tensor_double(md_input(invocation, 1), c) /
                              sqrt(variance + (double)parameters->epsilon);
        const double bias = md_tensor_double(md_input(invocation, 2), c);
        if (output == NULL || output->count == 0)
            continue;
        if (wide)
            normalize_double(&layout, md_elements(const double, input) + start, md_elements(double, output) + start,
                             mean, factor, bias);
        else
            normalize_float(&layout, md_elements(const float, input) + start, md_elements(float, output) + start,
                            mean, factor, bias);
    }
    return MD_OK;
}

#define ROW(from, to, outputs)                                                                               \
    { MD_ONNX, "BatchNormalization", from, to, 5, 5, 1, outputs, MD_TYPES_FLOAT, MD_TYPES_WIDE_FLOAT,        \
      MD_IN_PLACE, batch_configure, batch_prepare, batch_run }

const struct md_operator md_operators_batch_normalization[] = {
    ROW(1, 8, 5),
    ROW(9, 13, 5),
    ROW(14, MD_OPSET_NEWEST, 3),
    { 0 },
};
