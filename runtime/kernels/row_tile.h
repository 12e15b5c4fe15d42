/* row_tile.h - the loops over rows of vector_loops.h; included by its variants. Sums run in VF_LANES lanes from the
 * row's start, so that they depend on the row alone. */
#ifndef MD_ROW_TILE_H
#define MD_ROW_TILE_H

#include "vector_loops.h"
#include "vector_math.h"

#include <math.h>

static vf row_map_vector(enum md_float_map map, vf x)
{
    return map == MD_MAP_GELU ? vf_gelu(x) :
           map == MD_MAP_GELU_TANH ? vf_gelu_tanh(x) :
           map == MD_MAP_TANH ? vf_tanh(x) :
                                vf_sigmoid(x);
}

static void row_map(enum md_float_map map, size_t count, const float *in, float *out)
{
    size_t i = 0;
    for (; i + VF_LANES <= count; i += VF_LANES)
        vf_store(out + i, row_map_vector(map, vf_load(in + i)));
    if (i < count) {
        float rest[VF_LANES] = { 0 };
        memcpy(rest, in + i, (count - i) * sizeof *rest);
        vf_store(rest, row_map_vector(map, vf_load(rest)));
        memcpy(out + i, rest, (count - i) * sizeof *rest);
    }
}

/* sum = a + b + c; returns the sum of its elements. */
static float row_add(const struct md_row_layer_norm *row)
{
    vf total = vf_set(0.0f);
    float rest = 0.0f;
    size_t i = 0;
    for (; i + VF_LANES <= row->length; i += VF_LANES) {
        vf x = vf_load(row->a + i);
        if (row->b != NULL)
            x = vf_add(x, vf_load(row->b + i));
        if (row->c != NULL)
            x = vf_add(x, vf_load(row->c + i));
        vf_store(row->sum + i, x);
        total = vf_add(total, x);
    }
    for (; i < row->length; i++) {
        float x = row->a[i];
        x = row->b != NULL ? x + row->b[i] : x;
        x = row->c != NULL ? x + row->c[i] : x;
        row->sum[i] = x;
        rest += x;
    }
    return vf_sum(total) + rest;
}

static float row_sum_squares(const float *x, size_t length, float mean)
{
    vf total = vf_set(0.0f);
    float rest = 0.0f;
    size_t i = 0;
    for (; i + VF_LANES <= length; i += VF_LANES) {
        vf difference = vf_subtract(vf_load(x + i), vf_set(mean));
        total = vf_fma(difference, difference, total);
    }
    for (; i < length; i++)
        rest += (x[i] - mean) * (x[i] - mean);
    return vf_sum(total) + rest;
}

static void row_layer_norm(const struct md_row_layer_norm *row)
{
    const float count = (float)row->length;
    const float mean = row_add(row) / count;
    const float inverse = 1.0f / sqrtf(row_sum_squares(row->sum, row->length, mean) / count + row->epsilon);
    const float *x = row->sum;
    size_t i = 0;
    for (; i + VF_LANES <= row->length; i += VF_LANES) {
        vf y = vf_multiply(vf_subtract(vf_load(x + i), vf_set(mean)), vf_set(inverse));
        vf_store(row->out + i, row->bias != NULL ? vf_fma(y, vf_load(row->scale + i), vf_load(row->bias + i)) :
                                                   vf_multiply(y, vf_load(row->scale + i)));
    }
    for (; i < row->length; i++) {
        float y = (x[i] - mean) * inverse;
        row->out[i] = row->bias != NULL ? y * row->scale[i] + row->bias[i] : y * row->scale[i];
    }
}

/* The largest of a row; the vectors of its end overlap. */
static float row_largest(size_t length, const float *x)
{
    float largest = -INFINITY;
    if (length < VF_LANES) {
        for (size_t i = 0; i < length; i++)
            largest = x[i] > largest || x[i] != x[i] ? x[i] : largest;
        return largest;
    }
    vf all = vf_load(x + length - VF_LANES);
    for (size_t i = 0; i + VF_LANES <= length; i += VF_LANES)
        all = vf_max_or_nan(all, vf_load(x + i));
    return vf_largest_or_nan(all);
}

static void row_largest_each(size_t rows, size_t length, const float *in, float *out)
{
    for (size_t r = 0; r < rows; r++)
        out[r] = row_largest(length, in + r * length);
}

