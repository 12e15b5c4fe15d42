/* padding_mask.c - see padding_mask.h. */
#include "padding_mask.h"

#include <float.h>

enum md_code md_attention_bias_open(struct md_invocation *invocation, size_t input,
                                    const struct md_attention *core, const float **out_bias,
                                    int64_t *out_strides)
{
    const struct md_tensor *bias = md_input(invocation, input);
    struct md_shape target = { 4,
                               { (int64_t)core->batch, (int64_t)core->heads, (int64_t)core->query_length,
                                 (int64_t)core->key_length } };
    struct md_shape both;
    char text[MD_SHAPE_TEXT_SIZE], wanted[MD_SHAPE_TEXT_SIZE];
    *out_bias = NULL;
    if (bias == NULL)
        return MD_OK;
    MD_TRY(md_expect_datatype(invocation, input, MD_TYPE(MD_FP32)));
    if (!md_shape_broadcast(&bias->shape, &target, &both) || !md_shape_equal(&both, &target))
        return md_fail(
            invocation->error, MD_INVALID_ARGUMENT, "attention_bias of shape %s does not broadcast to %s",
            md_shape_text(&bias->shape, text, sizeof text), md_shape_text(&target, wanted, sizeof wanted));
    md_broadcast_strides(&bias->shape, &target, out_strides);
    *out_bias = md_elements(const float, bias);
    return MD_OK;
}

static enum md_code mismatch(struct md_invocation *invocation, const struct md_tensor *tensor,
                             const struct md_attention *core)
{
    char text[MD_SHAPE_TEXT_SIZE];
    return md_fail(
        invocation->error, MD_INVALID_ARGUMENT, "mask of shape %s for batch %zu, %zu queries and %zu keys",
        md_shape_text(&tensor->shape, text, sizeof text), core->batch, core->query_length, core->key_length);
}

static enum md_code open_mask(struct md_invocation *invocation, const struct md_tensor *tensor,
                              const struct md_attention *core, struct md_padding_mask *mask)
{
    const int64_t *dims = tensor->shape.dims;
    const int32_t *values = md_elements(const int32_t, tensor);
    size_t batch = core->batch, keys = core->key_length;
    if (tensor->shape.rank == 1) {
        if (tensor->count != batch && tensor->count != 2 * batch && tensor->count != 3 * batch + 2)
            return mismatch(invocation, tensor, core);
        mask->ends = values;
        mask->starts = tensor->count == 2 * batch ? values + batch : NULL;
        return MD_OK;
    }
    int32_t rank = tensor->shape.rank;
    size_t width = rank > 0 ? (size_t)dims[rank - 1] : 0;
    if (rank < 2 || rank > 4 || (size_t)dims[0] != batch)
        return mismatch(invocation, tensor, core);
    mask->values = values;
    mask->key_count = keys;
    mask->row_stride = rank == 2 ? 0 : width;
    mask->batch_stride = tensor->count / (batch == 0 ? 1 : batch);
    if (rank == 4) { /* one square for all heads, of the largest length: rows count from the past on */
        mask->first_row = mask->past_length;
        bool fits =
            dims[1] == 1 && width >= keys && (size_t)dims[2] >= mask->past_length + core->query_length;
        return fits ? MD_OK : mismatch(invocation, tensor, core);
    }
    if (rank == 3 && (size_t)dims[1] != core->query_length)
        return mismatch(invocation, tensor, core);
    if (width == keys)
        return MD_OK;
    mask->first_key = mask->past_length; /* of the new keys only */
    mask->key_count = keys - mask->past_length;
    return width == mask->key_count ? MD_OK : mismatch(invocation, tensor, core);
}

enum md_code md_padding_mask_open(struct md_invocation *invocation, size_t mask_input, size_t bias_input,
                                  const struct md_attention *core, size_t past_length, bool is_causal,
                                  float filter, struct md_padding_mask *out_mask)
{
    const struct md_tensor *tensor = md_input(invocation, mask_input);
    struct md_padding_mask mask = { .filter = filter, .is_causal = is_causal, .past_length = past_length };
    MD_TRY(md_attention_bias_open(invocation, bias_input, core, &mask.bias, mask.bias_strides));
    if (tensor != NULL) {
        MD_TRY(md_expect_datatype(invocation, mask_input, MD_TYPE(MD_INT32)));
        MD_TRY(open_mask(invocation, tensor, core, &mask));
    }
    *out_mask = mask;
    return MD_OK;
}

void md_padding_mask_add(const struct md_attention *attention, size_t batch, size_t head, size_t row,
                         void *scores)
{
    const struct md_padding_mask *mask = attention->bias_owner;
    float *values = scores;
    size_t keys = attention->key_length;
    if (mask->bias != NULL) {
        const int64_t *strides = mask->bias_strides;
        const float *bias =
            mask->bias + (int64_t)batch * strides[0] + (int64_t)head * strides[1] + (int64_t)row * strides[2];
        for (size_t j = 0; j < keys; j++)
            values[j] += bias[j * (size_t)strides[3]];
    }
    if (mask->ends != NULL) {
        int64_t start = mask->starts != NULL ? mask->starts[batch] : 0, end = mask->ends[batch];
        for (size_t j = 0; j < keys; j++)
            values[j] += (int64_t)j >= start && (int64_t)j < end ? 0.0f : mask->filter;
    }
    if (mask->values != NULL) {
        const int32_t *masked = mask->values + batch * mask->batch_stride +
                                (mask->row_stride == 0 ? 0 : (mask->first_row + row) * mask->row_stride);
        for (size_t j = 0; j < mask->key_count; j++)
            values[mask->first_key + j] += masked[j] > 0 ? 0.0f : mask->filter;
    }
    for (size_t j = mask->past_length + row + 1; mask->is_causal && j < keys; j++)
        values[j] = -FLT_MAX; /* finite, as the filter is: a row of nothing but masked keys is even */
}
