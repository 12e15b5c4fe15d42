/* attention_core.c - see attention_core.h. */
#include "attention_core.h"

#include "activation.h"
#include "gemm.h"

#include <math.h>

/* Query rows whose scores are in memory together. */
enum { CHUNK_ROWS = 64 };

static size_t chunk_rows(const struct md_attention *attention)
{
    return attention->query_length < CHUNK_ROWS ? attention->query_length : CHUNK_ROWS;
}

static size_t element_size(const struct md_attention *attention)
{
    return attention->is_double ? sizeof(double) : sizeof(float);
}

static bool scores_size(const struct md_attention *attention, size_t *out_size)
{
    return !__builtin_mul_overflow(chunk_rows(attention), attention->key_length, out_size) &&
           !__builtin_mul_overflow(*out_size, element_size(attention), out_size) &&
           !__builtin_add_overflow(*out_size, 63, out_size) && ((*out_size &= ~(size_t)63), true);
}

bool md_attention_scratch(const struct md_attention *attention, size_t *out_size)
{
    enum md_gemm_type type = attention->is_double ? MD_GEMM_F64 : MD_GEMM_F32;
    size_t depth =
        attention->head_size > attention->key_length ? attention->head_size : attention->key_length;
    return scores_size(attention, out_size) &&
           !__builtin_add_overflow(*out_size, md_gemm_workspace(type, depth), out_size);
}

#define DEFINE_ROWS(type, suffix)                                                                            \
    static void cap_##suffix(double softcap, size_t count, type *scores)                                     \
    {                                                                                                        \
        const type cap = (type)softcap;                                                                      \
        for (size_t i = 0; i < count; i++)                                                                   \
            scores[i] /= cap;                                                                                \
        md_tanh_##suffix(count, scores, scores);                                                             \
        for (size_t i = 0; i < count; i++)                                                                   \
            scores[i] *= cap;                                                                                \
    }                                                                                                        \
    static void softmax_##suffix(size_t count, bool has_sink, type sink, type *row)                          \
    {                                                                                                        \
        type highest = has_sink ? sink : -(type)INFINITY, sum = 0;                                           \
        for (size_t i = 0; i < count; i++)                                                                   \
            highest = row[i] > highest ? row[i] : highest;                                                   \
        if (!(highest > -(type)INFINITY)) { /* nothing is allowed (or all is NaN) */                         \
            for (size_t i = 0; i < count; i++)                                                               \
                row[i] = row[i] != row[i] ? row[i] : 0;                                                      \
            return;                                                                                          \
        }                                                                                                    \
        for (size_t i = 0; i < count; i++)                                                                   \
            row[i] -= highest;                                                                               \
        md_exp_##suffix(count, row, row);                                                                    \
        for (size_t i = 0; i < count; i++)                                                                   \
            sum += row[i];                                                                                   \
        if (has_sink) {                                                                                      \
            type weight = sink - highest;                                                                    \
            md_exp_##suffix(1, &weight, &weight);                                                            \
            sum += weight;                                                                                   \
        }                                                                                                    \
        for (size_t i = 0; i < count; i++)                                                                   \
            row[i] /= sum;                                                                                   \
    }

DEFINE_ROWS(float, f32)
DEFINE_ROWS(double, f64)

static const void *head_at(const struct md_attention *attention, const struct md_heads *heads, size_t batch,
                           size_t head, size_t row)
{
    size_t at = batch * heads->batch_stride + head * heads->head_stride + row * heads->row_stride;
    return (const unsigned char *)heads->elements + at * element_size(attention);
}

/* The rows of scores of one head that are in memory. */
struct chunk {
    size_t batch, head, first, rows;
    unsigned char *scores;
};

static void keep(const struct md_attention *attention, const struct chunk *chunk, enum md_score_stage stage)
{
    size_t row = attention->key_length * element_size(attention);
    if (attention->scores == NULL || attention->stage != stage)
        return;
    size_t at = (chunk->batch * attention->heads + chunk->head) * attention->query_length + chunk->first;
    memcpy((unsigned char *)attention->scores + at * row, chunk->scores, chunk->rows * row);
}

