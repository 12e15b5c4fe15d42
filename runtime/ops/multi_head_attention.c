/* multi_head_attention.c - com.microsoft's MultiHeadAttention: projected Q, K and V (apart, K and V packed,
 * all three packed, or K and V as heads), a bias of the projections, masks, and a key-value cache. */
#include "operator_table.h"
#include "padding_mask.h"
#include "parameters.h"

#include <math.h>

enum {
    INPUT_QUERY,
    INPUT_KEY,
    INPUT_VALUE,
    INPUT_BIAS,
    INPUT_MASK,
    INPUT_ATTENTION_BIAS,
    INPUT_PAST_KEY,
    INPUT_PAST_VALUE,
    INPUT_PAST_LENGTH,
    INPUT_BEAMS
};
enum { OUTPUT_Y, OUTPUT_PRESENT_KEY, OUTPUT_PRESENT_VALUE, OUTPUT_SCORES };

struct head_parameters {
    int64_t heads;
    bool is_causal;
    float scale, filter; /* scale 0: 1 / sqrt(head size) */
};

struct call {
    struct md_attention core;
    struct md_heads key, value; /* new rows, before the bias */
    size_t past_length, new_length;
    bool key_bias; /* K and V get a bias, too (not when they are heads of another attention) */
};

static enum md_code fail_shape(struct md_invocation *invocation, size_t input)
{
    char text[MD_SHAPE_TEXT_SIZE];
    return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                   "input %zu has shape %s, which does not fit the others", input,
                   md_shape_text(&md_input(invocation, input)->shape, text, sizeof text));
}

/* Packed tensors: [batch, rows, heads, parts, size]. */
static struct md_heads packed(const float *elements, size_t heads, size_t rows, size_t parts, size_t size,
                              size_t part)
{
    return (struct md_heads){ elements + part * size, rows * heads * parts * size, parts * size,
                              heads * parts * size };
}

static enum md_code open_query(struct md_invocation *invocation, struct call *call)
{
    const struct head_parameters *parameters = invocation->parameters;
    const struct md_tensor *query = md_input(invocation, INPUT_QUERY);
    const int64_t *dims = query->shape.dims;
    struct md_attention *core = &call->core;
    core->heads = core->kv_heads = (size_t)parameters->heads;
    if (query->shape.rank != 3 && query->shape.rank != 5)
        return fail_shape(invocation, INPUT_QUERY);
    core->batch = (size_t)dims[0];
    core->query_length = (size_t)dims[1];
    if (query->shape.rank == 3) {
        if (dims[2] % parameters->heads != 0)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "hidden size %lld for %lld heads",
                           (long long)dims[2], (long long)parameters->heads);
        core->head_size = (size_t)(dims[2] / parameters->heads);
        core->query = md_heads_side_by_side(query->bytes, core->heads, core->query_length, core->head_size);
        return MD_OK;
    }
    if (dims[2] != parameters->heads || dims[3] != 3 || md_input(invocation, INPUT_KEY) != NULL ||
        md_input(invocation, INPUT_VALUE) != NULL)
        return fail_shape(invocation, INPUT_QUERY);
    const float *elements = md_elements(const float, query);
    core->head_size = core->value_size = (size_t)dims[4];
    call->new_length = core->query_length;
    core->query = packed(elements, core->heads, core->query_length, 3, core->head_size, 0);
    call->key = packed(elements, core->heads, core->query_length, 3, core->head_size, 1);
    call->value = packed(elements, core->heads, core->query_length, 3, core->head_size, 2);
    return MD_OK;
}

