/* cast.c - Cast and CastLike between all real, integer, boolean, string and small float types.
 *
 * Types that C knows convert directly, one loop per pair. Types that are codes of a float (FP16, BF16, FP8, FP4) go
 * through blocks of floats, 4-bit integers through their byte, strings one by one. */
#include "elementwise.h"
#include "float_code.h"
#include "integer_from_real.h"
#include "number_text.h"
#include "operator_table.h"

#include "parameters.h"

#include <math.h>

enum { BLOCK = 256 };

struct cast_parameters {
    enum md_datatype to; /* MD_DATATYPE_NONE: CastLike, the type of input 1 */
    bool saturate;       /* to FP8: out of range is the largest finite number */
    bool saturate_int4;
};

typedef void (*cast_fn)(size_t count, const void *input, void *output);

/* ---- pairs of C types ---- */
#define CAST_LOOP(from, to, name, expression)                                                                \
    static void cast_##from##_##name(size_t count, const void *input, void *output)                          \
    {                                                                                                        \
        const from *in = input;                                                                              \
        to *out = output;                                                                                    \
        for (size_t i = 0; i < count; i++) {                                                                 \
            const from x = in[i];                                                                            \
            out[i] = (to)(expression);                                                                       \
        }                                                                                                    \
    }
#define FROM_REAL(from, to)    CAST_LOOP(from, to, to, md_##to##_from_double((double)x))
#define FROM_INTEGER(from, to) CAST_LOOP(from, to, to, x)
#define TO_EVERY(from, how)                                                                                  \
    how(from, int8_t) how(from, int16_t) how(from, int32_t) how(from, int64_t) how(from, uint8_t)            \
    how(from, uint16_t) how(from, uint32_t) how(from, uint64_t) how(from, float) how(from, double)           \
    CAST_LOOP(from, uint8_t, bool, x != 0)
#define FROM_REAL_TO_EVERY(datatype, type)    TO_EVERY(type, FROM_REAL)
#define FROM_INTEGER_TO_EVERY(datatype, type) TO_EVERY(type, FROM_INTEGER)

MD_FOR_EACH_REAL(FROM_REAL_TO_EVERY)
MD_FOR_EACH_INTEGER(FROM_INTEGER_TO_EVERY)

