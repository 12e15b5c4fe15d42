/* group_query_attention.c - com.microsoft's GroupQueryAttention: causal attention of a decoder whose query
 * heads share key heads, with a cache whose valid length is given per batch entry, rotary positions and a
 * local window.
 *
 * Batch entry b holds total = seqlens_k[b] + 1 tokens after this step, past = total - sequence_length of them
 * (none in a prompt, which may be padded on the right). New rows go to [past, past + sequence_length) of the
 * cache. */
#include "operator_table.h"
#include "padding_mask.h"
#include "parameters.h"
#include "rotary.h"

#include <math.h>

enum {
    INPUT_QUERY,
    INPUT_KEY,
    INPUT_VALUE,
    INPUT_PAST_KEY,
    INPUT_PAST_VALUE,
    INPUT_LENGTHS,
    INPUT_TOTAL,
    INPUT_COSINES,
    INPUT_SINES,
    INPUT_POSITIONS,
    INPUT_ATTENTION_BIAS,
    INPUT_SINKS,
    INPUT_LIMIT
};
enum { OUTPUT_Y, OUTPUT_PRESENT_KEY, OUTPUT_PRESENT_VALUE, OUTPUT_SCORES };

struct group_parameters {
    int64_t heads, kv_heads, window;
    bool do_rotary, interleaved, is_causal, smooth;
    float scale, softcap; /* scale 0: 1 / sqrt(head size) */
    enum md_score_stage stage;
};

struct call {
    struct md_attention core;
    struct md_heads query, key, value; /* as they come in */
    size_t past_capacity, half;
    bool is_prompt;
    const int32_t *lengths;
    const float *sinks, *bias;
    int64_t bias_strides[4];
    int64_t window;
    bool is_causal;
};

/* Tokens in the cache before this step. */
static size_t past_of(const struct call *call, size_t b)
{
    return call->is_prompt ? 0 : (size_t)call->lengths[b] + 1 - call->core.query_length;
}

static enum md_code open_heads(struct md_invocation *invocation, struct call *call)
{
    const struct group_parameters *parameters = invocation->parameters;
    const struct md_tensor *query = md_input(invocation, INPUT_QUERY), *key = md_input(invocation, INPUT_KEY);
    const struct md_tensor *value = md_input(invocation, INPUT_VALUE);
    struct md_attention *core = &call->core;
    int64_t heads = parameters->heads, kv_heads = parameters->kv_heads, width = query->shape.dims[2];
    int64_t shares = key == NULL ? heads + 2 * kv_heads : heads;
    if (width == 0 || width % shares != 0)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "query has width %lld for %lld heads",
                       (long long)width, (long long)shares);
    core->batch = (size_t)query->shape.dims[0];
    core->query_length = (size_t)query->shape.dims[1];
    if (core->query_length == 0)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "query has length 0");
    core->heads = (size_t)heads;
    core->kv_heads = (size_t)kv_heads;
    core->head_size = core->value_size = (size_t)(width / shares);
    size_t rows = core->query_length, size = core->head_size;
    call->query = (struct md_heads){ query->bytes, rows * (size_t)width, size, (size_t)width };
    if (key == NULL) {
        const float *elements = md_elements(const float, query);
        if (value != NULL)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "value is given without key");
        call->key = call->value = call->query;
        call->key.elements = elements + (size_t)heads * size;
        call->value.elements = elements + (size_t)(heads + kv_heads) * size;
        return MD_OK;
    }
    MD_TRY(md_expect_tensor(invocation, INPUT_VALUE));
    struct md_shape expected = {
        3, { query->shape.dims[0], query->shape.dims[1], kv_heads * (width / shares) }
    };
    char text[MD_SHAPE_TEXT_SIZE], wanted[MD_SHAPE_TEXT_SIZE];
    if (!md_shape_equal(&key->shape, &expected) || !md_shape_equal(&value->shape, &expected))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "key or value has shape %s, expected %s",
                       md_shape_text(md_shape_equal(&key->shape, &expected) ? &value->shape : &key->shape,
                                     text, sizeof text),
                       md_shape_text(&expected, wanted, sizeof wanted));
    call->key = md_heads_side_by_side(key->bytes, core->kv_heads, rows, size);
    call->value = md_heads_side_by_side(value->bytes, core->kv_heads, rows, size);
    return MD_OK;
}

