/* projected_attention.c - com.microsoft's Attention: the projections to Q, K and V are part of it (one
 * product with the three weight matrices side by side), with masks and a cache that holds keys and values in
 * one tensor. */
#include "gemm_operand.h"
#include "operator_table.h"
#include "padding_mask.h"
#include "parameters.h"
#include "prepared.h"

#include <math.h>

enum { INPUT_X, INPUT_WEIGHTS, INPUT_BIAS, INPUT_MASK, INPUT_PAST, INPUT_ATTENTION_BIAS, INPUT_PAST_LENGTH };
enum { OUTPUT_Y, OUTPUT_PRESENT };

struct attention_parameters {
    int64_t heads;
    bool is_causal;
    float scale, filter; /* scale 0: 1 / sqrt(head size) */
    size_t size_count;   /* of qkv_hidden_sizes: 0 or 3 */
    const int64_t *sizes;
    const struct md_packed_matrix *packed;
};

struct call {
    struct md_attention core;
    size_t past_length;
    size_t width; /* of the projections together */
    size_t depth;
};

static enum md_code read_hidden_sizes(struct md_invocation *invocation, int64_t width, int64_t *out_hidden,
                                      int64_t *out_value_hidden)
{
    const struct attention_parameters *parameters = invocation->parameters;
    int64_t hidden = width / 3, key_hidden = width / 3, value_hidden = width / 3;
    if (parameters->size_count != 0) {
        hidden = parameters->sizes[0];
        key_hidden = parameters->sizes[1];
        value_hidden = parameters->sizes[2];
    }
    bool positive =
        hidden > 0 && key_hidden > 0 && value_hidden > 0 && hidden <= width && value_hidden <= width;
    if (!positive || hidden != key_hidden || width - 2 * hidden != value_hidden ||
        hidden % parameters->heads != 0 || value_hidden % parameters->heads != 0)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "weights have %lld columns for hidden sizes %lld, %lld and %lld with %lld heads",
                       (long long)width, (long long)hidden, (long long)key_hidden, (long long)value_hidden,
                       (long long)parameters->heads);
    *out_hidden = hidden;
    *out_value_hidden = value_hidden;
    return MD_OK;
}

static enum md_code open_past(struct md_invocation *invocation, struct call *call)
{
    const struct md_tensor *past = md_input(invocation, INPUT_PAST);
    const struct md_attention *core = &call->core;
    char text[MD_SHAPE_TEXT_SIZE];
    if (past == NULL)
        return MD_OK;
    MD_TRY(md_expect_rank(invocation, INPUT_PAST, 5, 5));
    const int64_t *dims = past->shape.dims;
    if (dims[0] != 2 || (size_t)dims[1] != core->batch || (size_t)dims[2] != core->heads ||
        (size_t)dims[4] != core->head_size || core->head_size != core->value_size)
        return md_fail(
            invocation->error, MD_INVALID_ARGUMENT, "past has shape %s, expected [2,%zu,%zu,*,%zu]",
            md_shape_text(&past->shape, text, sizeof text), core->batch, core->heads, core->head_size);
    call->past_length = (size_t)dims[3];
    return MD_OK;
}

static enum md_code open_call(struct md_invocation *invocation, struct call *out_call)
{
    const struct attention_parameters *parameters = invocation->parameters;
    MD_TRY(md_expect_tensor(invocation, INPUT_X));
    MD_TRY(md_expect_tensor(invocation, INPUT_WEIGHTS));
    MD_TRY(md_expect_rank(invocation, INPUT_X, 3, 3));
    MD_TRY(md_expect_rank(invocation, INPUT_WEIGHTS, 2, 2));
    for (size_t i = INPUT_WEIGHTS; i <= INPUT_ATTENTION_BIAS; i++)
        if (i != INPUT_MASK)
            MD_TRY(md_expect_same_datatype(invocation, INPUT_X, i));
    if (md_input(invocation, INPUT_PAST_LENGTH) != NULL)
        return md_fail(invocation->error, MD_UNIMPLEMENTED,
                       "input past_sequence_length (shared buffers) has no kernel");
    const struct md_tensor *x = md_input(invocation, INPUT_X), *weights = md_input(invocation, INPUT_WEIGHTS);
    const struct md_tensor *bias = md_input(invocation, INPUT_BIAS);
    int64_t hidden, value_hidden;
    if (weights->shape.dims[0] != x->shape.dims[2] ||
        (bias != NULL && (int64_t)bias->count != weights->shape.dims[1]))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "input has width %lld, weights have %lld rows and %lld columns, bias has %zu elements",
                       (long long)x->shape.dims[2], (long long)weights->shape.dims[0],
                       (long long)weights->shape.dims[1], bias != NULL ? bias->count : 0);
    MD_TRY(read_hidden_sizes(invocation, weights->shape.dims[1], &hidden, &value_hidden));
    struct call call = { .width = (size_t)weights->shape.dims[1], .depth = (size_t)x->shape.dims[2] };
    struct md_attention *core = &call.core;
    core->batch = (size_t)x->shape.dims[0];
    core->query_length = (size_t)x->shape.dims[1];
    core->heads = core->kv_heads = (size_t)parameters->heads;
    core->head_size = (size_t)(hidden / parameters->heads);
    core->value_size = (size_t)(value_hidden / parameters->heads);
    core->scale = parameters->scale != 0.0f ? (double)parameters->scale : 1.0 / sqrt((double)core->head_size);
    MD_TRY(open_past(invocation, &call));
    core->key_length = call.past_length + core->query_length;
    *out_call = call;
    return MD_OK;
}

