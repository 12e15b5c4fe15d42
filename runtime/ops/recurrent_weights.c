/* recurrent_weights.c - W and R of recurrent networks as packed matrices; see recurrent.h.
 *
 * Quantized weights are made real when they are packed, and the activations stay FP32: more exact than
 * quantizing the activations of every step, and an answer then does not depend on what else is in the batch.
 */
#include "recurrent.h"

#include "gemm_operand.h"

struct code_source {
    const struct md_recurrent_weights *weights;
    size_t direction, depth, width, first;
};

/* Element `column` of direction `direction` of a scale or zero point. */
static double parameter_at(const struct md_tensor *tensor, size_t direction, size_t width, size_t column)
{
    return md_tensor_double(tensor, tensor->shape.rank == 2 ? direction * width + column : direction);
}

static void fill_codes(const void *source_pointer, size_t first, size_t columns, size_t stride, void *panel)
{
    const struct code_source *source = source_pointer;
    const struct md_recurrent_weights *weights = source->weights;
    float *to = panel;
    for (size_t j = 0; j < stride; j++) {
        size_t column = source->first + first + j;
        double scale =
            j < columns ? parameter_at(weights->scale, source->direction, source->width, column) : 0.0;
        double zero = j < columns && weights->zero_point != NULL
                          ? parameter_at(weights->zero_point, source->direction, source->width, column)
                          : 0.0;
        for (size_t k = 0; k < source->depth; k++) {
            size_t at = (source->direction * source->depth + k) * source->width + column;
            double code = j < columns ? md_tensor_double(weights->elements, at) : 0.0;
            to[k * stride + j] = (float)((code - zero) * scale);
        }
    }
}

void md_recurrent_pack(const struct md_recurrent_cell *cell, const struct md_recurrent_weights *weights,
                       enum md_gemm_type type, size_t direction, size_t depth, size_t width, size_t first,
                       size_t columns, void *panels, struct md_packed_matrix *out_packed)
{
    if (cell->quantized) {
        struct code_source source = { weights, direction, depth, width, first };
        md_matrix_pack_fill(type, depth, columns, fill_codes, &source, panels, out_packed);
        return;
    }
    struct md_matrix b = { md_element_at(weights->elements, (direction * width + first) * depth), 1,
                           (ptrdiff_t)depth };
    md_matrix_pack(type, depth, columns, &b, panels, out_packed);
}
