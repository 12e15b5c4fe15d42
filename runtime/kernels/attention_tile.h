/* attention_tile.h - the attention of one head, a few queries at a time; included by the variants of vector_loops.h
 * after attention_fp32.h or attention_bf16.h, which say what a word of an operand is: one element or two.
 *
 *     workspace: [ scores of a tile | one padded mask row per query of a tile | values | keys, transposed, in panels |
 *                  rounded keys | rounded queries of a tile ]
 *
 * For every tile of queries: scores against all keys (registers hold rows x vectors of sums), the row's softmax, then
 * the weighted sum of the values. Memory grows with the number of keys, never with its square. Sums run over keys in
 * order, and a key whose weight is 0 adds exactly nothing: padding that is masked leaves a row's bits as they are. */
#ifndef MD_ATTENTION_TILE_H
#define MD_ATTENTION_TILE_H

#include "checked.h"
#include "vector_loops.h"
#include "vector_math.h"

#include <math.h>

#if defined(__AVX512F__)
enum { ATTENTION_ROWS = 8, ATTENTION_VECTORS = 3 };
#else
enum { ATTENTION_ROWS = 4, ATTENTION_VECTORS = 2 };
#endif
enum { ATTENTION_PANEL = ATTENTION_VECTORS * VF_LANES };

/* A mask this low makes a key's weight 0 beside any score that a model can have. */
#define ATTENTION_MASKED (-1e30f)
#define ATTENTION_LEAST_MAXIMUM (-1e25f)

/* The pieces of the workspace. */
struct attention_work {
    size_t keys;        /* those before the masked tail */
    size_t row_length;  /* keys up to a whole vector */
    size_t value_width; /* value_size up to a whole vector */
    float *k, *v, *mask, *scores;
    float *key_room, *query_room; /* for attention_operand */
};

/* Products of the caller's tile: rows of a, each word times a row of b, summed in order. */
struct attention_product {
    size_t depth;
    const float *a;
    ptrdiff_t a_stride;
    const float *b;
    size_t b_stride;
};

static inline size_t attention_padded(size_t count)
{
    return (count + VF_LANES - 1) / VF_LANES * VF_LANES;
}

static bool attention_workspace(size_t keys, size_t size, size_t value_size, size_t *out_bytes)
{
    size_t length, width, per_key;
    const size_t rounded = attention_room(1, size); /* of a key, and of a query: tiles have fewer than VF_LANES */
    return md_checked_add(keys, VF_LANES, &length) && md_checked_add(value_size, VF_LANES, &width) &&
           md_checked_add(size, width, &per_key) && md_checked_add(per_key, 2 * ATTENTION_ROWS, &per_key) &&
           md_checked_add(per_key, rounded, &per_key) && md_checked_add(per_key, rounded, &per_key) &&
           md_checked_multiply(length, per_key, &length) && md_checked_multiply(length, sizeof(float), out_bytes);
}

/* Four rows of four, transposed. */
static inline void attention_transpose_4(const float *from, ptrdiff_t from_stride, float *to, size_t to_stride)
{
    typedef float four __attribute__((vector_size(16)));
    typedef int32_t index __attribute__((vector_size(16)));
    four row[4];
    for (ptrdiff_t i = 0; i < 4; i++)
        memcpy(&row[i], from + i * from_stride, sizeof row[i]);
#if defined(__clang__)
#define ATTENTION_SHUFFLE(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define ATTENTION_SHUFFLE(a, b, i, j, k, l) __builtin_shuffle(a, b, (index){ i, j, k, l })
#endif
    four low01 = ATTENTION_SHUFFLE(row[0], row[1], 0, 4, 1, 5), low23 = ATTENTION_SHUFFLE(row[2], row[3], 0, 4, 1, 5);
    four high01 = ATTENTION_SHUFFLE(row[0], row[1], 2, 6, 3, 7), high23 = ATTENTION_SHUFFLE(row[2], row[3], 2, 6, 3, 7);
    row[0] = ATTENTION_SHUFFLE(low01, low23, 0, 1, 4, 5);
    row[1] = ATTENTION_SHUFFLE(low01, low23, 2, 3, 6, 7);
    row[2] = ATTENTION_SHUFFLE(high01, high23, 0, 1, 4, 5);
    row[3] = ATTENTION_SHUFFLE(high01, high23, 2, 3, 6, 7);
#undef ATTENTION_SHUFFLE
    for (size_t i = 0; i < 4; i++)
        memcpy(to + i * to_stride, &row[i], sizeof row[i]);
}