static enum md_code open_past(struct md_invocation *invocation, struct call *call)
{
    const struct md_tensor *past_key = md_input(invocation, INPUT_PAST_KEY);
    const struct md_tensor *past_value = md_input(invocation, INPUT_PAST_VALUE);
    const struct md_attention *core = &call->core;
    char text[MD_SHAPE_TEXT_SIZE];
    if ((past_key == NULL) != (past_value == NULL))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "past_key and past_value must be given together");
    if (past_key == NULL)
        return MD_OK;
    MD_TRY(md_expect_rank(invocation, INPUT_PAST_KEY, 4, 4));
    const int64_t *dims = past_key->shape.dims;
    if ((size_t)dims[0] != core->batch || (size_t)dims[1] != core->kv_heads ||
        (size_t)dims[3] != core->head_size || !md_shape_equal(&past_key->shape, &past_value->shape))
        return md_fail(
            invocation->error, MD_INVALID_ARGUMENT, "past has shape %s, expected [%zu,%zu,*,%zu] twice",
            md_shape_text(&past_key->shape, text, sizeof text), core->batch, core->kv_heads, core->head_size);
    call->past_capacity = (size_t)dims[2];
    return MD_OK;
}

static enum md_code open_lengths(struct md_invocation *invocation, struct call *call)
{
    const struct md_tensor *lengths = md_input(invocation, INPUT_LENGTHS),
                           *total = md_input(invocation, INPUT_TOTAL);
    struct md_attention *core = &call->core;
    MD_TRY(md_expect_tensor(invocation, INPUT_LENGTHS));
    MD_TRY(md_expect_tensor(invocation, INPUT_TOTAL));
    MD_TRY(md_expect_datatype(invocation, INPUT_LENGTHS, MD_TYPE(MD_INT32)));
    MD_TRY(md_expect_datatype(invocation, INPUT_TOTAL, MD_TYPE(MD_INT32)));
    if (lengths->count != core->batch || total->count != 1)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "seqlens_k has %zu elements for a batch of %zu, total_sequence_length has %zu",
                       lengths->count, core->batch, total->count);
    int64_t whole = md_elements(const int32_t, total)[0];
    if (whole < (int64_t)core->query_length)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "total_sequence_length is %lld, the query has length %zu", (long long)whole,
                       core->query_length);
    call->lengths = md_elements(const int32_t, lengths);
    call->is_prompt = (size_t)whole == core->query_length;
    core->key_length = (size_t)whole > call->past_capacity ? (size_t)whole : call->past_capacity;
    for (size_t b = 0; b < core->batch; b++) {
        int64_t kept = (int64_t)call->lengths[b] + 1 - (call->is_prompt ? 0 : (int64_t)core->query_length);
        bool fits = call->is_prompt ? kept >= 0 : kept >= 0 && (size_t)kept <= call->past_capacity;
        if (!fits || call->lengths[b] >= whole)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "seqlens_k[%zu] is %d with %lld tokens in all, %zu new and room for %zu old", b,
                           (int)call->lengths[b], (long long)whole, core->query_length, call->past_capacity);
    }
    return MD_OK;
}

static enum md_code open_rotary(struct md_invocation *invocation, struct call *call)
{
    const struct group_parameters *parameters = invocation->parameters;
    const struct md_tensor *cosines = md_input(invocation, INPUT_COSINES),
                           *sines = md_input(invocation, INPUT_SINES);
    const struct md_tensor *positions = md_input(invocation, INPUT_POSITIONS);
    const struct md_attention *core = &call->core;
    if (!parameters->do_rotary)
        return MD_OK;
    MD_TRY(md_expect_tensor(invocation, INPUT_COSINES));
    MD_TRY(md_expect_tensor(invocation, INPUT_SINES));
    MD_TRY(md_expect_rank(invocation, INPUT_COSINES, 2, 2));
    MD_TRY(md_expect_datatype(invocation, INPUT_POSITIONS, MD_TYPE(MD_INT64)));
    call->half = (size_t)cosines->shape.dims[1];
    if (!md_shape_equal(&cosines->shape, &sines->shape) || call->half > core->head_size / 2)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "rotary caches have %zu columns for heads of %zu", call->half, core->head_size);
    if (positions != NULL && positions->count != core->batch * core->query_length)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "position_ids has %zu elements, there are %zu tokens", positions->count,
                       core->batch * core->query_length);
    for (size_t token = 0; token < core->batch * core->query_length; token++) {
        size_t b = token / core->query_length, row = token % core->query_length;
        int64_t position = positions != NULL ? md_elements(const int64_t, positions)[token]
                                             : (int64_t)(past_of(call, b) + row);
        if (position < 0 || position >= cosines->shape.dims[0])
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "position %lld: the rotary caches have %lld rows", (long long)position,
                           (long long)cosines->shape.dims[0]);
    }
    return MD_OK;
}

