/* quantization.c - QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear, also as com.microsoft spells them.
 *
 * Half precision is read and written here (MD_KEEP_HALF_INPUTS), because the type of the scale, not that of input 0,
 * decides what comes out, and because a division in half precision rounds differently. */
#include "dynamic_range.h"
#include "elementwise.h"
#include "float_code.h"
#include "operator_table.h"

#include "checked.h"
#include "parameters.h"
#include "quantization_layout.h"

#include <math.h>

enum {
    BLOCK = 256,
    TYPES_INTEGER = (1 << MD_INT8) | (1 << MD_UINT8) | (1 << MD_INT16) | (1 << MD_UINT16) | MD_TYPES_4_BITS,
    TYPES_SMALL_FLOAT = MD_TYPES_FP8 | (1 << MD_FP4E2M1),
    TYPES_SCALE = (1 << MD_FP32) | MD_TYPES_HALF
};

struct quantize_parameters {
    int64_t axis, block_size;
    enum md_datatype output;    /* MD_DATATYPE_NONE: that of the zero point, or of the scale */
    enum md_datatype precision; /* of the division; MD_DATATYPE_NONE: that of the operands */
    bool saturate;
};

static enum md_code read_type(const struct md_configuration *configuration, const char *name, unsigned types,
                              enum md_datatype *out_type)
{
    int64_t value = 0;
    MD_TRY(md_attribute_int(configuration->attributes, name, 0, &value, configuration->error));
    if (value < 0 || value >= MD_DATATYPE_COUNT || (value != 0 && !md_datatype_in((enum md_datatype)value, types)))
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "attribute %s is %lld: not a legal datatype", name,
                       (long long)value);
    *out_type = (enum md_datatype)value;
    return MD_OK;
}

static enum md_code quantize_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct quantize_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    int64_t saturate = 1;
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_attribute_int(configuration->attributes, "axis", 1, &parameters->axis, configuration->error));
    MD_TRY(md_attribute_int(configuration->attributes, "block_size", 0, &parameters->block_size,
                            configuration->error));
    MD_TRY(md_attribute_int(configuration->attributes, "saturate", 1, &saturate, configuration->error));
    MD_TRY(read_type(configuration, "output_dtype", TYPES_INTEGER | TYPES_SMALL_FLOAT | TYPES_SCALE,
                     &parameters->output));
    MD_TRY(read_type(configuration, "precision", TYPES_SCALE, &parameters->precision));
    parameters->saturate = saturate != 0;
    *out_parameters = parameters;
    return MD_OK;
}

/* What both directions check: shapes of scale and zero point, and room to read them into. */
static enum md_code prepare_scales(struct md_invocation *invocation)
{
    const struct quantize_parameters *parameters = invocation->parameters;
    struct md_quantization_layout layout;
    size_t bytes = 0;
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_expect_tensor(invocation, 1));
    MD_TRY(md_quantization_layout_init(invocation, parameters->axis, parameters->block_size, &layout));
    if (!md_checked_multiply(md_input(invocation, 1)->count, sizeof(struct md_scale), &bytes))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input 1 has too many scales");
    return md_scratch(invocation, bytes);
}

/* ---- QuantizeLinear ---- */
static enum md_code quantize_prepare(struct md_invocation *invocation)
{
    const struct quantize_parameters *parameters = invocation->parameters;
    const struct md_tensor *zero = md_input(invocation, 2);
    enum md_datatype output = parameters->output != MD_DATATYPE_NONE ? parameters->output : MD_UINT8;
    MD_TRY(prepare_scales(invocation));
    MD_TRY(md_expect_datatype(invocation, 1, TYPES_SCALE | MD_TYPE(MD_INT32)));
    MD_TRY(md_expect_datatype(invocation, 2, TYPES_INTEGER | TYPES_SMALL_FLOAT));
    if (!md_datatype_in(output, TYPES_INTEGER | TYPES_SMALL_FLOAT))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "attribute output_dtype is %s: not a quantized type",
                       md_datatype_name(output));
    if (zero != NULL && parameters->output != MD_DATATYPE_NONE && zero->datatype != output)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "attribute output_dtype is %s, input 2 has type %s",
                       md_datatype_name(output), md_datatype_name(zero->datatype));
    return md_output(invocation, 0, zero != NULL ? zero->datatype : output, &md_input(invocation, 0)->shape);
}

/* Ranges of the integer types, by datatype. */
static const struct {
    float low, high;
} ranges[MD_DATATYPE_COUNT] = {
    [MD_INT8] = { -128, 127 },     [MD_UINT8] = { 0, 255 }, [MD_INT16] = { -32768, 32767 },
    [MD_UINT16] = { 0, 65535 },    [MD_INT4] = { -8, 7 },   [MD_UINT4] = { 0, 15 },
};