static enum md_code open_key(struct md_invocation *invocation, struct call *call)
{
    const struct md_tensor *key = md_input(invocation, INPUT_KEY), *value = md_input(invocation, INPUT_VALUE);
    struct md_attention *core = &call->core;
    call->key_bias = true;
    if (md_input(invocation, INPUT_QUERY)->shape.rank == 5)
        return MD_OK;
    MD_TRY(md_expect_tensor(invocation, INPUT_KEY));
    const int64_t *dims = key->shape.dims;
    size_t size = core->head_size, heads = core->heads;
    bool same_batch = key->shape.rank >= 3 && (size_t)dims[0] == core->batch;
    if (key->shape.rank == 5) {
        if (!same_batch || value != NULL || (size_t)dims[2] != heads || dims[3] != 2 ||
            (size_t)dims[4] != size)
            return fail_shape(invocation, INPUT_KEY);
        call->new_length = (size_t)dims[1];
        core->value_size = size;
        call->key = packed(md_elements(const float, key), heads, call->new_length, 2, size, 0);
        call->value = packed(md_elements(const float, key), heads, call->new_length, 2, size, 1);
        return MD_OK;
    }
    MD_TRY(md_expect_tensor(invocation, INPUT_VALUE));
    const int64_t *value_dims = value->shape.dims;
    if (!same_batch || value->shape.rank != key->shape.rank || value_dims[0] != dims[0])
        return fail_shape(invocation, INPUT_VALUE);
    if (key->shape.rank == 4) {
        call->key_bias = false;
        call->new_length = (size_t)dims[2];
        core->value_size = (size_t)value_dims[3];
        if ((size_t)dims[1] != heads || (size_t)dims[3] != size || (size_t)value_dims[1] != heads ||
            value_dims[2] != dims[2])
            return fail_shape(invocation, INPUT_KEY);
        call->key = md_heads_dense(key->bytes, heads, call->new_length, size);
        call->value = md_heads_dense(value->bytes, heads, call->new_length, core->value_size);
        return MD_OK;
    }
    if (key->shape.rank != 3 || (size_t)dims[2] != heads * size || value_dims[1] != dims[1] ||
        (size_t)value_dims[2] % heads != 0)
        return fail_shape(invocation, INPUT_KEY);
    call->new_length = (size_t)dims[1];
    core->value_size = (size_t)value_dims[2] / heads;
    call->key = md_heads_side_by_side(key->bytes, heads, call->new_length, size);
    call->value = md_heads_side_by_side(value->bytes, heads, call->new_length, core->value_size);
    return MD_OK;
}

static enum md_code open_past(struct md_invocation *invocation, struct call *call)
{
    const struct md_tensor *past_key = md_input(invocation, INPUT_PAST_KEY);
    const struct md_tensor *past_value = md_input(invocation, INPUT_PAST_VALUE);
    const struct md_attention *core = &call->core;
    if (md_input(invocation, INPUT_PAST_LENGTH) != NULL || md_input(invocation, INPUT_BEAMS) != NULL)
        return md_fail(
            invocation->error, MD_UNIMPLEMENTED,
            "inputs past_sequence_length and cache_indirection (shared cache buffers) have no kernel");
    if ((past_key == NULL) != (past_value == NULL))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "past_key and past_value must be given together");
    if (past_key != NULL) {
        const int64_t *k = past_key->shape.dims, *v = past_value->shape.dims;
        MD_TRY(md_expect_rank(invocation, INPUT_PAST_KEY, 4, 4));
        MD_TRY(md_expect_rank(invocation, INPUT_PAST_VALUE, 4, 4));
        if ((size_t)k[0] != core->batch || (size_t)k[1] != core->heads || (size_t)k[3] != core->head_size)
            return fail_shape(invocation, INPUT_PAST_KEY);
        if (v[0] != k[0] || v[1] != k[1] || v[2] != k[2] || (size_t)v[3] != core->value_size)
            return fail_shape(invocation, INPUT_PAST_VALUE);
        call->past_length = (size_t)k[2];
    }
    call->core.key_length = call->past_length + call->new_length;
    return MD_OK;
}

static enum md_code open_call(struct md_invocation *invocation, struct call *out_call)
{
    const struct head_parameters *parameters = invocation->parameters;
    struct call call = { .past_length = 0 };
    MD_TRY(md_expect_tensor(invocation, INPUT_QUERY));
    for (size_t i = INPUT_KEY; i <= INPUT_PAST_VALUE; i++)
        if (i != INPUT_MASK)
            MD_TRY(md_expect_same_datatype(invocation, INPUT_QUERY, i));
    MD_TRY(open_query(invocation, &call));
    if (call.core.head_size == 0)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "heads have size 0");
    MD_TRY(open_key(invocation, &call));
    MD_TRY(open_past(invocation, &call));
    struct md_attention *core = &call.core;
    core->scale = parameters->scale != 0.0f ? (double)parameters->scale : 1.0 / sqrt((double)core->head_size);
    core->stage = MD_SCORES_BIASED;
    const struct md_tensor *bias = md_input(invocation, INPUT_BIAS);
    size_t expected = core->heads * (2 * core->head_size + core->value_size);
    if (bias != NULL && bias->count != expected)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "bias has %zu elements, expected %zu",
                       bias->count, expected);
    *out_call = call;
    return MD_OK;
}