static enum md_code open_call(struct md_invocation *invocation, struct call *out_call)
{
    const struct group_parameters *parameters = invocation->parameters;
    const struct md_tensor *sinks = md_input(invocation, INPUT_SINKS);
    static const size_t reals[] = { INPUT_KEY,     INPUT_VALUE, INPUT_PAST_KEY,       INPUT_PAST_VALUE,
                                    INPUT_COSINES, INPUT_SINES, INPUT_ATTENTION_BIAS, INPUT_SINKS };
    struct call call = { .window = parameters->window, .is_causal = parameters->is_causal };
    MD_TRY(md_expect_tensor(invocation, INPUT_QUERY));
    MD_TRY(md_expect_rank(invocation, INPUT_QUERY, 3, 3));
    for (size_t i = 0; i < sizeof reals / sizeof reals[0]; i++)
        MD_TRY(md_expect_same_datatype(invocation, INPUT_QUERY, reals[i]));
    for (size_t i = INPUT_LIMIT; i < invocation->input_count; i++)
        if (md_input(invocation, i) != NULL)
            return md_fail(invocation->error, MD_UNIMPLEMENTED, "input %zu of this operator has no kernel",
                           i);
    MD_TRY(open_heads(invocation, &call));
    MD_TRY(open_past(invocation, &call));
    MD_TRY(open_lengths(invocation, &call));
    MD_TRY(open_rotary(invocation, &call));
    struct md_attention *core = &call.core;
    core->scale = parameters->scale != 0.0f ? (double)parameters->scale : 1.0 / sqrt((double)core->head_size);
    core->softcap = (double)parameters->softcap;
    core->stage = parameters->stage;
    core->has_zero_sink = parameters->smooth;
    if (sinks != NULL && sinks->count != core->heads)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "head_sink has %zu elements for %zu heads",
                       sinks->count, core->heads);
    core->sinks = sinks != NULL ? md_elements(const float, sinks) : NULL;
    struct md_attention bias_sizes = *core;
    bias_sizes.key_length = (size_t)md_elements(const int32_t, md_input(invocation, INPUT_TOTAL))[0];
    MD_TRY(
        md_attention_bias_open(invocation, INPUT_ATTENTION_BIAS, &bias_sizes, &call.bias, call.bias_strides));
    *out_call = call;
    return MD_OK;
}

/* Scratch: rotated queries, keys, values, then the core's. */
struct layout {
    size_t key, value, core, total;
};

static bool lay_out(const struct call *call, struct layout *out_layout)
{
    const struct md_attention *core = &call->core;
    size_t rows[] = { core->batch * core->heads, core->batch * core->kv_heads, core->batch * core->kv_heads };
    size_t lengths[] = { core->query_length, core->key_length, core->key_length }, ends[3], total = 0, work;
    for (size_t i = 0; i < 3; i++) {
        size_t size;
        if (__builtin_mul_overflow(rows[i], lengths[i], &size) ||
            __builtin_mul_overflow(size, core->head_size * sizeof(float), &size) ||
            __builtin_add_overflow(size, 63, &size) ||
            __builtin_add_overflow(total, size & ~(size_t)63, &total))
            return false;
        ends[i] = total;
    }
    *out_layout = (struct layout){ ends[0], ends[1], ends[2], 0 };
    return md_attention_scratch(core, &work) && !__builtin_add_overflow(total, work, &out_layout->total);
}