/* quotients are x / scale; they are rounded to nearest even, shifted by the zero point, clamped. NaN is the lowest. */
#define STORE(type)                                                                                          \
    static void store_##type(enum md_datatype datatype, size_t count, const float *quotients,                \
                             const struct md_scale *scales, size_t step, type *out)                          \
    {                                                                                                        \
        const float low = ranges[datatype].low, high = ranges[datatype].high;                                \
        for (size_t i = 0; i < count; i++) {                                                                 \
            float x = rintf(quotients[i]) + (float)scales[i * step].zero;                                    \
            x = x > low ? x : low;                                                                           \
            x = x < high ? x : high;                                                                         \
            out[i] = (type)x;                                                                                \
        }                                                                                                    \
    }

STORE(int8_t)
STORE(uint8_t)
STORE(int16_t)
STORE(uint16_t)

static void read_floats(const struct md_tensor *input, size_t start, size_t count, float *out)
{
    if (input->datatype == MD_FP32)
        memcpy(out, md_elements(const float, input) + start, count * sizeof *out);
    else if (input->datatype == MD_INT32)
        for (size_t i = 0; i < count; i++)
            out[i] = (float)md_elements(const int32_t, input)[start + i];
    else
        md_decode_floats(input->datatype, count,
                         (const char *)input->bytes + start * md_datatype_size(input->datatype), out);
}

static void round_through(enum md_datatype datatype, size_t count, float *values)
{
    uint16_t codes[BLOCK];
    md_encode_floats(datatype, false, count, values, codes);
    md_decode_floats(datatype, count, codes, values);
}

static void quantize_block(const struct quantize_parameters *parameters, enum md_datatype precision, size_t count,
                           float *values, const struct md_scale *scales, size_t step, enum md_datatype to, void *out)
{
    const bool half = md_datatype_in(precision, MD_TYPES_HALF);
    if (half)
        round_through(precision, count, values);
    for (size_t i = 0; i < count; i++)
        values[i] /= scales[i * step].scale;
    if (half)
        round_through(precision, count, values);
    switch (to) {
    case MD_INT8:
    case MD_INT4:
        store_int8_t(to, count, values, scales, step, out);
        break;
    case MD_UINT8:
    case MD_UINT4:
        store_uint8_t(to, count, values, scales, step, out);
        break;
    case MD_INT16:
        store_int16_t(to, count, values, scales, step, out);
        break;
    case MD_UINT16:
        store_uint16_t(to, count, values, scales, step, out);
        break;
    default:
        for (size_t i = 0; i < count; i++)
            values[i] += scales[i * step].real_zero;
        md_encode_floats(to, parameters->saturate, count, values, out);
    }
}

static enum md_code quantize_run(struct md_invocation *invocation)
{
    const struct quantize_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0), *scale = md_input(invocation, 1);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    struct md_scale *scales = invocation->scratch;
    struct md_quantization_layout layout;
    float values[BLOCK];
    if (output == NULL || output->count == 0)
        return MD_OK;
    MD_TRY(md_quantization_layout_init(invocation, parameters->axis, parameters->block_size, &layout));
    md_scales_read(invocation, scales);
    enum md_datatype precision = parameters->precision;
    if (precision == MD_DATATYPE_NONE)
        precision = scale->datatype == input->datatype ? scale->datatype : MD_FP32;
    const size_t size = md_datatype_size(output->datatype);
    for (size_t r = 0; r < layout.run_count; r++) {
        const struct md_scale_run run = md_quantization_run(&layout, r);
        for (size_t i = 0; i < run.count; i += BLOCK) {
            const size_t count = run.count - i < BLOCK ? run.count - i : BLOCK;
            read_floats(input, run.start + i, count, values);
            quantize_block(parameters, precision, count, values, scales + run.scale + i * run.step, run.step,
                           output->datatype, (char *)output->bytes + (run.start + i) * size);
        }
    }
    return MD_OK;
}

/* ---- DequantizeLinear ---- */
static enum md_code dequantize_prepare(struct md_invocation *invocation)
{
    const struct quantize_parameters *parameters = invocation->parameters;
    MD_TRY(prepare_scales(invocation));
    MD_TRY(md_expect_datatype(invocation, 1, TYPES_SCALE));
    MD_TRY(md_expect_same_datatype(invocation, 0, 2));
    enum md_datatype output = parameters->output != MD_DATATYPE_NONE ? parameters->output :
                                                                       md_input(invocation, 1)->datatype;
    if (!md_datatype_in(output, TYPES_SCALE))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "attribute output_dtype is %s: not FP32, FP16 or BF16",
                       md_datatype_name(output));
    return md_output(invocation, 0, output, &md_input(invocation, 0)->shape);
}

#define LOAD(type)                                                                                           \
    static void load_##type(size_t count, const type *in, const struct md_scale *scales, size_t step, float *out) \
    {                                                                                                        \
        for (size_t i = 0; i < count; i++)                                                                   \
            out[i] = (float)((int64_t)in[i] - scales[i * step].zero) * scales[i * step].scale;               \
    }

