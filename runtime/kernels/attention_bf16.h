/* attention_bf16.h - operands of attention_tile.h rounded to BF16: a word holds two of them, of neighbouring elements of
 * q and k, and of neighbouring keys of the weights and v. Needs AVX-512 BF16, whose conversions round to nearest even. */
#ifndef MD_ATTENTION_BF16_H
#define MD_ATTENTION_BF16_H

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
    return count / 2 + count % 2;
}

/* Words of room for the rows of one operand of attention_operand. */
static inline size_t attention_room(size_t rows, size_t size)
{
    return rows * attention_words(size);
}

static inline vf attention_dot(vf sum, vf a, vf b)
{
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}

/* In place: words are written behind the floats that have been read. */
static inline void attention_put_weights(float *row, size_t j, vf weights)
{
    _mm256_storeu_si256((__m256i *)(void *)(row + j / 2), (__m256i)_mm512_cvtneps_pbh(weights));
}

static inline __m512 attention_load(const float *from, size_t count)
{
    return _mm512_maskz_loadu_ps((__mmask16)(count >= VF_LANES ? 0xffffu : (1u << count) - 1u), from);
}

static inline struct attention_rows attention_operand(const float *rows, ptrdiff_t stride, size_t count, size_t size,
                                                      float *room)
{
    const size_t words = attention_words(size);
    for (size_t i = 0; i < count; i++)
        for (size_t d = 0; d < size; d += VF_LANES) {
            const size_t left = words - d / 2;
            const __m256bh rounded = _mm512_cvtneps_pbh(attention_load(rows + (ptrdiff_t)i * stride + d, size - d));
            _mm256_mask_storeu_epi32(room + i * words + d / 2, (__mmask8)(left >= 8 ? 0xffu : (1u << left) - 1u),
                                     (__m256i)rounded);
        }
    return (struct attention_rows){ room, (ptrdiff_t)words };
}

/* The values of `keys` keys, two in a row of `width` words, zeros from value_size on. */
static void attention_put_values(const struct md_attention_head *head, size_t keys, size_t width, float *to)
{
    for (size_t j = 0; j < keys; j += 2, to += width)
        for (size_t d = 0; d < width; d += VF_LANES) {
            const float *even = head->v + (ptrdiff_t)j * head->v_stride + d, *odd = even + head->v_stride;
            const __m256bh low = _mm512_cvtneps_pbh(attention_load(even, head->value_size - d));
            const __m256bh high = _mm512_cvtneps_pbh(attention_load(odd, j + 1 < keys ? head->value_size - d : 0));
            const __m512i words = _mm512_or_si512(_mm512_cvtepu16_epi32((__m256i)low),
                                                  _mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)high), 16));
            _mm512_storeu_si512(to + d, words);
        }
}

#endif
