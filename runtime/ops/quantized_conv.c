/* quantized_conv.c - ConvInteger and QLinearConv: input and weights are centered (code - zero point) as
 * INT32, so that padding is 0, and meet the convolution that Conv uses. */
#include "convolution.h"
#include "operator_table.h"
#include "parameters.h"
#include "quantized_product.h"
#include "requantize.h"

enum { TYPES_BYTE = (1 << MD_INT8) | (1 << MD_UINT8) };

struct conv_parameters {
    struct md_window_options options;
    int64_t groups;
};

/* Which inputs of an operator are what. */
struct conv_inputs {
    size_t x, x_zero_point, w, w_zero_point, bias;
};
enum { NO_INPUT = 100 };
static const struct conv_inputs integer_inputs = { 0, 2, 1, 3, NO_INPUT };
static const struct conv_inputs linear_inputs = { 0, 2, 3, 5, 8 };
enum { X_SCALE = 1, W_SCALE = 4, Y_SCALE = 6, Y_ZERO_POINT = 7 };

/* Scratch: input, weights and (QLinearConv) sums as INT32, then the workspace. */
struct layout {
    size_t weights, sums, workspace, total;
};

static enum md_code check_count(struct md_invocation *invocation, size_t input, size_t channels)
{
    const struct md_tensor *tensor = md_input(invocation, input);
    if (tensor == NULL || tensor->count == 1 || (channels != 0 && tensor->count == channels))
        return MD_OK;
    return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input %zu has %zu elements, expected %s", input,
                   tensor->count, channels != 0 ? "1 or one per output channel" : "1");
}

static enum md_code describe(struct md_invocation *invocation, const struct conv_inputs *inputs,
                             struct md_convolution *out_convolution, struct md_shape *out_shape)
{
    const struct conv_parameters *parameters = invocation->parameters;
    const struct md_tensor *bias = md_input(invocation, inputs->bias);
    MD_TRY(md_convolution_describe(
        &parameters->options, parameters->groups, &md_input(invocation, inputs->x)->shape,
        &md_input(invocation, inputs->w)->shape, bias != NULL ? &bias->shape : NULL, out_convolution,
        out_shape, invocation->error));
    out_convolution->type = MD_GEMM_I32;
    return MD_OK;
}

static bool lay_out(const struct md_invocation *invocation, const struct conv_inputs *inputs, size_t sums,
                    const struct md_convolution *convolution, struct layout *out_layout)
{
    size_t counts[] = { md_input(invocation, inputs->x)->count, md_input(invocation, inputs->w)->count,
                        sums };
    size_t offsets[3], total = 0;
    for (size_t i = 0; i < 3; i++) {
        size_t size;
        if (__builtin_mul_overflow(counts[i], sizeof(int32_t), &size) ||
            __builtin_add_overflow(size, 63, &size) ||
            __builtin_add_overflow(total, size & ~(size_t)63, &total))
            return false;
        offsets[i] = total;
    }
    *out_layout = (struct layout){ offsets[0], offsets[1], offsets[2], 0 };
    return !__builtin_add_overflow(total, md_convolution_workspace(convolution), &out_layout->total);
}

static enum md_code prepare(struct md_invocation *invocation, const struct conv_inputs *inputs,
                            enum md_datatype output_type, bool has_sums)
{
    struct md_convolution convolution;
    struct md_shape output;
    struct layout layout;
    size_t count;
    MD_TRY(md_expect_tensor(invocation, inputs->x));
    MD_TRY(md_expect_tensor(invocation, inputs->w));
    MD_TRY(md_expect_datatype(invocation, inputs->w, TYPES_BYTE));
    MD_TRY(md_expect_same_datatype(invocation, inputs->x, inputs->x_zero_point));
    MD_TRY(md_expect_same_datatype(invocation, inputs->w, inputs->w_zero_point));
    MD_TRY(describe(invocation, inputs, &convolution, &output));
    MD_TRY(check_count(invocation, inputs->x_zero_point, 0));
    MD_TRY(check_count(invocation, inputs->w_zero_point, (size_t)output.dims[1]));
    MD_TRY(md_output(invocation, 0, output_type, &output));
    if (!md_shape_count(&output, MD_INT32, &count) ||
        !lay_out(invocation, inputs, has_sums ? count : 0, &convolution, &layout))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "the convolution's tensors are too large");
    return md_scratch(invocation, layout.total);
}