LOAD(int8_t)
LOAD(uint8_t)
LOAD(int16_t)
LOAD(uint16_t)
LOAD(int32_t)

static void dequantize_block(enum md_datatype from, size_t count, const void *in, const struct md_scale *scales,
                             size_t step, float *out)
{
    switch (from) {
    case MD_INT8:
    case MD_INT4:
        load_int8_t(count, in, scales, step, out);
        return;
    case MD_UINT8:
    case MD_UINT4:
        load_uint8_t(count, in, scales, step, out);
        return;
    case MD_INT16:
        load_int16_t(count, in, scales, step, out);
        return;
    case MD_UINT16:
        load_uint16_t(count, in, scales, step, out);
        return;
    case MD_INT32:
        load_int32_t(count, in, scales, step, out);
        return;
    default:
        md_decode_floats(from, count, in, out);
        for (size_t i = 0; i < count; i++)
            out[i] = (out[i] - scales[i * step].real_zero) * scales[i * step].scale;
    }
}

static enum md_code dequantize_run(struct md_invocation *invocation)
{
    const struct quantize_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    struct md_scale *scales = invocation->scratch;
    struct md_quantization_layout layout;
    float values[BLOCK];
    if (output == NULL || output->count == 0)
        return MD_OK;
    MD_TRY(md_quantization_layout_init(invocation, parameters->axis, parameters->block_size, &layout));
    md_scales_read(invocation, scales);
    const size_t in_size = md_datatype_size(input->datatype), out_size = md_datatype_size(output->datatype);
    for (size_t r = 0; r < layout.run_count; r++) {
        const struct md_scale_run run = md_quantization_run(&layout, r);
        for (size_t i = 0; i < run.count; i += BLOCK) {
            const size_t count = run.count - i < BLOCK ? run.count - i : BLOCK, at = run.start + i;
            const bool direct = output->datatype == MD_FP32;
            char *out = (char *)output->bytes + at * out_size;
            dequantize_block(input->datatype, count, (const char *)input->bytes + at * in_size,
                             scales + run.scale + i * run.step, run.step,
                             direct ? (float *)(void *)out : values);
            if (!direct)
                md_encode_floats(output->datatype, false, count, values, out);
        }
    }
    return MD_OK;
}

/* ---- DynamicQuantizeLinear ---- */
static enum md_code dynamic_prepare(struct md_invocation *invocation)
{
    const struct md_shape scalar = { 0 };
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_output(invocation, 1, MD_FP32, &scalar));
    MD_TRY(md_output(invocation, 2, MD_UINT8, &scalar));
    return md_output(invocation, 0, MD_UINT8, &md_input(invocation, 0)->shape);
}

static enum md_code dynamic_run(struct md_invocation *invocation)
{
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0), *scale = md_output_tensor(invocation, 1),
                     *zero = md_output_tensor(invocation, 2);
    const float *in = md_elements(const float, input);
    const struct md_dynamic_range range = md_dynamic_range_of(input->count, in);
    if (scale != NULL)
        md_elements(float, scale)[0] = range.scale;
    if (zero != NULL)
        md_elements(uint8_t, zero)[0] = (uint8_t)range.zero_point;
    if (output != NULL)
        md_dynamic_codes(invocation, range, input->count, in, md_elements(uint8_t, output));
    return MD_OK;
}

#define TYPES_QUANTIZE   (TYPES_SCALE | MD_TYPE(MD_INT32))
#define TYPES_DEQUANTIZE (TYPES_INTEGER | TYPES_SMALL_FLOAT | MD_TYPE(MD_INT32))
#define QUANTIZE_ROW(domain, from, to)                                                                       \
    { domain, "QuantizeLinear", from, to, 2, 3, 1, 1, TYPES_QUANTIZE, 0, MD_KEEP_HALF_INPUTS,                \
      quantize_configure, quantize_prepare, quantize_run }
#define DEQUANTIZE_ROW(domain, from, to)                                                                     \
    { domain, "DequantizeLinear", from, to, 2, 3, 1, 1, TYPES_DEQUANTIZE, 0, MD_KEEP_HALF_INPUTS,            \
      quantize_configure, dequantize_prepare, dequantize_run }

const struct md_operator md_operators_quantization[] = {
    QUANTIZE_ROW(MD_ONNX, 10, MD_OPSET_NEWEST),
    DEQUANTIZE_ROW(MD_ONNX, 10, MD_OPSET_NEWEST),
    QUANTIZE_ROW(MD_MICROSOFT, 1, MD_OPSET_MICROSOFT),
    DEQUANTIZE_ROW(MD_MICROSOFT, 1, MD_OPSET_MICROSOFT),
    { MD_ONNX, "DynamicQuantizeLinear", 11, MD_OPSET_NEWEST, 1, 1, 1, 3, MD_TYPE(MD_FP32), 0, 0, NULL,
      dynamic_prepare, dynamic_run },
    { 0 },
};