#define CAST_ROW(index, type)                                                                                \
    [index] = { [MD_FP32] = cast_##type##_float,      [MD_FP64] = cast_##type##_double,                      \
                [MD_INT8] = cast_##type##_int8_t,     [MD_INT16] = cast_##type##_int16_t,                    \
                [MD_INT32] = cast_##type##_int32_t,   [MD_INT64] = cast_##type##_int64_t,                    \
                [MD_UINT8] = cast_##type##_uint8_t,   [MD_UINT16] = cast_##type##_uint16_t,                  \
                [MD_UINT32] = cast_##type##_uint32_t, [MD_UINT64] = cast_##type##_uint64_t,                  \
                [MD_BOOL] = cast_##type##_bool },

static const cast_fn cast_kernels[MD_DATATYPE_COUNT][MD_DATATYPE_COUNT] = {
    MD_FOR_EACH_NUMBER(CAST_ROW) CAST_ROW(MD_BOOL, uint8_t) CAST_ROW(MD_UINT4, uint8_t)
        CAST_ROW(MD_INT4, int8_t)
};

/* ---- types that are codes of a float, and 4-bit integers ---- */
/* Rounds to odd, so that rounding the result once more, to a narrower type, equals rounding the double directly. */
static float float_for_rounding(double x)
{
    float nearest = (float)x;
    uint32_t bits;
    if (!isfinite(nearest) || (double)nearest == x)
        return nearest;
    memcpy(&bits, &nearest, sizeof bits);
    if (fabs((double)nearest) > fabs(x))
        bits--; /* towards zero */
    bits |= 1;
    memcpy(&nearest, &bits, sizeof nearest);
    return nearest;
}

/* Out of range is undefined in the specification. Opset 21 and 22: nearest representable integer. */
static void saturate_4_bits(enum md_datatype datatype, size_t count, const float *in, uint8_t *out)
{
    const float low = datatype == MD_INT4 ? -8 : 0, high = datatype == MD_INT4 ? 7 : 15;
    for (size_t i = 0; i < count; i++) {
        float x = rintf(in[i]);
        x = x > low ? x : low;
        x = x < high ? x : high;
        out[i] = (uint8_t)(int8_t)x;
    }
}

/* One block of up to BLOCK elements between numeric types. */
static void cast_block(const struct cast_parameters *parameters, enum md_datatype from, enum md_datatype to,
                       size_t count, const char *input, char *output)
{
    float floats[BLOCK];
    double doubles[BLOCK];
    if (md_datatype_in(from, MD_TYPES_CODED)) {
        md_decode_floats(from, count, input, floats);
        input = (const char *)floats;
        from = MD_FP32;
    }
    if (md_datatype_in(to, MD_TYPES_CODED)) {
        if (from != MD_FP32) {
            cast_kernels[from][MD_FP64](count, input, doubles);
            for (size_t i = 0; i < count; i++)
                floats[i] = float_for_rounding(doubles[i]);
            input = (const char *)floats;
        }
        md_encode_floats(to, parameters->saturate, count, (const float *)(const void *)input, output);
        return;
    }
    if (!md_datatype_in(to, MD_TYPES_4_BITS)) {
        cast_kernels[from][to](count, input, output);
        return;
    }
    if (parameters->saturate_int4 && md_datatype_in(from, MD_TYPES_FLOAT)) {
        cast_kernels[from][MD_FP32](count, input, floats);
        saturate_4_bits(to, count, floats, (uint8_t *)output);
        return;
    }
    cast_kernels[from][MD_INT8](count, input, output);
    md_wrap_4_bits(to, count, (uint8_t *)output);
}

static void cast_numbers(const struct cast_parameters *parameters, const struct md_tensor *input,
                         struct md_tensor *output)
{
    size_t in_size = md_datatype_size(input->datatype), out_size = md_datatype_size(output->datatype);
    cast_fn direct = cast_kernels[input->datatype][output->datatype];
    if (direct != NULL) {
        direct(input->count, input->bytes, output->bytes);
        return;
    }
    for (size_t i = 0; i < input->count; i += BLOCK) {
        size_t count = input->count - i < BLOCK ? input->count - i : BLOCK;
        cast_block(parameters, input->datatype, output->datatype, count, (const char *)input->bytes + i * in_size,
                   (char *)output->bytes + i * out_size);
    }
}

/* ---- strings ---- */
static size_t number_text(const struct md_tensor *input, size_t index, char *out_text)
{
    const bool truth = input->datatype == MD_BOOL && md_elements(const uint8_t, input)[index] != 0;
    switch (input->datatype) {
    case MD_BOOL:
        memcpy(out_text, truth ? "True" : "False", truth ? 4 : 5);
        return truth ? 4 : 5;
    case MD_UINT64:
        return md_text_from_uint64(md_elements(const uint64_t, input)[index], out_text);
    case MD_FP64:
        return md_text_from_real(md_elements(const double, input)[index], MD_FP64, out_text);
    case MD_FP32:
        return md_text_from_real((double)md_elements(const float, input)[index], MD_FP32, out_text);
    default:
        break;
    }
    if (md_datatype_in(input->datatype, MD_TYPES_CODED)) {
        float value;
        size_t size = md_datatype_size(input->datatype);
        md_decode_floats(input->datatype, 1, (const char *)input->bytes + index * size, &value);
        return md_text_from_real((double)value, input->datatype == MD_FP16 ? MD_FP16 : MD_FP32, out_text);
    }
    return md_text_from_int64(md_tensor_int(input, index), out_text);
}

static enum md_code cast_to_strings(struct md_invocation *invocation, const struct md_tensor *input,
                                    struct md_tensor *output)
{
    struct md_span *spans = output->bytes;
    char texts[BLOCK * MD_NUMBER_TEXT_SIZE];
    for (size_t start = 0; start < input->count; start += BLOCK) {
        size_t end = input->count - start < BLOCK ? input->count : start + BLOCK, used = 0;
        for (size_t i = start; i < end; i++) {
            spans[i].size = number_text(input, i, texts + used);
            used += spans[i].size;
        }
        char *bytes = md_run_allocate(invocation, used);
        if (bytes == NULL)
            return md_fail_memory(invocation->error, "strings made by Cast");
        memcpy(bytes, texts, used);
        for (size_t i = start; i < end; i++) {
            spans[i].bytes = bytes;
            bytes += spans[i].size;
        }
    }
    return MD_OK;
}

/* Reads the text as the widest type of the target's kind; `*out_kind` says which it is. */
static bool parse_number(struct md_span text, enum md_datatype to, void *out_value, enum md_datatype *out_kind)
{
    bool truth = false;
    if (to == MD_BOOL) {
        *out_kind = MD_BOOL;
        if (!md_text_to_bool(text, &truth))
            return false;
        *(uint8_t *)out_value = truth;
        return true;
    }
    if (to == MD_FP64 || md_datatype_in(to, MD_TYPES_CODED)) {
        *out_kind = MD_FP64;
        return md_text_to_double(text, out_value);
    }
    if (to == MD_FP32) {
        *out_kind = MD_FP32;
        return md_text_to_float(text, out_value);
    }
    *out_kind = to == MD_UINT64 ? MD_UINT64 : MD_INT64;
    return to == MD_UINT64 ? md_text_to_uint64(text, out_value) : md_text_to_int64(text, out_value);
}

static enum md_code cast_from_strings(struct md_invocation *invocation, const struct cast_parameters *parameters,
                                      const struct md_tensor *input, struct md_tensor *output)
{
    const struct md_span *spans = input->bytes;
    size_t size = md_datatype_size(output->datatype);
    for (size_t i = 0; i < input->count; i++) {
        union {
            double real;
            float single;
            int64_t integer;
            uint64_t natural;
            uint8_t truth;
        } value;
        enum md_datatype kind = MD_FP64;
        char *out = (char *)output->bytes + i * size;
        if (!parse_number(spans[i], output->datatype, &value, &kind))
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "element %zu is \"%.*s\": not a number for %s",
                           i, (int)(spans[i].size < 60 ? spans[i].size : 60),
                           spans[i].size > 0 ? spans[i].bytes : "", md_datatype_name(output->datatype));
        if (kind == output->datatype)
            memcpy(out, &value, size);
        else
            cast_block(parameters, kind, output->datatype, 1, (const char *)&value, out);
    }
    return MD_OK;
}

