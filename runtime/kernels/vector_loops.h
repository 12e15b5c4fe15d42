/* vector_loops.h - loops over rows of floats and the attention of one head, in the instruction set that the machine
 * has: chosen once per process, fastest first. Every result depends on its own row alone: its bits are the same in any
 * batch, at any position. Threads: pure functions. Memory: the caller's. */
#ifndef MD_VECTOR_LOOPS_H
#define MD_VECTOR_LOOPS_H

#include "isa.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum md_float_map { MD_MAP_GELU, MD_MAP_GELU_TANH, MD_MAP_TANH, MD_MAP_SIGMOID };

/* One row of LayerNormalization over a + b + c; all rows have `length` elements. */
struct md_row_layer_norm {
    size_t length;
    const float *a;
    const float *b; /* or NULL */
    const float *c; /* or NULL */
    const float *scale;
    const float *bias; /* or NULL */
    float epsilon;
    float *sum;     /* a + b + c; may be a, b or out */
    float *out;
};

/* softmax(q k' * scale + mask) v for `queries` rows of one head. Elements of one row of q, k, v and out are adjacent
 * (row strides in elements). The mask is added; its row of query i begins at i * mask_row_stride. */
struct md_attention_head {
    size_t queries, keys, size, value_size;
    const float *q, *k, *v;
    ptrdiff_t q_stride, k_stride, v_stride, out_stride;
    float scale;
    const float *mask;         /* or NULL */
    ptrdiff_t mask_row_stride; /* 0: one row for all queries */
    bool mask_per_key;         /* false: one element for the whole row */
    float *out;
};

struct md_vector_loops {
    enum md_isa isa; /* that it needs */
    void (*map)(enum md_float_map map, size_t count, const float *in, float *out); /* in may be out */
    void (*layer_norm)(const struct md_row_layer_norm *row);
    /* out[i] is the largest of row i of `in`, rows one after the other; NaN when the row has one, -inf for length 0. */
    void (*largest)(size_t rows, size_t length, const float *in, float *out);
    /* The least and the largest of `count` floats and 0; NaN counts as 0. */
    void (*range)(size_t count, const float *in, float *out_low, float *out_high);
    /* in / scale to nearest even, plus a whole zero point, clamped to [0, 255]; NaN is 0. */
    void (*codes)(size_t count, const float *in, float scale, float zero_point, uint8_t *out);
    /* out[j] is the largest of column j of `rows` >= 1 rows that are `stride` apart; NaN when the column has one. */
    void (*largest_of_columns)(size_t rows, size_t columns, const float *in, size_t stride, float *out);
    /* `width` floats of each row, and zeros up to to_width, which is `width` rounded up to the product's lanes. */
    void (*copy_rows)(size_t rows, size_t width, const float *from, size_t from_stride, float *to, size_t to_stride,
                      size_t to_width);
    /* One row of LSTM: gates [4][hidden] in the order i, o, f, c (before their activations); memory and state [hidden].
     *     memory = sigmoid(f) * memory + sigmoid(i) * tanh(c), state = sigmoid(o) * tanh(memory) */
    void (*lstm_cell)(size_t hidden, const float *gates, float *memory, float *state);
    /* Bytes for attention; false: overflow. */
    bool (*attention_workspace)(size_t keys, size_t size, size_t value_size, size_t *out_bytes);
    void (*attention)(const struct md_attention_head *head, void *workspace); /* 64-byte aligned */
};

const struct md_vector_loops *md_vector_loops(void);

/* The same attention with q, k, v and the weights of the keys rounded to BF16; sums, scores and softmax stay FP32. */
struct md_attention_loops {
    enum md_isa isa;
    bool (*workspace)(size_t keys, size_t size, size_t value_size, size_t *out_bytes);
    void (*run)(const struct md_attention_head *head, void *workspace);
};
/* NULL: the machine has no instructions for it. */
const struct md_attention_loops *md_attention_bf16(void);

/* Variant `index`, the highest level first; NULL after the last one, which is portable. For tests. */
const struct md_vector_loops *md_vector_loops_at(size_t index);

#endif