static void row_range(size_t count, const float *in, float *out_low, float *out_high)
{
    const size_t whole = count / VF_LANES * VF_LANES;
    const vf zero = vf_set(0.0f);
    const vf rest = vf_load_first(in + whole, count - whole);
    vf low = vf_min(rest, zero), high = vf_max(rest, zero);
    for (size_t i = 0; i < whole; i += VF_LANES) {
        const vf x = vf_load(in + i);
        low = vf_min(x, low);
        high = vf_max(x, high);
    }
    *out_low = -vf_largest(vf_subtract(zero, low));
    *out_high = vf_largest(high);
}

static vf row_codes_of(vf x, vf scale, vf zero_point)
{
    x = vf_add(vf_round(vf_divide(x, scale)), zero_point);
    return vf_min(vf_max(x, vf_set(0.0f)), vf_set(255.0f));
}

static void row_codes(size_t count, const float *in, float scale, float zero_point, uint8_t *out)
{
    const vf scales = vf_set(scale), zeros = vf_set(zero_point);
    size_t i = 0;
    for (; i + VF_LANES <= count; i += VF_LANES)
        vf_store_bytes(out + i, row_codes_of(vf_load(in + i), scales, zeros));
    if (i < count) {
        uint8_t last[VF_LANES];
        vf_store_bytes(last, row_codes_of(vf_load_first(in + i, count - i), scales, zeros));
        memcpy(out + i, last, count - i);
    }
}

static void row_largest_of_columns(size_t rows, size_t columns, const float *in, size_t stride, float *out)
{
    size_t j = 0;
    for (; j + VF_LANES <= columns; j += VF_LANES) {
        vf all = vf_load(in + j);
        for (size_t r = 1; r < rows; r++)
            all = vf_max_or_nan(all, vf_load(in + r * stride + j));
        vf_store(out + j, all);
    }
    if (j < columns) {
        float rest[VF_LANES];
        vf all = vf_load_first(in + j, columns - j);
        for (size_t r = 1; r < rows; r++)
            all = vf_max_or_nan(all, vf_load_first(in + r * stride + j, columns - j));
        vf_store(rest, all);
        memcpy(out + j, rest, (columns - j) * sizeof *out);
    }
}

static void row_copy_rows(size_t rows, size_t width, const float *from, size_t from_stride, float *to, size_t to_stride,
                          size_t to_width)
{
    const size_t whole = width / VF_LANES * VF_LANES;
    for (size_t r = 0; r < rows; r++, from += from_stride, to += to_stride) {
        for (size_t i = 0; i < whole; i += VF_LANES)
            vf_store(to + i, vf_load(from + i));
        if (whole < to_width)
            vf_store(to + whole, vf_load_first(from + whole, width - whole));
    }
}

static void row_lstm_vector(vf input, vf output, vf forget, vf candidate, float *memory, float *state)
{
    vf kept = vf_multiply(vf_sigmoid(forget), vf_load(memory));
    vf c = vf_fma(vf_sigmoid(input), vf_tanh(candidate), kept);
    vf_store(memory, c);
    vf_store(state, vf_multiply(vf_sigmoid(output), vf_tanh(c)));
}

static void row_lstm_cell(size_t hidden, const float *gates, float *memory, float *state)
{
    const float *input = gates, *output = gates + hidden, *forget = gates + 2 * hidden;
    const float *candidate = gates + 3 * hidden;
    size_t i = 0;
    for (; i + VF_LANES <= hidden; i += VF_LANES)
        row_lstm_vector(vf_load(input + i), vf_load(output + i), vf_load(forget + i), vf_load(candidate + i),
                        memory + i, state + i);
    if (i < hidden) {
        const size_t size = (hidden - i) * sizeof(float);
        float rest[6][VF_LANES] = { 0 };
        const float *gate[] = { input, output, forget, candidate, memory };
        for (size_t g = 0; g < 5; g++)
            memcpy(rest[g], gate[g] + i, size);
        row_lstm_vector(vf_load(rest[0]), vf_load(rest[1]), vf_load(rest[2]), vf_load(rest[3]), rest[4], rest[5]);
        memcpy(memory + i, rest[4], size);
        memcpy(state + i, rest[5], size);
    }
}

#endif