/* Scratch: the projections, the cache (if there is a past), then the product's workspace or the core's
 * scratch. */
struct layout {
    size_t cache, values, work, total;
};

static bool lay_out(const struct call *call, struct layout *out_layout)
{
    const struct md_attention *core = &call->core;
    size_t sizes[3] = { 0 }, ends[3], total = 0, rows, heads, work;
    bool cached = call->past_length != 0;
    if (__builtin_mul_overflow(core->batch, core->query_length, &rows) ||
        __builtin_mul_overflow(rows, call->width, &sizes[0]) ||
        __builtin_mul_overflow(core->batch * core->heads, core->key_length, &heads) ||
        __builtin_mul_overflow(heads, cached ? core->head_size : 0, &sizes[1]) ||
        __builtin_mul_overflow(heads, cached ? core->value_size : 0, &sizes[2]) ||
        !md_attention_scratch(core, &work))
        return false;
    for (size_t i = 0; i < 3; i++) {
        size_t size;
        if (__builtin_mul_overflow(sizes[i], sizeof(float), &size) ||
            __builtin_add_overflow(size, 63, &size) ||
            __builtin_add_overflow(total, size & ~(size_t)63, &total))
            return false;
        ends[i] = total;
    }
    size_t product = md_gemm_workspace(MD_GEMM_F32, call->depth);
    *out_layout = (struct layout){ ends[0], ends[1], ends[2], 0 };
    return !__builtin_add_overflow(total, work > product ? work : product, &out_layout->total);
}

static enum md_code attention_prepare(struct md_invocation *invocation)
{
    const struct attention_parameters *parameters = invocation->parameters;
    struct md_padding_mask mask;
    struct layout layout;
    struct call call;
    MD_TRY(open_call(invocation, &call));
    const struct md_attention *core = &call.core;
    MD_TRY(md_padding_mask_open(invocation, INPUT_MASK, INPUT_ATTENTION_BIAS, core, call.past_length,
                                parameters->is_causal, parameters->filter, &mask));
    struct md_shape y = {
        3, { (int64_t)core->batch, (int64_t)core->query_length, (int64_t)(core->heads * core->value_size) }
    };
    struct md_shape present = { 5,
                                { 2, (int64_t)core->batch, (int64_t)core->heads, (int64_t)core->key_length,
                                  (int64_t)core->head_size } };
    if (md_wants_output(invocation, OUTPUT_PRESENT) && core->head_size != core->value_size)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "present needs one head size, keys have %zu, values %zu", core->head_size,
                       core->value_size);
    MD_TRY(md_output(invocation, OUTPUT_Y, MD_FP32, &y));
    MD_TRY(md_output(invocation, OUTPUT_PRESENT, MD_FP32, &present));
    if (!lay_out(&call, &layout))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "batch %zu of length %zu is too large",
                       core->batch, core->query_length);
    return md_scratch(invocation, layout.total);
}

static void project(const struct md_invocation *invocation, const struct call *call, float *projections,
                    void *workspace)
{
    const struct attention_parameters *parameters = invocation->parameters;
    const struct md_tensor *bias = md_input(invocation, INPUT_BIAS);
    struct md_gemm gemm = {
        .type = MD_GEMM_F32,
        .rows = call->core.batch * call->core.query_length,
        .columns = call->width,
        .depth = call->depth,
        .a = { md_input(invocation, INPUT_X)->bytes, (ptrdiff_t)call->depth, 1 },
        .c = projections,
        .c_stride = call->width,
        .finish = { .alpha = 1.0, .column_bias = bias != NULL ? bias->bytes : NULL },
    };
    if (parameters->packed != NULL)
        gemm.packed = parameters->packed;
    else
        gemm.b = (struct md_matrix){ md_input(invocation, INPUT_WEIGHTS)->bytes, (ptrdiff_t)call->width, 1 };
    md_gemm(&gemm, workspace);
}

/* Past rows of part `part` (0: keys, 1: values), then the new ones. */
static struct md_heads join(const struct md_invocation *invocation, const struct call *call, size_t part,
                            const struct md_heads *fresh, float *target)
{
    const struct md_attention *core = &call->core;
    const struct md_tensor *past = md_input(invocation, INPUT_PAST);
    size_t size = part == 0 ? core->head_size : core->value_size, bytes = size * sizeof(float);
    struct md_heads joined = md_heads_dense(target, core->heads, core->key_length, size);
    if (call->past_length != 0) {
        const float *old_rows = md_elements(const float, past) + part * (past->count / 2);
        struct md_heads old = md_heads_dense(old_rows, core->heads, call->past_length, size);
        md_heads_copy(&old, core->batch, core->heads, call->past_length, bytes, sizeof(float), &joined, 0);
    }
    md_heads_copy(fresh, core->batch, core->heads, core->query_length, bytes, sizeof(float), &joined,
                  call->past_length);
    return joined;
}