/* Scratch: Q with its bias, then K and V as the core reads them, then the core's. */
struct layout {
    size_t key, value, core, total;
};

static bool reserve(size_t *total, size_t rows, size_t width, size_t *out_end)
{
    size_t size;
    bool fits = !__builtin_mul_overflow(rows, width, &size) &&
                !__builtin_mul_overflow(size, sizeof(float), &size) &&
                !__builtin_add_overflow(size, 63, &size) &&
                !__builtin_add_overflow(*total, size & ~(size_t)63, total);
    *out_end = *total;
    return fits;
}

static bool lay_out(const struct call *call, struct layout *out_layout)
{
    const struct md_attention *core = &call->core;
    size_t total = 0, scratch, heads = core->batch * core->heads;
    struct layout layout;
    bool fits = reserve(&total, heads * core->query_length, core->head_size, &layout.key) &&
                reserve(&total, heads * core->key_length, core->head_size, &layout.value) &&
                reserve(&total, heads * core->key_length, core->value_size, &layout.core) &&
                md_attention_scratch(core, &scratch) &&
                !__builtin_add_overflow(total, scratch, &layout.total);
    *out_layout = layout;
    return fits;
}

static enum md_code head_prepare(struct md_invocation *invocation)
{
    const struct head_parameters *parameters = invocation->parameters;
    struct call call;
    struct md_padding_mask mask;
    struct layout layout;
    MD_TRY(open_call(invocation, &call));
    const struct md_attention *core = &call.core;
    MD_TRY(md_padding_mask_open(invocation, INPUT_MASK, INPUT_ATTENTION_BIAS, core, call.past_length,
                                parameters->is_causal, parameters->filter, &mask));
    int64_t batch = (int64_t)core->batch, heads = (int64_t)core->heads, rows = (int64_t)core->query_length;
    int64_t keys = (int64_t)core->key_length;
    struct md_shape y = { 3, { batch, rows, heads * (int64_t)core->value_size } };
    struct md_shape present_key = { 4, { batch, heads, keys, (int64_t)core->head_size } };
    struct md_shape present_value = { 4, { batch, heads, keys, (int64_t)core->value_size } };
    struct md_shape scores = { 4, { batch, heads, rows, keys } };
    MD_TRY(md_output(invocation, OUTPUT_Y, MD_FP32, &y));
    MD_TRY(md_output(invocation, OUTPUT_PRESENT_KEY, MD_FP32, &present_key));
    MD_TRY(md_output(invocation, OUTPUT_PRESENT_VALUE, MD_FP32, &present_value));
    MD_TRY(md_output(invocation, OUTPUT_SCORES, MD_FP32, &scores));
    if (!lay_out(&call, &layout))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "%zu keys are too many", core->key_length);
    return md_scratch(invocation, layout.total);
}

/* Adds a bias [heads * size] to rows [first, first + rows) of dense heads. */
static void add_bias(const struct md_attention *core, const float *bias, size_t rows, size_t size,
                     size_t first, const struct md_heads *heads, float *elements)
{
    for (size_t b = 0; bias != NULL && rows != 0 && b < core->batch; b++)
        for (size_t h = 0; h < core->heads; h++)
            for (size_t r = 0; r < rows; r++)
                for (size_t i = 0; i < size; i++)
                    elements[b * heads->batch_stride + h * heads->head_stride +
                             (first + r) * heads->row_stride + i] += bias[h * size + i];
}

/* Past rows, then new rows with their bias, as dense heads in `target`. */
static struct md_heads join(const struct call *call, const struct md_tensor *past,
                            const struct md_heads *fresh, const float *bias, size_t size, float *target)
{
    const struct md_attention *core = &call->core;
    struct md_heads joined = md_heads_dense(target, core->heads, core->key_length, size);
    if (past != NULL) {
        struct md_heads old = md_heads_dense(past->bytes, core->heads, call->past_length, size);
        md_heads_copy(&old, core->batch, core->heads, call->past_length, size * sizeof(float), sizeof(float),
                      &joined, 0);
    }
    md_heads_copy(fresh, core->batch, core->heads, call->new_length, size * sizeof(float), sizeof(float),
                  &joined, call->past_length);
    add_bias(core, bias, call->new_length, size, call->past_length, &joined, target);
    return joined;
}

