/* padding_mask.h - the masks of com.microsoft's attention operators, in all their shapes, as additive biases
 * (FP32). */
#ifndef MD_PADDING_MASK_H
#define MD_PADDING_MASK_H

#include "attention_core.h"

struct md_padding_mask {
    const int32_t *ends, *starts; /* valid keys of each batch entry: [start, end); NULL: all */
    const int32_t *values;        /* 0: masked; NULL: none */
    size_t batch_stride, row_stride, first_row;
    size_t first_key, key_count; /* the keys that values covers */
    float filter;                /* added to masked scores */
    bool is_causal;
    size_t past_length;
    const float *bias; /* attention_bias, or NULL */
    int64_t bias_strides[4];
};

/* Reads mask (INT32: [batch], [2 batch], [3 batch + 2], [batch, keys], [batch, rows, keys] or [batch, 1, max,
 * max]) and attention_bias (broadcasts to [batch, heads, rows, keys]); both may be absent. `core` has its
 * sizes. INVALID_ARGUMENT: a shape or type does not fit. */
MD_NODISCARD enum md_code md_padding_mask_open(struct md_invocation *invocation, size_t mask_input,
                                               size_t bias_input, const struct md_attention *core,
                                               size_t past_length, bool is_causal, float filter,
                                               struct md_padding_mask *out_mask);
/* An md_attention_bias_fn; bias_owner is the mask. */
void md_padding_mask_add(const struct md_attention *attention, size_t batch, size_t head, size_t row,
                         void *scores);

/* Strides of a FP32 attention_bias that broadcasts to [batch, heads, rows, keys]. Absent: *out_bias NULL. */
MD_NODISCARD enum md_code md_attention_bias_open(struct md_invocation *invocation, size_t input,
                                                 const struct md_attention *core, const float **out_bias,
                                                 int64_t *out_strides);
#endif
