/* global_pool.c - GlobalAveragePool, GlobalMaxPool, GlobalLpPool: one number per channel. */
#include "operator_table.h"
#include "parameters.h"

#include <tgmath.h>

struct global_parameters {
    double p; /* of the norm */
};

static enum md_code global_prepare(struct md_invocation *invocation)
{
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_expect_rank(invocation, 0, 2, MD_MAX_RANK));
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_shape output = input->shape;
    char text[MD_SHAPE_TEXT_SIZE];
    for (int32_t i = 2; i < output.rank; i++)
        output.dims[i] = 1;
    if (input->count == 0 && md_shape_product(&output, 0, 2) != 0)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input of shape %s has empty channels",
                       md_shape_text(&input->shape, text, sizeof text));
    return md_output(invocation, 0, input->datatype, &output);
}

/* Runs `statement`, which makes `result` of `plane` values, for each channel. */
#define FOR_EACH_CHANNEL(type, statement)                                                                    \
    for (size_t channel = 0; channel < output->count; channel++) {                                           \
        const type *values = md_elements(const type, input) + channel * plane;                               \
        type result = 0;                                                                                     \
        statement md_elements(type, output)[channel] = result;                                               \
    }

#define MAX_CHANNEL                                                                                          \
    {                                                                                                        \
        result = values[0];                                                                                  \
        for (size_t i = 1; i < plane; i++)                                                                   \
            result = values[i] > result || values[i] != values[i] ? values[i] : result;                      \
    }
#define AVERAGE_CHANNEL(type)                                                                                \
    {                                                                                                        \
        double sum = 0;                                                                                      \
        for (size_t i = 0; i < plane; i++)                                                                   \
            sum += (double)values[i];                                                                        \
        result = (type)(sum / (double)plane);                                                                \
    }
#define NORM_CHANNEL(type)                                                                                   \
    {                                                                                                        \
        double sum = 0;                                                                                      \
        for (size_t i = 0; i < plane; i++)                                                                   \
            sum += p == 1.0   ? fabs((double)values[i])                                                      \
                   : p == 2.0 ? (double)values[i] * (double)values[i]                                        \
                              : pow(fabs((double)values[i]), p);                                             \
        result = (type)(p == 1.0 ? sum : p == 2.0 ? sqrt(sum) : pow(sum, 1.0 / p));                          \
    }

static enum md_code max_run(struct md_invocation *invocation)
{
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    size_t plane = input->count / output->count;
    if (input->datatype == MD_FP32)
        FOR_EACH_CHANNEL(float, MAX_CHANNEL)
    else
        FOR_EACH_CHANNEL(double, MAX_CHANNEL)
    return MD_OK;
}

static enum md_code average_run(struct md_invocation *invocation)
{
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    size_t plane = input->count / output->count;
    if (input->datatype == MD_FP32)
        FOR_EACH_CHANNEL(float, AVERAGE_CHANNEL(float))
    else
        FOR_EACH_CHANNEL(double, AVERAGE_CHANNEL(double))
    return MD_OK;
}

static enum md_code norm_run(struct md_invocation *invocation)
{
    const struct global_parameters *parameters = invocation->parameters;
    const double p = parameters->p;
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    size_t plane = input->count / output->count;
    if (input->datatype == MD_FP32)
        FOR_EACH_CHANNEL(float, NORM_CHANNEL(float))
    else
        FOR_EACH_CHANNEL(double, NORM_CHANNEL(double))
    return MD_OK;
}

/* p is a float in opset 1 and an integer from opset 2 on. */
static enum md_code norm_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    const struct md_attribute *p = md_attribute_find(configuration->attributes, "p");
    struct global_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    if (p != NULL && p->kind == MD_ATTRIBUTE_FLOAT) {
        parameters->p = (double)p->value.f;
    } else {
        int64_t whole = 2;
        MD_TRY(md_attribute_int(configuration->attributes, "p", 2, &whole, configuration->error));
        parameters->p = (double)whole;
    }
    if (!(parameters->p > 0))
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "attribute p is %g, it must be positive",
                       parameters->p);
    *out_parameters = parameters;
    return MD_OK;
}

#define NATIVE (MD_TYPE(MD_FP32) | MD_TYPE(MD_FP64))

const struct md_operator md_operators_global_pool[] = {
    { MD_ONNX, "GlobalAveragePool", 1, MD_OPSET_NEWEST, 1, 1, 1, 1, MD_TYPES_FLOAT, NATIVE, 0, NULL,
      global_prepare, average_run },
    { MD_ONNX, "GlobalLpPool", 1, MD_OPSET_NEWEST, 1, 1, 1, 1, MD_TYPES_FLOAT, NATIVE, 0, norm_configure,
      global_prepare, norm_run },
    { MD_ONNX, "GlobalMaxPool", 1, MD_OPSET_NEWEST, 1, 1, 1, 1, MD_TYPES_FLOAT, NATIVE, 0, NULL,
      global_prepare, max_run },
    { 0 },
};
