/* attention_core.h - softmax(scale * Q K' + bias) V, which all attention operators share.
 *
 * Operators say where heads lie (strided views), write the additive bias of one row of scores, and get the
 * scores of a few query rows at a time: memory does not grow with the square of the length. A row whose
 * biases are all -infinity gives zeros. FP32 and FP64. Threads: pure functions. Memory: the caller's scratch.
 */
#ifndef MD_ATTENTION_CORE_H
#define MD_ATTENTION_CORE_H

#include "operator.h"

/* Head vectors are dense; strides count elements. */
struct md_heads {
    const void *elements;
    size_t batch_stride, head_stride, row_stride;
};

enum md_score_stage {
    MD_SCORES_NONE = 0,
    MD_SCORES_PRODUCT, /* scale * Q K' */
    MD_SCORES_CAPPED,  /* after softcap */
    MD_SCORES_BIASED,  /* what softmax takes */
    MD_SCORES_WEIGHTS  /* what softmax gives */
};

struct md_attention;

/* Adds the bias of query row (batch, head, row) to scores[0 .. key_length). -INFINITY: not allowed. */
typedef void (*md_attention_bias_fn)(const struct md_attention *attention, size_t batch, size_t head,
                                     size_t row, void *scores);

struct md_attention {
    bool is_double;
    size_t batch, heads, kv_heads; /* heads is a multiple of kv_heads */
    size_t query_length, key_length, head_size, value_size;
    struct md_heads query, key, value,
        output; /* output is written; without elements only the scores are wanted */
    double scale;
    double softcap;            /* 0: none */
    md_attention_bias_fn bias; /* NULL: none */
    const void *bias_owner;
    const float *sinks; /* per head: a score that takes part in the softmax but has no value; or NULL */
    bool has_zero_sink; /* the same with score 0 for every head */
    enum md_score_stage stage; /* which scores go to `scores` */
    void *scores;              /* [batch, heads, query_length, key_length], or NULL */
};

/* Bytes; false: overflow. */
bool md_attention_scratch(const struct md_attention *attention, size_t *out_size);
void md_attention_run(const struct md_attention *attention, void *scratch);

/* Rows [batch, heads, rows, size] as dense memory. */
struct md_heads md_heads_dense(const void *elements, size_t heads, size_t rows, size_t size);
/* Rows [batch, rows, heads * size]: heads side by side. */
struct md_heads md_heads_side_by_side(const void *elements, size_t heads, size_t rows, size_t size);

/* Copies `rows` rows of every head of `from` to rows [first, first + rows) of `to`. */
void md_heads_copy(const struct md_heads *from, size_t batch, size_t heads, size_t rows, size_t bytes_per_row,
                   size_t unit, const struct md_heads *to, size_t first);

#endif