static void open_operands(struct md_invocation *invocation, const struct layout *layout, struct call *call)
{
    struct md_attention *core = &call->core;
    const struct md_tensor *bias_tensor = md_input(invocation, INPUT_BIAS);
    struct md_tensor *present_key = md_output_tensor(invocation, OUTPUT_PRESENT_KEY);
    struct md_tensor *present_value = md_output_tensor(invocation, OUTPUT_PRESENT_VALUE);
    const float *bias = bias_tensor != NULL ? md_elements(const float, bias_tensor) : NULL;
    unsigned char *scratch = invocation->scratch;
    size_t hidden = core->heads * core->head_size;
    if (bias != NULL) {
        struct md_heads query = md_heads_dense(scratch, core->heads, core->query_length, core->head_size);
        md_heads_copy(&core->query, core->batch, core->heads, core->query_length,
                      core->head_size * sizeof(float), sizeof(float), &query, 0);
        add_bias(core, bias, core->query_length, core->head_size, 0, &query, (void *)scratch);
        core->query = query;
    }
    const float *kv_bias = call->key_bias && bias != NULL ? bias + hidden : NULL;
    core->key = call->key;
    core->value = call->value;
    if (kv_bias != NULL || call->past_length != 0 || present_key != NULL)
        core->key = join(call, md_input(invocation, INPUT_PAST_KEY), &call->key, kv_bias, core->head_size,
                         present_key != NULL ? present_key->bytes : (void *)(scratch + layout->key));
    if (kv_bias != NULL || call->past_length != 0 || present_value != NULL)
        core->value = join(call, md_input(invocation, INPUT_PAST_VALUE), &call->value,
                           kv_bias != NULL ? kv_bias + hidden : NULL, core->value_size,
                           present_value != NULL ? present_value->bytes : (void *)(scratch + layout->value));
}

static enum md_code head_run(struct md_invocation *invocation)
{
    const struct head_parameters *parameters = invocation->parameters;
    struct md_tensor *output = md_output_tensor(invocation, OUTPUT_Y),
                     *scores = md_output_tensor(invocation, OUTPUT_SCORES);
    struct call call;
    struct md_padding_mask mask;
    struct layout layout;
    MD_TRY(open_call(invocation, &call));
    (void)lay_out(&call, &layout); /* held in prepare */
    open_operands(invocation, &layout, &call);
    struct md_attention *core = &call.core;
    MD_TRY(md_padding_mask_open(invocation, INPUT_MASK, INPUT_ATTENTION_BIAS, core, call.past_length,
                                parameters->is_causal, parameters->filter, &mask));
    core->bias = md_padding_mask_add;
    core->bias_owner = &mask;
    core->scores = scores != NULL ? scores->bytes : NULL;
    if (output != NULL)
        core->output =
            md_heads_side_by_side(output->bytes, core->heads, core->query_length, core->value_size);
    md_attention_run(core, (unsigned char *)invocation->scratch + layout.core);
    return MD_OK;
}

static enum md_code head_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    const struct md_attributes *attributes = configuration->attributes;
    struct md_error *error = configuration->error;
    int64_t unidirectional;
    struct head_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_attribute_int(attributes, "num_heads", 0, &parameters->heads, error));
    MD_TRY(md_attribute_int(attributes, "unidirectional", 0, &unidirectional, error));
    MD_TRY(md_attribute_float(attributes, "scale", 0, &parameters->scale, error));
    MD_TRY(md_attribute_float(attributes, "mask_filter_value", -10000.0f, &parameters->filter, error));
    if (parameters->heads < 1 || parameters->heads > INT32_MAX)
        return md_fail(error, MD_INVALID_ARGUMENT, "attribute num_heads is %lld",
                       (long long)parameters->heads);
    parameters->is_causal = unidirectional != 0;
    *out_parameters = parameters;
    return MD_OK;
}

const struct md_operator md_operators_multi_head_attention[] = {
    { MD_MICROSOFT, "MultiHeadAttention", 1, MD_OPSET_MICROSOFT, 1, 10, 1, 4,
      MD_TYPES_FLOAT & ~MD_TYPE(MD_FP64), MD_TYPE(MD_FP32), 0, head_configure, head_prepare, head_run },
    { 0 },
};
