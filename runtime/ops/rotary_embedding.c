/* rotary_embedding.c - RotaryEmbedding of the default domain (opset 23) and of com.microsoft. They differ in
 * the order of the inputs, and in the caches without positions: the default domain's then have one row per
 * token. */
#include "operator_table.h"
#include "parameters.h"
#include "rotary.h"

struct rotary_parameters {
    bool interleaved;
    int64_t heads, rotary_size;
};

struct rotary_inputs {
    size_t cosines, sines, positions;
};
static const struct rotary_inputs standard_inputs = { 1, 2, 3 };
static const struct rotary_inputs microsoft_inputs = { 2, 3, 1 };

struct call {
    size_t batch, heads, rows, size, half;
    size_t batch_stride, head_stride, row_stride; /* of X and Y */
    const struct md_tensor *cosines, *sines, *positions;
    size_t cache_rows;
};

static enum md_code check_caches(struct md_invocation *invocation, const struct rotary_inputs *inputs,
                                 struct call *call)
{
    const struct md_tensor *cosines = call->cosines, *sines = call->sines, *positions = call->positions;
    char text[MD_SHAPE_TEXT_SIZE], other[MD_SHAPE_TEXT_SIZE];
    MD_TRY(md_expect_rank(invocation, inputs->cosines, 2, 3));
    if (!md_shape_equal(&cosines->shape, &sines->shape))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "cos_cache has shape %s, sin_cache has %s",
                       md_shape_text(&cosines->shape, text, sizeof text),
                       md_shape_text(&sines->shape, other, sizeof other));
    size_t half = (size_t)cosines->shape.dims[cosines->shape.rank - 1];
    if (half != call->half)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "caches have %zu columns, the rotation needs %zu", half, call->half);
    call->cache_rows = md_shape_product(&cosines->shape, 0, cosines->shape.rank - 1);
    size_t tokens = call->batch * call->rows;
    if (positions == NULL && call->cache_rows != tokens)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "caches have %zu rows for %zu tokens and no position_ids", call->cache_rows, tokens);
    if (positions == NULL)
        return MD_OK;
    MD_TRY(md_expect_datatype(invocation, inputs->positions, MD_TYPE(MD_INT64)));
    if (positions->count != tokens && positions->count != 1)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "position_ids has %zu elements, there are %zu tokens", positions->count, tokens);
    return MD_OK;
}

static enum md_code open_call(struct md_invocation *invocation, const struct rotary_inputs *inputs,
                              struct call *out_call)
{
    const struct rotary_parameters *parameters = invocation->parameters;
    const struct md_tensor *x = md_input(invocation, 0);
    struct call call = { .cosines = md_input(invocation, inputs->cosines),
                         .sines = md_input(invocation, inputs->sines),
                         .positions = md_input(invocation, inputs->positions) };
    const int64_t *dims = x->shape.dims;
    call.batch = (size_t)dims[0];
    if (x->shape.rank == 4) {
        call.heads = (size_t)dims[1];
        call.rows = (size_t)dims[2];
        call.size = (size_t)dims[3];
        call.row_stride = call.size;
        call.head_stride = call.rows * call.size;
    } else {
        /* com.microsoft leaves num_heads out when whole heads are turned: the caches then tell their size. */
        int64_t columns =
            call.cosines->shape.rank > 0 ? call.cosines->shape.dims[call.cosines->shape.rank - 1] : 0;
        int64_t heads = parameters->heads > 0               ? parameters->heads
                        : columns > 0 && columns <= dims[2] ? dims[2] / (2 * columns)
                                                            : 0;
        if (heads <= 0 || dims[2] % heads != 0)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "hidden size %lld for %lld heads",
                           (long long)dims[2], (long long)heads);
        call.heads = (size_t)heads;
        call.rows = (size_t)dims[1];
        call.size = (size_t)(dims[2] / heads);
        call.row_stride = (size_t)dims[2];
        call.head_stride = call.size;
    }
    call.batch_stride = call.heads * call.rows * call.size;
    int64_t turned = parameters->rotary_size != 0 ? parameters->rotary_size : (int64_t)call.size;
    if (turned < 0 || turned % 2 != 0 || (size_t)turned > call.size)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "%lld of %zu elements of a head cannot be rotated", (long long)turned, call.size);
    call.half = (size_t)turned / 2;
    MD_TRY(check_caches(invocation, inputs, &call));
    *out_call = call;
    return MD_OK;
}