static enum md_code group_prepare(struct md_invocation *invocation)
{
    struct layout layout;
    struct call call;
    MD_TRY(open_call(invocation, &call));
    const struct md_attention *core = &call.core;
    int64_t batch = (int64_t)core->batch, rows = (int64_t)core->query_length, size = (int64_t)core->head_size;
    int64_t heads = (int64_t)core->heads, keys = (int64_t)core->key_length;
    struct md_shape y = { 3, { batch, rows, heads * size } };
    struct md_shape present = { 4, { batch, (int64_t)core->kv_heads, keys, size } };
    int64_t whole = md_elements(const int32_t, md_input(invocation, INPUT_TOTAL))[0];
    struct md_shape scores = { 4, { batch, heads, rows, whole } };
    if (md_wants_output(invocation, OUTPUT_SCORES) && (whole != keys || core->stage == MD_SCORES_NONE))
        return md_fail(
            invocation->error, MD_UNIMPLEMENTED,
            "output 3 needs attribute qk_output and a cache of total_sequence_length %lld, it has %lld",
            (long long)whole, (long long)keys);
    MD_TRY(md_output(invocation, OUTPUT_Y, MD_FP32, &y));
    MD_TRY(md_output(invocation, OUTPUT_PRESENT_KEY, MD_FP32, &present));
    MD_TRY(md_output(invocation, OUTPUT_PRESENT_VALUE, MD_FP32, &present));
    MD_TRY(md_output(invocation, OUTPUT_SCORES, MD_FP32, &scores));
    if (!lay_out(&call, &layout))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "%zu keys are too many", core->key_length);
    return md_scratch(invocation, layout.total);
}

/* Causal order, window and attention_bias. */
static void add_bias(const struct md_attention *attention, size_t batch, size_t head, size_t row,
                     void *scores)
{
    const struct call *call = attention->bias_owner;
    float *values = scores;
    size_t position = past_of(call, batch) + row;
    size_t end = call->is_causal ? position + 1 : (size_t)call->lengths[batch] + 1, start = 0;
    if (end > attention->key_length)
        end = attention->key_length;
    if (call->window > 0 && end > (size_t)call->window)
        start = end - (size_t)call->window;
    if (call->bias != NULL) {
        const int64_t *strides = call->bias_strides;
        const float *bias =
            call->bias + (int64_t)batch * strides[0] + (int64_t)head * strides[1] + (int64_t)row * strides[2];
        for (size_t j = start; j < end; j++)
            values[j] += bias[j * (size_t)strides[3]];
    }
    for (size_t j = 0; j < start; j++)
        values[j] = -INFINITY;
    for (size_t j = end; j < attention->key_length; j++)
        values[j] = -INFINITY;
}

/* New rows of one batch entry, turned if they must be, to rows [first, ...) of `to`. */
static void place_rows(struct md_invocation *invocation, const struct call *call, const struct md_heads *from,
                       size_t heads, size_t b, bool turn, const struct md_heads *to, float *elements,
                       size_t first)
{
    const struct group_parameters *parameters = invocation->parameters;
    const struct md_tensor *positions = md_input(invocation, INPUT_POSITIONS);
    size_t rows = call->core.query_length, size = call->core.head_size;
    for (size_t r = 0; r < rows; r++) {
        size_t position = past_of(call, b) + r, half = turn ? call->half : 0;
        if (positions != NULL)
            position = (size_t)md_elements(const int64_t, positions)[b * rows + r];
        const float *cosines = NULL, *sines = NULL;
        if (half != 0) {
            cosines = md_elements(const float, md_input(invocation, INPUT_COSINES)) + position * half;
            sines = md_elements(const float, md_input(invocation, INPUT_SINES)) + position * half;
        }
        for (size_t h = 0; h < heads; h++)
            md_rotate_head(parameters->interleaved, size, half, cosines, sines,
                           (const float *)from->elements + b * from->batch_stride + h * from->head_stride +
                               r * from->row_stride,
                           elements + b * to->batch_stride + h * to->head_stride +
                               (first + r) * to->row_stride);
    }
}

/* The cache after this step. Rows that hold no token are 0, so that masked products stay finite. */
static struct md_heads update_cache(struct md_invocation *invocation, const struct call *call,
                                    size_t past_input, const struct md_heads *fresh, bool turn, float *target)
{
    const struct md_attention *core = &call->core;
    const struct md_tensor *past = md_input(invocation, past_input);
    struct md_heads cache = md_heads_dense(target, core->kv_heads, core->key_length, core->head_size);
    size_t row = core->head_size;
    for (size_t b = 0; b < core->batch; b++) {
        size_t kept = past_of(call, b);
        for (size_t h = 0; h < core->kv_heads; h++) {
            float *head = target + b * cache.batch_stride + h * cache.head_stride;
            memset(head, 0, core->key_length * row * sizeof(float));
            if (kept != 0)
                memcpy(head,
                       md_elements(const float, past) + (b * core->kv_heads + h) * call->past_capacity * row,
                       kept * row * sizeof(float));
        }
        place_rows(invocation, call, fresh, core->kv_heads, b, turn, &cache, target, kept);
    }
    return cache;
}