/* ---- the operators ---- */
static enum md_code configure(const struct md_configuration *configuration, struct cast_parameters *parameters)
{
    int64_t saturate = 1;
    MD_TRY(md_attribute_int(configuration->attributes, "saturate", 1, &saturate, configuration->error));
    parameters->saturate = saturate != 0;
    parameters->saturate_int4 = configuration->opset < 23;
    return MD_OK;
}

static enum md_code expect_target(struct md_error *error, int64_t to)
{
    if (to <= MD_DATATYPE_NONE || to >= MD_DATATYPE_COUNT || md_datatype_in((enum md_datatype)to, MD_TYPES_COMPLEX))
        return md_fail(error, MD_INVALID_ARGUMENT, "attribute to is %lld: not a datatype that Cast can make",
                       (long long)to);
    return MD_OK;
}

static enum md_code cast_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct cast_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    int64_t to = 0;
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(configure(configuration, parameters));
    MD_TRY(md_attribute_int(configuration->attributes, "to", 0, &to, configuration->error));
    MD_TRY(expect_target(configuration->error, to));
    parameters->to = (enum md_datatype)to;
    *out_parameters = parameters;
    return MD_OK;
}

/* Opset 1-5: `to` is the type's name in TensorProto.DataType. */
static enum md_code cast_configure_1(const struct md_configuration *configuration, const void **out_parameters)
{
    static const struct {
        const char *name;
        enum md_datatype datatype;
    } names[] = {
        { "FLOAT", MD_FP32 },   { "UINT8", MD_UINT8 },     { "INT8", MD_INT8 },    { "UINT16", MD_UINT16 },
        { "INT16", MD_INT16 },  { "INT32", MD_INT32 },     { "INT64", MD_INT64 },  { "STRING", MD_BYTES },
        { "BOOL", MD_BOOL },    { "FLOAT16", MD_FP16 },    { "DOUBLE", MD_FP64 },  { "UINT32", MD_UINT32 },
        { "UINT64", MD_UINT64 },
    };
    const struct md_attribute *attribute = md_attribute_find(configuration->attributes, "to");
    struct cast_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (attribute != NULL && attribute->kind == MD_ATTRIBUTE_INT)
        return cast_configure(configuration, out_parameters);
    struct md_span to;
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(configure(configuration, parameters));
    MD_TRY(md_attribute_string(configuration->attributes, "to", "", &to, configuration->error));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (md_span_equal(to, md_span_of(names[i].name)))
            parameters->to = names[i].datatype;
    if (parameters->to == MD_DATATYPE_NONE)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "attribute to is \"%.*s\": not a datatype",
                       (int)(to.size < 40 ? to.size : 40), to.bytes);
    *out_parameters = parameters;
    return MD_OK;
}

static enum md_code cast_like_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct cast_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    return configure(configuration, parameters);
}

static enum md_code cast_prepare(struct md_invocation *invocation)
{
    const struct cast_parameters *parameters = invocation->parameters;
    enum md_datatype to = parameters->to;
    MD_TRY(md_expect_tensor(invocation, 0));
    if (to == MD_DATATYPE_NONE) {
        MD_TRY(md_expect_tensor(invocation, 1));
        to = md_input(invocation, 1)->datatype;
        MD_TRY(expect_target(invocation->error, to));
    }
    return md_output(invocation, 0, to, &md_input(invocation, 0)->shape);
}

static enum md_code cast_run(struct md_invocation *invocation)
{
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    if (input->datatype == output->datatype) {
        memcpy(output->bytes, input->bytes, md_tensor_size(input));
        return MD_OK;
    }
    if (output->datatype == MD_BYTES)
        return cast_to_strings(invocation, input, output);
    if (input->datatype == MD_BYTES)
        return cast_from_strings(invocation, invocation->parameters, input, output);
    cast_numbers(invocation->parameters, input, output);
    return MD_OK;
}

#define TYPES (MD_TYPES_ALL & ~MD_TYPES_COMPLEX)

const struct md_operator md_operators_cast[] = {
    { MD_ONNX, "Cast", 1, 5, 1, 1, 1, 1, TYPES, 0, MD_KEEP_HALF_INPUTS, cast_configure_1, cast_prepare, cast_run },
    { MD_ONNX, "Cast", 6, MD_OPSET_NEWEST, 1, 1, 1, 1, TYPES, 0, MD_KEEP_HALF_INPUTS, cast_configure, cast_prepare,
      cast_run },
    { MD_ONNX, "CastLike", 15, MD_OPSET_NEWEST, 2, 2, 1, 1, TYPES, 0, MD_KEEP_HALF_INPUTS, cast_like_configure,
      cast_prepare, cast_run },
    { 0 },
};
