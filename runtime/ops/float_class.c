/* float_class.c - IsNaN and IsInf. */
#include "elementwise.h"
#include "float_code.h"
#include "operator_table.h"

#include "parameters.h"

#include <math.h>

enum { BLOCK = 256 };

/* Which of NaN, -infinity, +infinity count. */
struct float_class {
    bool nan, negative, positive;
};

static const struct float_class only_nan = { .nan = true };

#define CLASSIFY(type)                                                                                       \
    static void classify_##type(struct float_class wanted, size_t count, const type *in, uint8_t *out)       \
    {                                                                                                        \
        for (size_t i = 0; i < count; i++)                                                                   \
            out[i] = (wanted.nan && isnan(in[i])) || (wanted.positive && in[i] == (type)INFINITY) ||         \
                     (wanted.negative && in[i] == -(type)INFINITY);                                          \
    }

CLASSIFY(float)
CLASSIFY(double)

static enum md_code is_inf_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct float_class *wanted = md_parameters_new(configuration, sizeof *wanted);
    int64_t negative = 1, positive = 1;
    if (wanted == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_attribute_int(configuration->attributes, "detect_negative", 1, &negative, configuration->error));
    MD_TRY(md_attribute_int(configuration->attributes, "detect_positive", 1, &positive, configuration->error));
    wanted->negative = negative != 0;
    wanted->positive = positive != 0;
    *out_parameters = wanted;
    return MD_OK;
}

static enum md_code float_class_run(struct md_invocation *invocation)
{
    const struct float_class wanted =
        invocation->parameters != NULL ? *(const struct float_class *)invocation->parameters : only_nan;
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    float block[BLOCK];
    if (output == NULL || output->count == 0)
        return MD_OK;
    uint8_t *out = output->bytes;
    if (input->datatype == MD_FP64) {
        classify_double(wanted, input->count, input->bytes, out);
        return MD_OK;
    }
    if (input->datatype == MD_FP32) {
        classify_float(wanted, input->count, input->bytes, out);
        return MD_OK;
    }
    size_t size = md_datatype_size(input->datatype);
    for (size_t i = 0; i < input->count; i += BLOCK) {
        size_t count = input->count - i < BLOCK ? input->count - i : BLOCK;
        md_decode_floats(input->datatype, count, (const char *)input->bytes + i * size, block);
        classify_float(wanted, count, block, out + i);
    }
    return MD_OK;
}

const struct md_operator md_operators_float_class[] = {
    { MD_ONNX, "IsNaN", 9, MD_OPSET_NEWEST, 1, 1, 1, 1, MD_TYPES_FLOAT | MD_TYPES_FP8, 0, 0, NULL,
      md_unary_prepare_bool, float_class_run },
    { MD_ONNX, "IsInf", 10, MD_OPSET_NEWEST, 1, 1, 1, 1, MD_TYPES_FLOAT | MD_TYPES_FP8, 0, 0, is_inf_configure,
      md_unary_prepare_bool, float_class_run },
    { 0 },
};