static void weigh(const struct md_attention *attention, const struct chunk *chunk)
{
    size_t count = attention->key_length, all = chunk->rows * count;
    bool has_sink = attention->sinks != NULL || attention->has_zero_sink;
    float sink = attention->sinks != NULL ? attention->sinks[chunk->head] : 0.0f;
    keep(attention, chunk, MD_SCORES_PRODUCT);
    if (attention->softcap > 0) {
        if (attention->is_double)
            cap_f64(attention->softcap, all, (void *)chunk->scores);
        else
            cap_f32(attention->softcap, all, (void *)chunk->scores);
    }
    keep(attention, chunk, MD_SCORES_CAPPED);
    for (size_t r = 0; attention->bias != NULL && r < chunk->rows; r++)
        attention->bias(attention, chunk->batch, chunk->head, chunk->first + r,
                        chunk->scores + r * count * element_size(attention));
    keep(attention, chunk, MD_SCORES_BIASED);
    for (size_t r = 0; r < chunk->rows; r++) {
        void *row = chunk->scores + r * count * element_size(attention);
        if (attention->is_double)
            softmax_f64(count, has_sink, (double)sink, row);
        else
            softmax_f32(count, has_sink, sink, row);
    }
    keep(attention, chunk, MD_SCORES_WEIGHTS);
}

static void run_chunk(const struct md_attention *attention, const struct chunk *chunk, void *workspace)
{
    size_t kv_head = chunk->head / (attention->heads / attention->kv_heads);
    struct md_gemm product = {
        .type = attention->is_double ? MD_GEMM_F64 : MD_GEMM_F32,
        .rows = chunk->rows,
        .columns = attention->key_length,
        .depth = attention->head_size,
        .a = { head_at(attention, &attention->query, chunk->batch, chunk->head, chunk->first),
               (ptrdiff_t)attention->query.row_stride, 1 },
        .b = { head_at(attention, &attention->key, chunk->batch, kv_head, 0), 1,
               (ptrdiff_t)attention->key.row_stride },
        .c = chunk->scores,
        .c_stride = attention->key_length,
        .finish.alpha = attention->scale,
    };
    md_gemm(&product, workspace);
    weigh(attention, chunk);
    if (attention->output.elements == NULL)
        return;
    union {
        const void *read;
        void *write;
    } output = { head_at(attention, &attention->output, chunk->batch, chunk->head, chunk->first) };
    product.columns = attention->value_size;
    product.depth = attention->key_length;
    product.a = (struct md_matrix){ chunk->scores, (ptrdiff_t)attention->key_length, 1 };
    product.b = (struct md_matrix){ head_at(attention, &attention->value, chunk->batch, kv_head, 0),
                                    (ptrdiff_t)attention->value.row_stride, 1 };
    product.c = output.write;
    product.c_stride = attention->output.row_stride;
    product.finish.alpha = 1.0;
    md_gemm(&product, workspace);
}

void md_attention_run(const struct md_attention *attention, void *scratch)
{
    size_t size;
    (void)scores_size(attention, &size); /* md_attention_scratch has said that it fits */
    struct chunk chunk = { .scores = scratch };
    if (attention->query_length == 0)
        return; /* the batch may be any number then */
    for (chunk.batch = 0; chunk.batch < attention->batch; chunk.batch++)
        for (chunk.head = 0; chunk.head < attention->heads; chunk.head++)
            for (chunk.first = 0; chunk.first < attention->query_length; chunk.first += chunk.rows) {
                size_t left = attention->query_length - chunk.first;
                chunk.rows = left < CHUNK_ROWS ? left : CHUNK_ROWS;
                run_chunk(attention, &chunk, (unsigned char *)scratch + size);
            }
}

struct md_heads md_heads_dense(const void *elements, size_t heads, size_t rows, size_t size)
{
    return (struct md_heads){ elements, heads * rows * size, rows * size, size };
}

struct md_heads md_heads_side_by_side(const void *elements, size_t heads, size_t rows, size_t size)
{
    return (struct md_heads){ elements, rows * heads * size, size, heads * size };
}

void md_heads_copy(const struct md_heads *from, size_t batch, size_t heads, size_t rows, size_t bytes_per_row,
                   size_t unit, const struct md_heads *to, size_t first)
{
    union {
        const void *read;
        unsigned char *write;
    } target = { to->elements };
    for (size_t b = 0; bytes_per_row != 0 && rows != 0 && b < batch; b++)
        for (size_t h = 0; h < heads; h++)
            for (size_t r = 0; r < rows; r++) {
                size_t source = b * from->batch_stride + h * from->head_stride + r * from->row_stride;
                size_t at = b * to->batch_stride + h * to->head_stride + (first + r) * to->row_stride;
                memcpy(target.write + at * unit, (const unsigned char *)from->elements + source * unit,
                       bytes_per_row);
            }
}