/* Sums of the whole output as INT32. */
static void run(struct md_invocation *invocation, const struct conv_inputs *inputs,
                const struct layout *layout, struct md_convolution *convolution, int32_t *sums)
{
    const struct md_tensor *x = md_input(invocation, inputs->x), *w = md_input(invocation, inputs->w);
    const struct md_tensor *bias = md_input(invocation, inputs->bias);
    unsigned char *scratch = invocation->scratch;
    size_t filter = w->shape.dims[0] == 0 ? 0 : w->count / (size_t)w->shape.dims[0];
    md_quantized_center(x, md_input(invocation, inputs->x_zero_point), x->count, scratch);
    md_quantized_center(w, md_input(invocation, inputs->w_zero_point), filter, scratch + layout->weights);
    convolution->input = scratch;
    convolution->weights = scratch + layout->weights;
    convolution->bias = bias != NULL ? bias->bytes : NULL;
    convolution->output = sums;
    md_convolution_run(convolution, scratch + layout->workspace);
}

static enum md_code integer_prepare(struct md_invocation *invocation)
{
    return prepare(invocation, &integer_inputs, MD_INT32, false);
}

static enum md_code integer_run(struct md_invocation *invocation)
{
    struct md_tensor *output = md_output_tensor(invocation, 0);
    struct md_convolution convolution;
    struct md_shape shape;
    struct layout layout;
    if (output == NULL || output->count == 0)
        return MD_OK;
    MD_TRY(describe(invocation, &integer_inputs, &convolution, &shape));
    (void)lay_out(invocation, &integer_inputs, 0, &convolution, &layout); /* held in prepare */
    run(invocation, &integer_inputs, &layout, &convolution, md_elements(int32_t, output));
    return MD_OK;
}

static enum md_code linear_prepare(struct md_invocation *invocation)
{
    static const size_t scales[] = { X_SCALE, W_SCALE, Y_SCALE };
    for (size_t i = 0; i < 3; i++) {
        MD_TRY(md_expect_tensor(invocation, scales[i]));
        MD_TRY(md_expect_datatype(invocation, scales[i], MD_TYPE(MD_FP32)));
    }
    MD_TRY(md_expect_tensor(invocation, Y_ZERO_POINT));
    MD_TRY(md_expect_datatype(invocation, Y_ZERO_POINT, TYPES_BYTE));
    MD_TRY(md_expect_datatype(invocation, linear_inputs.bias, MD_TYPE(MD_INT32)));
    MD_TRY(md_expect_tensor(invocation, linear_inputs.w));
    MD_TRY(md_expect_rank(invocation, linear_inputs.w, 3, MD_MAX_RANK));
    MD_TRY(check_count(invocation, X_SCALE, 0));
    MD_TRY(check_count(invocation, W_SCALE, (size_t)md_input(invocation, linear_inputs.w)->shape.dims[0]));
    MD_TRY(check_count(invocation, Y_SCALE, 0));
    MD_TRY(check_count(invocation, Y_ZERO_POINT, 0));
    return prepare(invocation, &linear_inputs, md_input(invocation, Y_ZERO_POINT)->datatype, true);
}

static enum md_code linear_run(struct md_invocation *invocation)
{
    struct md_tensor *output = md_output_tensor(invocation, 0);
    const struct md_tensor *w_scale = md_input(invocation, W_SCALE);
    struct md_convolution convolution;
    struct md_shape shape;
    struct layout layout;
    if (output == NULL || output->count == 0)
        return MD_OK;
    MD_TRY(describe(invocation, &linear_inputs, &convolution, &shape));
    (void)lay_out(invocation, &linear_inputs, output->count, &convolution, &layout); /* held in prepare */
    int32_t *sums = (void *)((unsigned char *)invocation->scratch + layout.sums);
    run(invocation, &linear_inputs, &layout, &convolution, sums);
    float x_scale = md_elements(const float, md_input(invocation, X_SCALE))[0];
    float y_scale = md_elements(const float, md_input(invocation, Y_SCALE))[0];
    size_t channels = (size_t)shape.dims[1], plane = md_shape_product(&shape, 2, shape.rank);
    for (size_t i = 0; i < output->count / plane; i++) {
        size_t channel = i % channels;
        float factor =
            x_scale * md_elements(const float, w_scale)[w_scale->count == 1 ? 0 : channel] / y_scale;
        for (size_t at = i * plane; at < (i + 1) * plane; at++) {
            float value = (float)sums[at] * factor;
            md_requantize(&value, 1, md_input(invocation, Y_ZERO_POINT), output, at);
        }
    }
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
    *out_parameters = parameters;
    return MD_OK;
}

const struct md_operator md_operators_quantized_conv[] = {
    { MD_ONNX, "ConvInteger", 10, MD_OPSET_NEWEST, 2, 4, 1, 1, TYPES_BYTE, 0, 0, conv_configure,
      integer_prepare, integer_run },
    { MD_ONNX, "QLinearConv", 10, MD_OPSET_NEWEST, 8, 9, 1, 1, TYPES_BYTE, 0, 0, conv_configure,
      linear_prepare, linear_run },
    { 0 },
};