static enum md_code attention_run(struct md_invocation *invocation)
{
    const struct attention_parameters *parameters = invocation->parameters;
    struct md_tensor *output = md_output_tensor(invocation, OUTPUT_Y),
                     *present = md_output_tensor(invocation, OUTPUT_PRESENT);
    unsigned char *scratch = invocation->scratch;
    struct md_padding_mask mask;
    struct layout layout;
    struct call call;
    MD_TRY(open_call(invocation, &call));
    struct md_attention *core = &call.core;
    MD_TRY(md_padding_mask_open(invocation, INPUT_MASK, INPUT_ATTENTION_BIAS, core, call.past_length,
                                parameters->is_causal, parameters->filter, &mask));
    (void)lay_out(&call, &layout); /* held in prepare */
    float *projections = (void *)scratch;
    project(invocation, &call, projections, scratch + layout.work);
    size_t hidden = core->heads * core->head_size, rows = core->query_length;
    core->query = (struct md_heads){ projections, rows * call.width, core->head_size, call.width };
    core->key = (struct md_heads){ projections + hidden, rows * call.width, core->head_size, call.width };
    core->value =
        (struct md_heads){ projections + 2 * hidden, rows * call.width, core->value_size, call.width };
    if (present != NULL || call.past_length != 0) {
        float *keys = present != NULL ? md_elements(float, present) : (void *)(scratch + layout.cache);
        float *values = present != NULL ? keys + present->count / 2 : (void *)(scratch + layout.values);
        core->key = join(invocation, &call, 0, &core->key, keys);
        core->value = join(invocation, &call, 1, &core->value, values);
    }
    if (output == NULL)
        return MD_OK;
    core->bias = md_padding_mask_add;
    core->bias_owner = &mask;
    core->output = md_heads_side_by_side(output->bytes, core->heads, rows, core->value_size);
    md_attention_run(core, scratch + layout.work);
    return MD_OK;
}

static enum md_code attention_configure(const struct md_configuration *configuration,
                                        const void **out_parameters)
{
    const struct md_attributes *attributes = configuration->attributes;
    const struct md_tensor *weights = md_constant_input(configuration, INPUT_WEIGHTS);
    struct md_error *error = configuration->error;
    int64_t unidirectional, do_rotary, shared;
    struct attention_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_attribute_int(attributes, "num_heads", 0, &parameters->heads, error));
    MD_TRY(md_attribute_int(attributes, "unidirectional", 0, &unidirectional, error));
    MD_TRY(md_attribute_int(attributes, "do_rotary", 0, &do_rotary, error));
    MD_TRY(md_attribute_int(attributes, "past_present_share_buffer", 0, &shared, error));
    MD_TRY(md_attribute_float(attributes, "scale", 0, &parameters->scale, error));
    MD_TRY(md_attribute_float(attributes, "mask_filter_value", -10000.0f, &parameters->filter, error));
    MD_TRY(md_attribute_ints(attributes, "qkv_hidden_sizes", &parameters->sizes, &parameters->size_count,
                             error));
    if (parameters->heads < 1 || parameters->heads > INT32_MAX)
        return md_fail(error, MD_INVALID_ARGUMENT, "attribute num_heads is %lld",
                       (long long)parameters->heads);
    if (parameters->size_count != 0 && parameters->size_count != 3)
        return md_fail(error, MD_INVALID_ARGUMENT, "attribute qkv_hidden_sizes has %zu numbers, expected 3",
                       parameters->size_count);
    if (do_rotary != 0 || shared != 0)
        return md_fail(error, MD_UNIMPLEMENTED,
                       "attributes do_rotary and past_present_share_buffer have no kernel");
    parameters->is_causal = unidirectional != 0;
    *out_parameters = parameters;
    if (weights == NULL || weights->shape.rank != 2)
        return MD_OK;
    MD_TRY(md_pack_weight(configuration, weights, 0, (size_t)weights->shape.dims[0],
                          (size_t)weights->shape.dims[1], (ptrdiff_t)weights->shape.dims[1], 1,
                          &parameters->packed));
    if (parameters->packed != NULL)
        md_constant_release(configuration, INPUT_WEIGHTS);
    return MD_OK;
}

const struct md_operator md_operators_projected_attention[] = {
    { MD_MICROSOFT, "Attention", 1, MD_OPSET_MICROSOFT, 2, 7, 1, 2, MD_TYPES_FLOAT & ~MD_TYPE(MD_FP64),
      MD_TYPE(MD_FP32), 0, attention_configure, attention_prepare, attention_run },
    { 0 },
};
