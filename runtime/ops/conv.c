/* conv.c - Conv, and com.microsoft's FusedConv, which adds a tensor and applies an activation. */
#include "checked.h"
#include "convolution.h"
#include "gemm_operand.h"
#include "named_activation.h"
#include "operator_table.h"
#include "parallel.h"
#include "parameters.h"

struct conv_parameters {
    struct md_window_options options;
    int64_t groups;
    struct md_named_activation activation;
};

static enum md_code describe(const struct md_invocation *invocation, struct md_convolution *out_convolution,
                             struct md_shape *out_shape)
{
    const struct conv_parameters *parameters = invocation->parameters;
    const struct md_tensor *bias = md_input(invocation, 2);
    return md_convolution_describe(&parameters->options, parameters->groups, &md_input(invocation, 0)->shape,
                                   &md_input(invocation, 1)->shape, bias != NULL ? &bias->shape : NULL,
                                   out_convolution, out_shape, invocation->error);
}

/* Of a slot. */
static size_t workspace_size(const struct md_convolution *convolution)
{
    return (md_convolution_workspace(convolution) + 63) / 64 * 64;
}

struct parts {
    const struct md_convolution *convolution;
    unsigned char *workspaces;
};

static void run_parts(void *context, size_t first, size_t count, size_t slot)
{
    const struct parts *parts = context;
    md_convolution_run_parts(parts->convolution, first, count,
                             parts->workspaces + slot * workspace_size(parts->convolution));
}

static enum md_code conv_prepare(struct md_invocation *invocation)
{
    struct md_convolution convolution;
    struct md_shape output;
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_expect_tensor(invocation, 1));
    for (size_t i = 1; i < 4; i++)
        MD_TRY(md_expect_same_datatype(invocation, 0, i));
    MD_TRY(describe(invocation, &convolution, &output));
    const struct md_tensor *added = md_input(invocation, 3);
    char text_added[MD_SHAPE_TEXT_SIZE], text[MD_SHAPE_TEXT_SIZE];
    if (added != NULL && !md_shape_equal(&added->shape, &output))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input 3 has shape %s, the output has %s",
                       md_shape_text(&added->shape, text_added, sizeof text_added),
                       md_shape_text(&output, text, sizeof text));
    enum md_datatype datatype = md_input(invocation, 0)->datatype;
    MD_TRY(md_output(invocation, 0, datatype, &output));
    (void)md_gemm_type_of(datatype, &convolution.type); /* the row has products of its native types only */
    const size_t slots = md_parallel_slots(invocation, md_convolution_part_count(&convolution),
                                           md_convolution_part_cost(&convolution));
    size_t size;
    if (!md_checked_multiply(slots, workspace_size(&convolution), &size))
        return md_fail_memory(invocation->error, "workspace of a convolution");
    return md_scratch(invocation, size);
}

static enum md_code conv_run(struct md_invocation *invocation)
{
    const struct conv_parameters *parameters = invocation->parameters;
    const struct md_tensor *bias = md_input(invocation, 2), *added = md_input(invocation, 3);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    struct md_convolution convolution;
    struct md_shape shape;
    if (output == NULL || output->count == 0)
        return MD_OK;
    MD_TRY(describe(invocation, &convolution, &shape));
    (void)md_gemm_type_of(output->datatype, &convolution.type); /* as in prepare */
    convolution.input = md_input(invocation, 0)->bytes;
    convolution.weights = md_input(invocation, 1)->bytes;
    convolution.bias = bias != NULL ? bias->bytes : NULL;
    convolution.output = output->bytes;
    if (added != NULL) {
        memcpy(output->bytes, added->bytes, md_tensor_size(added));
        convolution.accumulate = true;
    }
    bool relu = parameters->activation.kind == MD_ACTIVATION_RELU;
    convolution.activation = relu ? MD_GEMM_RELU : MD_GEMM_LINEAR;
    struct parts parts = { &convolution, invocation->scratch };
    md_parallel(invocation, md_convolution_part_count(&convolution), md_convolution_part_cost(&convolution), run_parts,
                &parts);
    if (!relu)
        md_named_activation_apply(&parameters->activation, output->datatype == MD_FP64, output->count,
                                  output->bytes);
    return MD_OK;
}

static enum md_code read_activation(const struct md_configuration *configuration,
                                    struct md_named_activation *out_activation)
{
    struct md_span name;
    const float *values;
    size_t count, parameter_count;
    MD_TRY(md_attribute_string(configuration->attributes, "activation", NULL, &name, configuration->error));
    MD_TRY(md_attribute_floats(configuration->attributes, "activation_params", &values, &count,
                               configuration->error));
    if (name.bytes == NULL || name.size == 0)
        return MD_OK;
    MD_TRY(md_named_activation_find(name, out_activation, &parameter_count, configuration->error));
    if (count > parameter_count)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT,
                       "attribute activation_params has %zu numbers, the activation takes %zu", count,
                       parameter_count);
    if (count > 0)
        out_activation->alpha = values[0];
    if (count > 1)
        out_activation->beta = values[1];
    return MD_OK;
}

static enum md_code conv_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct conv_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_window_options_read(configuration, &parameters->options));
    MD_TRY(
        md_attribute_int(configuration->attributes, "group", 1, &parameters->groups, configuration->error));
    MD_TRY(read_activation(configuration, &parameters->activation)); /* Conv itself has no such attribute */
    *out_parameters = parameters;
    return MD_OK;
}

#define NATIVE (MD_TYPE(MD_FP32) | MD_TYPE(MD_FP64))

const struct md_operator md_operators_conv[] = {
    { MD_ONNX, "Conv", 1, MD_OPSET_NEWEST, 2, 3, 1, 1, MD_TYPES_FLOAT, NATIVE, 0, conv_configure,
      conv_prepare, conv_run },
    { MD_MICROSOFT, "FusedConv", 1, MD_OPSET_MICROSOFT, 2, 4, 1, 1, MD_TYPES_FLOAT, NATIVE, 0, conv_configure,
      conv_prepare, conv_run },
    { 0 },
};
