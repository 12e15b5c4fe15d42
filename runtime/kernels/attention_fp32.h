/* attention_fp32.h - operands of attention_tile.h as they are: FP32. */
#ifndef MD_ATTENTION_FP32_H
#define MD_ATTENTION_FP32_H

#include "vector_loops.h"
#include "vector_math.h"

/* Rows whose words attention_dot takes. */
struct attention_rows {
    const float *at;
    ptrdiff_t stride;
};

/* Words that `count` elements of a sum take. */
static inline size_t attention_words(size_t count)
{
    return count;
}

/* Words of room for the rows of one operand of attention_operand. */
static inline size_t attention_room(size_t rows, size_t size)
{
    (void)rows;
    (void)size;
    return 0;
}

static inline vf attention_dot(vf sum, vf a, vf b)
{
    return vf_fma(a, b, sum);
}

static inline void attention_put_weights(float *row, size_t j, vf weights)
{
    vf_store(row + j, weights);
}

static inline struct attention_rows attention_operand(const float *rows, ptrdiff_t stride, size_t count, size_t size,
                                                      float *room)
{
    (void)count;
    (void)size;
    (void)room;
    return (struct attention_rows){ rows, stride };
}

/* The values of `keys` keys in rows of `width`, zeros from value_size on. */
static void attention_put_values(const struct md_attention_head *head, size_t keys, size_t width, float *to)
{
    for (size_t j = 0; j < keys; j++, to += width) {
        memcpy(to, head->v + (ptrdiff_t)j * head->v_stride, head->value_size * sizeof *to);
        memset(to + head->value_size, 0, (width - head->value_size) * sizeof *to);
    }
}

#endif
