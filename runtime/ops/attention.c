/* attention.c - Attention of the default domain (opsets 23 and 24): multi-head, group-query and multi-query
 * attention with optional mask, causal order, softcap and key-value cache. Half precision is computed in
 * FP32, which is more than any softmax_precision asks for. */
#include "attention_core.h"
#include "gemm_operand.h"
#include "operator_table.h"
#include "parameters.h"

#include <math.h>

enum { INPUT_Q, INPUT_K, INPUT_V, INPUT_MASK, INPUT_PAST_KEY, INPUT_PAST_VALUE, INPUT_LENGTHS };
enum { OUTPUT_Y, OUTPUT_PRESENT_KEY, OUTPUT_PRESENT_VALUE, OUTPUT_SCORES };

struct attention_parameters {
    bool is_causal, has_scale;
    double scale, softcap;
    int64_t query_heads, kv_heads; /* 0: attribute absent */
    enum md_score_stage stage;
};

struct call {
    struct md_attention core;
    size_t past_length, new_length;
    struct md_heads new_key, new_value;
};

/* Q, K or V: [batch, heads, rows, size], or [batch, rows, heads * size] with the number of heads as an
 * attribute. */
struct input_heads {
    size_t batch, heads, rows, size;
    struct md_heads view;
};

static enum md_code open_heads(struct md_invocation *invocation, size_t input, int64_t heads,
                               struct input_heads *out_heads)
{
    const struct md_tensor *tensor = md_input(invocation, input);
    const int64_t *dims = tensor->shape.dims;
    if (tensor->shape.rank == 4) {
        *out_heads = (struct input_heads){
            (size_t)dims[0], (size_t)dims[1], (size_t)dims[2], (size_t)dims[3], { NULL, 0, 0, 0 }
        };
        out_heads->view = md_heads_dense(tensor->bytes, out_heads->heads, out_heads->rows, out_heads->size);
        return MD_OK;
    }
    if (heads <= 0 || dims[2] % heads != 0)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "input %zu has hidden size %lld for %lld heads", input, (long long)dims[2],
                       (long long)heads);
    *out_heads = (struct input_heads){
        (size_t)dims[0], (size_t)heads, (size_t)dims[1], (size_t)(dims[2] / heads), { NULL, 0, 0, 0 }
    };
    out_heads->view =
        md_heads_side_by_side(tensor->bytes, out_heads->heads, out_heads->rows, out_heads->size);
    return MD_OK;
}

static enum md_code expect_past(struct md_invocation *invocation, size_t input,
                                const struct input_heads *heads, size_t *out_length)
{
    const struct md_tensor *past = md_input(invocation, input);
    char text[MD_SHAPE_TEXT_SIZE];
    MD_TRY(md_expect_rank(invocation, input, 4, 4));
    MD_TRY(md_expect_same_datatype(invocation, INPUT_Q, input));
    const int64_t *dims = past->shape.dims;
    *out_length = (size_t)dims[2];
    if ((size_t)dims[0] == heads->batch && (size_t)dims[1] == heads->heads && (size_t)dims[3] == heads->size)
        return MD_OK;
    return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input %zu has shape %s, expected [%zu,%zu,*,%zu]",
                   input, md_shape_text(&past->shape, text, sizeof text), heads->batch, heads->heads,
                   heads->size);
}

static enum md_code open_past(struct md_invocation *invocation, const struct input_heads *key,
                              const struct input_heads *value, size_t *out_length)
{
    const struct md_tensor *past_key = md_input(invocation, INPUT_PAST_KEY);
    const struct md_tensor *past_value = md_input(invocation, INPUT_PAST_VALUE);
    size_t value_length = 0;
    *out_length = 0;
    if ((past_key == NULL) != (past_value == NULL))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "past_key and past_value must be given together");
    if (past_key == NULL)
        return MD_OK;
    MD_TRY(expect_past(invocation, INPUT_PAST_KEY, key, out_length));
    MD_TRY(expect_past(invocation, INPUT_PAST_VALUE, value, &value_length));
    if (value_length != *out_length)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "past_key has length %zu, past_value has %zu",
                       *out_length, value_length);
    return MD_OK;
}

static enum md_code check_heads(struct md_invocation *invocation, const struct input_heads *query,
                                const struct input_heads *key, const struct input_heads *value)
{
    if (query->batch != key->batch || query->batch != value->batch)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "Q, K and V have batches %zu, %zu and %zu",
                       query->batch, key->batch, value->batch);
    if (query->size == 0 || query->size != key->size || key->rows != value->rows ||
        key->heads != value->heads)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "Q has head size %zu; K has %zu, length %zu, %zu heads; V has length %zu, %zu heads",
                       query->size, key->size, key->rows, key->heads, value->rows, value->heads);
    if (key->heads == 0 ? query->heads != 0 : query->heads % key->heads != 0)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "%zu query heads share %zu key heads",
                       query->heads, key->heads);
    return MD_OK;
}