static enum md_code prepare(struct md_invocation *invocation, const struct rotary_inputs *inputs)
{
    struct call call;
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_expect_rank(invocation, 0, 3, 4));
    MD_TRY(md_expect_tensor(invocation, inputs->cosines));
    MD_TRY(md_expect_tensor(invocation, inputs->sines));
    MD_TRY(md_expect_same_datatype(invocation, 0, inputs->cosines));
    MD_TRY(md_expect_same_datatype(invocation, 0, inputs->sines));
    MD_TRY(open_call(invocation, inputs, &call));
    return md_output(invocation, 0, MD_FP32, &md_input(invocation, 0)->shape);
}

static enum md_code run(struct md_invocation *invocation, const struct rotary_inputs *inputs)
{
    const struct rotary_parameters *parameters = invocation->parameters;
    struct md_tensor *output = md_output_tensor(invocation, 0);
    struct call call;
    if (output == NULL || output->count == 0)
        return MD_OK;
    MD_TRY(open_call(invocation, inputs, &call));
    const float *in = md_elements(const float, md_input(invocation, 0));
    float *out = md_elements(float, output);
    for (size_t token = 0; token < call.batch * call.rows; token++) {
        size_t b = token / call.rows, row = token % call.rows;
        int64_t position = (int64_t)token;
        if (call.positions != NULL && call.positions->count == call.batch * call.rows &&
            call.positions->shape.rank != 1)
            position = md_elements(const int64_t, call.positions)[token];
        else if (call.positions != NULL &&
                 __builtin_add_overflow(md_elements(const int64_t, call.positions)[0], (int64_t)row,
                                        &position))
            position = -1;
        if (position < 0 || (size_t)position >= call.cache_rows)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "position %lld: the caches have %zu rows",
                           (long long)position, call.cache_rows);
        for (size_t h = 0; h < call.heads; h++) {
            size_t at = b * call.batch_stride + h * call.head_stride + row * call.row_stride;
            md_rotate_head(parameters->interleaved, call.size, call.half,
                           md_elements(const float, call.cosines) + (size_t)position * call.half,
                           md_elements(const float, call.sines) + (size_t)position * call.half, in + at,
                           out + at);
        }
    }
    return MD_OK;
}

static enum md_code standard_prepare(struct md_invocation *invocation)
{
    return prepare(invocation, &standard_inputs);
}

static enum md_code standard_run(struct md_invocation *invocation)
{
    return run(invocation, &standard_inputs);
}

static enum md_code microsoft_prepare(struct md_invocation *invocation)
{
    return prepare(invocation, &microsoft_inputs);
}

static enum md_code microsoft_run(struct md_invocation *invocation)
{
    return run(invocation, &microsoft_inputs);
}

static enum md_code rotary_configure(const struct md_configuration *configuration,
                                     const void **out_parameters)
{
    int64_t interleaved;
    struct rotary_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_attribute_int(configuration->attributes, "interleaved", 0, &interleaved, configuration->error));
    MD_TRY(md_attribute_int(configuration->attributes, "num_heads", 0, &parameters->heads,
                            configuration->error));
    MD_TRY(md_attribute_int(configuration->attributes, "rotary_embedding_dim", 0, &parameters->rotary_size,
                            configuration->error));
    parameters->interleaved = interleaved != 0;
    *out_parameters = parameters;
    return MD_OK;
}

#define TYPES (MD_TYPES_FLOAT & ~MD_TYPE(MD_FP64))

const struct md_operator md_operators_rotary_embedding[] = {
    { MD_ONNX, "RotaryEmbedding", 23, MD_OPSET_NEWEST, 3, 4, 1, 1, TYPES, MD_TYPE(MD_FP32), 0,
      rotary_configure, standard_prepare, standard_run },
    { MD_MICROSOFT, "RotaryEmbedding", 1, MD_OPSET_MICROSOFT, 4, 4, 1, 1, TYPES, MD_TYPE(MD_FP32), 0,
      rotary_configure, microsoft_prepare, microsoft_run },
    { 0 },
};