/* One panel: to[d * stride + j] = word d of key first + j; 0 from `columns` on. */
static void attention_pack_panel(const struct attention_rows *keys, size_t words, size_t first, size_t columns,
                                 size_t stride, float *to)
{
    const float *from = keys->at + (ptrdiff_t)first * keys->stride;
    const size_t whole_keys = columns / 4 * 4, whole_words = words / 4 * 4;
    for (size_t j = 0; j < whole_keys; j += 4) {
        const float *row = from + (ptrdiff_t)j * keys->stride;
        for (size_t d = 0; d < whole_words; d += 4)
            attention_transpose_4(row + d, keys->stride, to + d * stride + j, stride);
    }
    for (size_t j = 0; j < columns; j++)
        for (size_t d = j < whole_keys ? whole_words : 0; d < words; d++)
            to[d * stride + j] = from[(ptrdiff_t)j * keys->stride + (ptrdiff_t)d];
    for (size_t d = 0; columns < stride && d < words; d++)
        memset(to + d * stride + columns, 0, (stride - columns) * sizeof *to);
}

static void attention_pack(const struct md_attention_head *head, const struct attention_work *work)
{
    const size_t words = attention_words(head->size);
    const struct attention_rows keys =
        attention_operand(head->k, head->k_stride, work->keys, head->size, work->key_room);
    for (size_t first = 0; first < work->keys; first += ATTENTION_PANEL) {
        size_t columns = work->keys - first < ATTENTION_PANEL ? work->keys - first : ATTENTION_PANEL;
        attention_pack_panel(&keys, words, first, columns, attention_padded(columns), work->k + first * words);
    }
    attention_put_values(head, work->keys, work->value_width, work->v);
}

/* Inlined with constant rows and vectors, so that every loop but the one over depth disappears. */
static inline __attribute__((always_inline)) void attention_multiply(const struct attention_product *product,
                                                                     size_t rows, size_t vectors,
                                                                     vf sum[ATTENTION_ROWS][ATTENTION_VECTORS])
{
    const float *a = product->a, *b = product->b;
    vf local[ATTENTION_ROWS][ATTENTION_VECTORS];
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (size_t n = 0; n < vectors; n++)
            local[r][n] = vf_set(0.0f);
    for (size_t d = 0; d < product->depth; d++, a++, b += product->b_stride) {
        vf row[ATTENTION_VECTORS];
#pragma GCC unroll 4
        for (size_t n = 0; n < vectors; n++)
            row[n] = vf_load(b + n * VF_LANES);
#pragma GCC unroll 8
        for (size_t r = 0; r < rows; r++) {
            const vf factor = vf_set(a[(ptrdiff_t)r * product->a_stride]);
#pragma GCC unroll 4
            for (size_t n = 0; n < vectors; n++)
                local[r][n] = attention_dot(local[r][n], factor, row[n]);
        }
    }
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (size_t n = 0; n < vectors; n++)
            sum[r][n] = local[r][n];
}

static void attention_tile(const struct attention_product *product, size_t rows, size_t vectors,
                           vf sum[ATTENTION_ROWS][ATTENTION_VECTORS])
{
#define ATTENTION_CASE(r, n)                                                                                 \
    if (rows == (r) && vectors == (n)) {                                                                     \
        attention_multiply(product, r, n, sum);                                                              \
        return;                                                                                              \
    }
    ATTENTION_CASE(ATTENTION_ROWS, ATTENTION_VECTORS)
    ATTENTION_CASE(ATTENTION_ROWS, ATTENTION_VECTORS - 1)
    ATTENTION_CASE(ATTENTION_ROWS, 1)
#if defined(__AVX512F__)
    ATTENTION_CASE(4, 3)
    ATTENTION_CASE(4, 2)
    ATTENTION_CASE(4, 1)
#endif
    ATTENTION_CASE(1, ATTENTION_VECTORS)
    ATTENTION_CASE(1, ATTENTION_VECTORS - 1)
    ATTENTION_CASE(1, 1)
#undef ATTENTION_CASE
}

/* scores[r][j] = q[r] . k[j] * scale + mask, for all keys; mask rows are -inf beyond the last key. */
static void attention_scores(const struct md_attention_head *head, const struct attention_work *work, size_t first,
                             size_t rows)
{
    const size_t mask_stride = head->mask != NULL && head->mask_row_stride != 0 ? work->row_length : 0;
    const vf scale = vf_set(head->scale);
    const struct attention_rows queries = attention_operand(head->q + (ptrdiff_t)first * head->q_stride,
                                                            head->q_stride, rows, head->size, work->query_room);
    struct attention_product product = { .depth = attention_words(head->size),
                                         .a = queries.at,
                                         .a_stride = queries.stride };
    for (size_t j = 0; j < work->row_length; j += ATTENTION_PANEL) {
        vf sum[ATTENTION_ROWS][ATTENTION_VECTORS];
        size_t left = work->row_length - j, width = left < ATTENTION_PANEL ? left : ATTENTION_PANEL;
        product.b = work->k + j * product.depth;
        product.b_stride = width;
        attention_tile(&product, rows, width / VF_LANES, sum);
        for (size_t r = 0; r < rows; r++)
            for (size_t n = 0; n < width / VF_LANES; n++) {
                const float *mask = work->mask + r * mask_stride + j + n * VF_LANES;
                vf_store(work->scores + r * work->row_length + j + n * VF_LANES,
                         vf_fma(sum[r][n], scale, vf_load(mask)));
            }
    }
}