static enum md_code open_call(struct md_invocation *invocation, struct call *out_call)
{
    const struct attention_parameters *parameters = invocation->parameters;
    struct input_heads query, key, value;
    int64_t kv_heads = parameters->kv_heads != 0 ? parameters->kv_heads : parameters->query_heads;
    for (size_t i = INPUT_Q; i <= INPUT_V; i++) {
        MD_TRY(md_expect_tensor(invocation, i));
        MD_TRY(md_expect_rank(invocation, i, 3, 4));
        MD_TRY(md_expect_same_datatype(invocation, INPUT_Q, i));
    }
    MD_TRY(open_heads(invocation, INPUT_Q, parameters->query_heads, &query));
    MD_TRY(open_heads(invocation, INPUT_K, kv_heads, &key));
    MD_TRY(open_heads(invocation, INPUT_V, kv_heads, &value));
    MD_TRY(check_heads(invocation, &query, &key, &value));
    struct call call = {
        .core = { .is_double = md_input(invocation, INPUT_Q)->datatype == MD_FP64,
                  .batch = query.batch,
                  .heads = query.heads,
                  .kv_heads = key.heads,
                  .query_length = query.rows,
                  .head_size = query.size,
                  .value_size = value.size,
                  .query = query.view,
                  .key = key.view,
                  .value = value.view,
                  .softcap = parameters->softcap,
                  .stage = parameters->stage },
        .new_length = key.rows,
        .new_key = key.view,
        .new_value = value.view,
    };
    call.core.scale = parameters->has_scale ? parameters->scale : 1.0 / sqrt((double)query.size);
    MD_TRY(open_past(invocation, &key, &value, &call.past_length));
    call.core.key_length = call.past_length + call.new_length;
    size_t rows, bytes;
    if (__builtin_mul_overflow(key.batch * key.heads, call.core.key_length, &rows) ||
        __builtin_mul_overflow(rows, (key.size + value.size) * sizeof(double), &bytes))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "a cache of %zu rows is too large",
                       call.core.key_length);
    *out_call = call;
    return MD_OK;
}

/* ---- mask ---- */
struct mask {
    const struct md_tensor *tensor; /* NULL: none */
    int64_t strides[4];             /* batch, head, row, key */
    size_t keys;                    /* columns of the mask: later keys are not allowed */
    const int64_t *lengths;         /* valid keys per batch entry, or NULL */
    bool is_causal;
    int64_t past_length;
};

static enum md_code open_mask(struct md_invocation *invocation, const struct call *call,
                              struct mask *out_mask)
{
    const struct attention_parameters *parameters = invocation->parameters;
    const struct md_tensor *tensor = md_input(invocation, INPUT_MASK),
                           *lengths = md_input(invocation, INPUT_LENGTHS);
    const struct md_attention *core = &call->core;
    struct md_shape target = { 4,
                               { (int64_t)core->batch, (int64_t)core->heads, (int64_t)core->query_length,
                                 (int64_t)core->key_length } };
    struct mask mask = { .tensor = tensor, .is_causal = parameters->is_causal, .keys = core->key_length };
    char text[MD_SHAPE_TEXT_SIZE], wanted[MD_SHAPE_TEXT_SIZE];
    mask.past_length = (int64_t)call->past_length;
    if (lengths != NULL) {
        MD_TRY(md_expect_datatype(invocation, INPUT_LENGTHS, MD_TYPE(MD_INT64)));
        if (lengths->count != core->batch)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "nonpad_kv_seqlen has %zu elements, the batch is %zu", lengths->count,
                           core->batch);
        mask.lengths = md_elements(const int64_t, lengths);
    }
    if (tensor != NULL) {
        struct md_shape shape = tensor->shape, both;
        int64_t keys = shape.rank > 0 ? shape.dims[shape.rank - 1] : 1;
        if (keys != 1 && keys < target.dims[3]) { /* a mask for the first keys only, from opset 24 on */
            mask.keys = (size_t)keys;
            target.dims[3] = keys;
        }
        if (!md_shape_broadcast(&shape, &target, &both) || !md_shape_equal(&both, &target))
            return md_fail(
                invocation->error, MD_INVALID_ARGUMENT, "attn_mask of shape %s does not broadcast to %s",
                md_shape_text(&shape, text, sizeof text), md_shape_text(&target, wanted, sizeof wanted));
        md_broadcast_strides(&shape, &target, mask.strides);
    }
    *out_mask = mask;
    return MD_OK;
}