static enum md_code group_run(struct md_invocation *invocation)
{
    const struct group_parameters *parameters = invocation->parameters;
    struct md_tensor *output = md_output_tensor(invocation, OUTPUT_Y),
                     *scores = md_output_tensor(invocation, OUTPUT_SCORES);
    struct md_tensor *present_key = md_output_tensor(invocation, OUTPUT_PRESENT_KEY);
    struct md_tensor *present_value = md_output_tensor(invocation, OUTPUT_PRESENT_VALUE);
    unsigned char *scratch = invocation->scratch;
    struct layout layout;
    struct call call;
    MD_TRY(open_call(invocation, &call));
    (void)lay_out(&call, &layout); /* held in prepare */
    struct md_attention *core = &call.core;
    bool turn = parameters->do_rotary;
    core->key = update_cache(invocation, &call, INPUT_PAST_KEY, &call.key, turn,
                             present_key != NULL ? present_key->bytes : (void *)(scratch + layout.key));
    core->value =
        update_cache(invocation, &call, INPUT_PAST_VALUE, &call.value, false,
                     present_value != NULL ? present_value->bytes : (void *)(scratch + layout.value));
    core->query = md_heads_dense(scratch, core->heads, core->query_length, core->head_size);
    for (size_t b = 0; b < core->batch; b++)
        place_rows(invocation, &call, &call.query, core->heads, b, turn, &core->query, (void *)scratch, 0);
    core->bias = add_bias;
    core->bias_owner = &call;
    core->scores = scores != NULL ? scores->bytes : NULL;
    if (output != NULL)
        core->output = md_heads_side_by_side(output->bytes, core->heads, core->query_length, core->head_size);
    md_attention_run(core, scratch + layout.core);
    return MD_OK;
}

static enum md_code read_flags(const struct md_configuration *configuration,
                               struct group_parameters *parameters)
{
    static const struct {
        const char *name;
        int64_t absent;
    } flags[] = { { "do_rotary", 0 },      { "rotary_interleaved", 0 }, { "causal", 1 },
                  { "smooth_softmax", 0 }, { "qk_output", 0 },          { "sliding_window_cache", 0 } };
    int64_t values[sizeof flags / sizeof flags[0]];
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        MD_TRY(md_attribute_int(configuration->attributes, flags[i].name, flags[i].absent, &values[i],
                                configuration->error));
    parameters->do_rotary = values[0] != 0;
    parameters->interleaved = values[1] != 0;
    parameters->is_causal = values[2] != 0;
    parameters->smooth = values[3] > 0;
    parameters->stage = values[4] == 1   ? MD_SCORES_BIASED
                        : values[4] == 2 ? MD_SCORES_WEIGHTS
                                         : MD_SCORES_NONE;
    if (values[5] != 0)
        return md_fail(configuration->error, MD_UNIMPLEMENTED,
                       "attribute sliding_window_cache has no kernel");
    return MD_OK;
}

static enum md_code group_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    const struct md_attributes *attributes = configuration->attributes;
    struct md_error *error = configuration->error;
    struct group_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_attribute_int(attributes, "num_heads", 0, &parameters->heads, error));
    MD_TRY(md_attribute_int(attributes, "kv_num_heads", 0, &parameters->kv_heads, error));
    MD_TRY(md_attribute_int(attributes, "local_window_size", -1, &parameters->window, error));
    MD_TRY(md_attribute_float(attributes, "scale", 0, &parameters->scale, error));
    MD_TRY(md_attribute_float(attributes, "softcap", 0, &parameters->softcap, error));
    MD_TRY(read_flags(configuration, parameters));
    int64_t heads = parameters->heads, kv_heads = parameters->kv_heads;
    if (heads < 1 || heads > INT32_MAX || kv_heads < 1 || heads % kv_heads != 0)
        return md_fail(error, MD_INVALID_ARGUMENT, "attributes num_heads %lld and kv_num_heads %lld",
                       (long long)heads, (long long)kv_heads);
    *out_parameters = parameters;
    return MD_OK;
}

const struct md_operator md_operators_group_query_attention[] = {
    { MD_MICROSOFT, "GroupQueryAttention", 1, MD_OPSET_MICROSOFT, 1, 17, 1, 4,
      MD_TYPES_FLOAT & ~MD_TYPE(MD_FP64), MD_TYPE(MD_FP32), 0, group_configure, group_prepare, group_run },
    { 0 },
};