/* Turns a row of scores into weights that are not divided yet. Returns their sum; *out_maximum is the largest score. */
static float attention_exponents(float *row, size_t length, float *out_maximum)
{
    vf maximum = vf_load(row), total = vf_set(0.0f);
    for (size_t j = VF_LANES; j < length; j += VF_LANES)
        maximum = vf_max(vf_load(row + j), maximum);
    *out_maximum = vf_largest(maximum);
    maximum = vf_set(*out_maximum);
    for (size_t j = 0; j < length; j += VF_LANES) {
        vf weight = vf_exp(vf_subtract(vf_load(row + j), maximum));
        attention_put_weights(row, j, weight);
        total = vf_add(total, weight);
    }
    return vf_sum(total);
}

/* out[r] = sum over keys of weight * value, divided by the row's sum of weights. */
static void attention_mix(const struct md_attention_head *head, const struct attention_work *work, size_t first,
                          size_t rows, const float *sums)
{
    struct attention_product product = { .depth = attention_words(work->keys),
                                         .a = work->scores,
                                         .a_stride = (ptrdiff_t)work->row_length,
                                         .b_stride = work->value_width };
    const size_t all = work->value_width / VF_LANES;
    for (size_t at = 0, vectors; at < all; at += vectors) {
        vf sum[ATTENTION_ROWS][ATTENTION_VECTORS];
        vectors = all - at == 4 ? 2 : all - at < ATTENTION_VECTORS ? all - at : ATTENTION_VECTORS;
        product.b = work->v + at * VF_LANES;
        attention_tile(&product, rows, vectors, sum);
        for (size_t r = 0; r < rows; r++)
            for (size_t n = 0; n < vectors; n++) {
                const size_t column = (at + n) * VF_LANES, left = head->value_size - column;
                float *out = head->out + (ptrdiff_t)(first + r) * head->out_stride + column;
                const vf value = vf_divide(sum[r][n], vf_set(sums[r]));
                float rest[VF_LANES];
                if (left >= VF_LANES) {
                    vf_store(out, value);
                } else {
                    vf_store(rest, value);
                    memcpy(out, rest, left * sizeof *rest);
                }
            }
    }
}

static void attention_fill_mask(const struct md_attention_head *head, const struct attention_work *work, size_t query,
                                float *to)
{
    const float *mask = head->mask == NULL ? NULL : head->mask + (ptrdiff_t)query * head->mask_row_stride;
    for (size_t j = 0; j < work->row_length; j++)
        to[j] = j >= work->keys ? -INFINITY : mask == NULL ? 0.0f : mask[head->mask_per_key ? j : 0];
}

/* False: the masked tail of the keys may not be left out, since the scores themselves are as low as the mask. */
static bool attention_rows(const struct md_attention_head *head, const struct attention_work *work)
{
    const bool shared_mask = head->mask == NULL || head->mask_row_stride == 0;
    attention_pack(head, work);
    if (shared_mask)
        attention_fill_mask(head, work, 0, work->mask);
    for (size_t first = 0, rows; first < head->queries; first += rows) {
        const size_t left = head->queries - first;
        float sums[ATTENTION_ROWS], maximum;
        rows = left >= ATTENTION_ROWS ? ATTENTION_ROWS : left >= 4 ? 4 : 1;
        for (size_t r = 0; !shared_mask && r < rows; r++)
            attention_fill_mask(head, work, first + r, work->mask + r * work->row_length);
        attention_scores(head, work, first, rows);
        for (size_t r = 0; r < rows; r++) {
            sums[r] = attention_exponents(work->scores + r * work->row_length, work->row_length, &maximum);
            if (work->keys < head->keys && !(maximum > ATTENTION_LEAST_MAXIMUM))
                return false;
        }
        attention_mix(head, work, first, rows, sums);
    }
    return true;
}

static struct attention_work attention_divide(const struct md_attention_head *head, size_t keys, float *workspace)
{
    struct attention_work work = { .keys = keys,
                                   .row_length = attention_padded(keys),
                                   .value_width = attention_padded(head->value_size) };
    work.scores = workspace;
    work.mask = work.scores + ATTENTION_ROWS * work.row_length;
    work.v = work.mask + ATTENTION_ROWS * work.row_length;
    work.k = work.v + attention_words(keys) * work.value_width;
    work.key_room = work.k + work.row_length * attention_words(head->size);
    work.query_room = work.key_room + attention_room(keys, head->size);
    return work;
}

static void attention_run(const struct md_attention_head *head, void *workspace)
{
    size_t keys = head->keys;
    while (head->mask != NULL && head->mask_row_stride == 0 && head->mask_per_key && keys > 0 &&
           head->mask[keys - 1] <= ATTENTION_MASKED)
        keys--;
    struct attention_work work = attention_divide(head, keys, workspace);
    if (keys > 0 && attention_rows(head, &work))
        return;
    work = attention_divide(head, head->keys, workspace);
    (void)attention_rows(head, &work); /* with all keys it is always true */
}

#endif