/* Keys [0, allowed) may be attended as far as order and lengths are concerned. */
static size_t allowed_keys(const struct mask *mask, const struct md_attention *attention, size_t batch,
                           size_t row)
{
    int64_t allowed = (int64_t)mask->keys;
    if (mask->lengths != NULL && mask->lengths[batch] < allowed)
        allowed = mask->lengths[batch];
    if (mask->is_causal) {
        int64_t offset = mask->past_length;
        if (mask->lengths != NULL && offset == 0)
            offset =
                (mask->lengths[batch] < (int64_t)attention->key_length ? mask->lengths[batch]
                                                                       : (int64_t)attention->key_length) -
                (int64_t)attention->query_length;
        int64_t frontier = (int64_t)row + offset + 1;
        allowed = frontier < allowed ? frontier : allowed;
    }
    return allowed > 0 ? (size_t)allowed : 0;
}

static double mask_bias(const struct md_tensor *tensor, size_t at)
{
    if (tensor->datatype == MD_BOOL)
        return md_elements(const uint8_t, tensor)[at] != 0 ? 0.0 : -(double)INFINITY;
    return md_tensor_double(tensor, at);
}

static void add_mask(const struct md_attention *attention, size_t batch, size_t head, size_t row,
                     void *scores)
{
    const struct mask *mask = attention->bias_owner;
    size_t allowed = allowed_keys(mask, attention, batch, row);
    size_t first = (size_t)((int64_t)batch * mask->strides[0] + (int64_t)head * mask->strides[1] +
                            (int64_t)row * mask->strides[2]);
    float *floats = scores;
    double *doubles = scores;
    for (size_t j = 0; mask->tensor != NULL && j < allowed; j++) {
        double bias = mask_bias(mask->tensor, first + j * (size_t)mask->strides[3]);
        if (attention->is_double)
            doubles[j] += bias;
        else
            floats[j] += (float)bias;
    }
    for (size_t j = allowed; j < attention->key_length; j++) {
        if (attention->is_double)
            doubles[j] = -(double)INFINITY;
        else
            floats[j] = -INFINITY;
    }
}

/* ---- prepare and run ---- */
static size_t unit(const struct call *call)
{
    return call->core.is_double ? sizeof(double) : sizeof(float);
}

static size_t cache_size(const struct call *call, size_t row)
{
    size_t rows = call->core.batch * call->core.kv_heads * call->core.key_length;
    return (rows * row * unit(call) + 63) & ~(size_t)63; /* open_call has seen that it fits */
}

static enum md_code attention_prepare(struct md_invocation *invocation)
{
    const struct md_tensor *query = md_input(invocation, INPUT_Q);
    struct call call;
    struct mask mask;
    size_t scratch;
    MD_TRY(open_call(invocation, &call));
    MD_TRY(open_mask(invocation, &call, &mask));
    const struct md_attention *core = &call.core;
    int64_t batch = (int64_t)core->batch, heads = (int64_t)core->heads, kv_heads = (int64_t)core->kv_heads;
    int64_t rows = (int64_t)core->query_length, keys = (int64_t)core->key_length, width;
    if (__builtin_mul_overflow(heads, (int64_t)core->value_size, &width))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "%zu heads of %zu are too large", core->heads,
                       core->value_size);
    struct md_shape y = { 4, { batch, heads, rows, (int64_t)core->value_size } };
    if (query->shape.rank == 3)
        y = (struct md_shape){ 3, { batch, rows, width } };
    struct md_shape present_key = { 4, { batch, kv_heads, keys, (int64_t)core->head_size } };
    struct md_shape present_value = { 4, { batch, kv_heads, keys, (int64_t)core->value_size } };
    struct md_shape scores = { 4, { batch, heads, rows, keys } };
    MD_TRY(md_output(invocation, OUTPUT_Y, query->datatype, &y));
    MD_TRY(md_output(invocation, OUTPUT_PRESENT_KEY, query->datatype, &present_key));
    MD_TRY(md_output(invocation, OUTPUT_PRESENT_VALUE, query->datatype, &present_value));
    MD_TRY(md_output(invocation, OUTPUT_SCORES, query->datatype, &scores));
    size_t caches =
        call.past_length == 0 ? 0 : cache_size(&call, core->head_size) + cache_size(&call, core->value_size);
    if (!md_attention_scratch(core, &scratch) || __builtin_add_overflow(scratch, caches, &scratch))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "%zu keys are too many", core->key_length);
    return md_scratch(invocation, scratch);
}

/* Past and new rows behind one another in `target`, which becomes what the core reads. */
static struct md_heads join(const struct call *call, const struct md_tensor *past,
                            const struct md_heads *fresh, size_t size, void *target)
{
    size_t heads = call->core.kv_heads, row = size * unit(call);
    struct md_heads joined = md_heads_dense(target, heads, call->core.key_length, size);
    if (past != NULL) {
        struct md_heads old = md_heads_dense(past->bytes, heads, call->past_length, size);
        md_heads_copy(&old, call->core.batch, heads, call->past_length, row, unit(call), &joined, 0);
    }
    md_heads_copy(fresh, call->core.batch, heads, call->new_length, row, unit(call), &joined,
                  call->past_length);
    return joined;
}

static unsigned char *open_cache(struct md_invocation *invocation, struct call *call)
{
    struct md_tensor *present_key = md_output_tensor(invocation, OUTPUT_PRESENT_KEY);
    struct md_tensor *present_value = md_output_tensor(invocation, OUTPUT_PRESENT_VALUE);
    unsigned char *scratch = invocation->scratch, *value_scratch = scratch;
    if (call->past_length != 0)
        value_scratch += cache_size(call, call->core.head_size);
    if (present_key != NULL || call->past_length != 0)
        call->core.key = join(call, md_input(invocation, INPUT_PAST_KEY), &call->new_key,
                              call->core.head_size, present_key != NULL ? present_key->bytes : scratch);
    if (present_value != NULL || call->past_length != 0)
        call->core.value =
            join(call, md_input(invocation, INPUT_PAST_VALUE), &call->new_value, call->core.value_size,
                 present_value != NULL ? present_value->bytes : value_scratch);
    return call->past_length == 0 ? scratch : value_scratch + cache_size(call, call->core.value_size);
}

static enum md_code attention_run(struct md_invocation *invocation)
{
    struct md_tensor *output = md_output_tensor(invocation, OUTPUT_Y),
                     *scores = md_output_tensor(invocation, OUTPUT_SCORES);
    struct call call;
    struct mask mask;
    MD_TRY(open_call(invocation, &call));
    MD_TRY(open_mask(invocation, &call, &mask));
    unsigned char *scratch = open_cache(invocation, &call);
    struct md_attention *core = &call.core;
    if (mask.tensor != NULL || mask.is_causal || mask.lengths != NULL) {
        core->bias = add_mask;
        core->bias_owner = &mask;
    }
    core->scores = scores != NULL ? scores->bytes : NULL;
    if (output != NULL)
        core->output =
            md_input(invocation, INPUT_Q)->shape.rank == 3
                ? md_heads_side_by_side(output->bytes, core->heads, core->query_length, core->value_size)
                : md_heads_dense(output->bytes, core->heads, core->query_length, core->value_size);
    if (core->kv_heads != 0)
        md_attention_run(core, scratch);
    return MD_OK;
}

static enum md_code attention_configure(const struct md_configuration *configuration,
                                        const void **out_parameters)
{
    const struct md_attributes *attributes = configuration->attributes;
    struct md_error *error = configuration->error;
    int64_t is_causal, mode;
    float scale, softcap;
    struct attention_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_attribute_int(attributes, "is_causal", 0, &is_causal, error));
    MD_TRY(md_attribute_int(attributes, "q_num_heads", 0, &parameters->query_heads, error));
    MD_TRY(md_attribute_int(attributes, "kv_num_heads", 0, &parameters->kv_heads, error));
    MD_TRY(md_attribute_int(attributes, "qk_matmul_output_mode", 0, &mode, error));
    MD_TRY(md_attribute_float(attributes, "scale", 0, &scale, error));
    MD_TRY(md_attribute_float(attributes, "softcap", 0, &softcap, error));
    if (mode < 0 || mode > 3)
        return md_fail(error, MD_INVALID_ARGUMENT, "attribute qk_matmul_output_mode is %lld: range is [0,3]",
                       (long long)mode);
    parameters->is_causal = is_causal != 0;
    parameters->has_scale = md_attribute_find(attributes, "scale") != NULL;
    parameters->scale = (double)scale;
    parameters->softcap = (double)softcap;
    parameters->stage = (enum md_score_stage)(MD_SCORES_PRODUCT + mode);
    *out_parameters = parameters;
    return MD_OK;
}

/* Opset 24 adds nonpad_kv_seqlen; it is served although the other operators end at MD_OPSET_NEWEST. */
#define NATIVE (MD_TYPE(MD_FP32) | MD_TYPE(MD_FP64))

const struct md_operator md_operators_attention[] = {
    { MD_ONNX, "Attention", 23, 23, 3, 6, 1, 4, MD_TYPES_FLOAT, NATIVE, 0, attention_configure,
      attention_prepare, attention_run },
    { MD_ONNX, "Attention", 24, 24, 3, 7, 1, 4, MD_TYPES_FLOAT, NATIVE, 0, attention_configure,
      attention_prepare, attention_run },
    { 0 },
};
