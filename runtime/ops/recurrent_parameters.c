/* recurrent_parameters.c - attributes and fixed weights of RNN, GRU and LSTM; see recurrent.h. */
#include "recurrent.h"

#include "gemm_operand.h"
#include "parameters.h"
#include "prepared.h"

static enum md_code read_direction(const struct md_configuration *configuration,
                                   struct md_recurrent_parameters *parameters)
{
    struct md_span direction;
    MD_TRY(md_attribute_string(configuration->attributes, "direction", "forward", &direction,
                               configuration->error));
    parameters->reverse = md_span_equal(direction, md_span_of("reverse"));
    bool both = md_span_equal(direction, md_span_of("bidirectional"));
    parameters->directions = both ? 2 : 1;
    if (both || parameters->reverse || md_span_equal(direction, md_span_of("forward")))
        return MD_OK;
    return md_fail(configuration->error, MD_INVALID_ARGUMENT, "attribute direction is \"%.*s\"",
                   direction.size > 40 ? 40 : (int)direction.size, direction.bytes);
}

/* activation_alpha and activation_beta are consumed by those functions that have such parameters, in order.
 */
static enum md_code read_activations(const struct md_configuration *configuration,
                                     struct md_recurrent_parameters *parameters)
{
    const struct md_attributes *attributes = configuration->attributes;
    const struct md_recurrent_cell *cell = parameters->cell;
    const struct md_span *names;
    const float *alphas, *betas;
    size_t name_count, alpha_count, beta_count, alpha_at = 0, beta_at = 0;
    size_t needed = parameters->directions * cell->activation_count;
    MD_TRY(md_attribute_strings(attributes, "activations", &names, &name_count, configuration->error));
    MD_TRY(md_attribute_floats(attributes, "activation_alpha", &alphas, &alpha_count, configuration->error));
    MD_TRY(md_attribute_floats(attributes, "activation_beta", &betas, &beta_count, configuration->error));
    if (name_count != 0 && name_count != needed)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT,
                       "attribute activations has %zu names, expected %zu", name_count, needed);
    for (size_t i = 0; i < needed; i++) {
        size_t index = i % cell->activation_count, takes;
        struct md_named_activation *activation = &parameters->activations[i / cell->activation_count][index];
        struct md_span name = name_count != 0 ? names[i] : md_span_of(cell->default_activations[index]);
        MD_TRY(md_named_activation_find(name, activation, &takes, configuration->error));
        if (takes > 0 && alpha_at < alpha_count)
            activation->alpha = alphas[alpha_at++];
        if (takes > 1 && beta_at < beta_count)
            activation->beta = betas[beta_at++];
    }
    return MD_OK;
}

static enum md_code read_attributes(const struct md_configuration *configuration,
                                    struct md_recurrent_parameters *parameters)
{
    const struct md_attributes *attributes = configuration->attributes;
    struct md_error *error = configuration->error;
    int64_t layout, input_forget, linear_before_reset;
    float clip = 0;
    MD_TRY(read_direction(configuration, parameters));
    MD_TRY(read_activations(configuration, parameters));
    MD_TRY(md_attribute_int(attributes, "hidden_size", 0, &parameters->hidden_size, error));
    MD_TRY(md_attribute_int(attributes, "layout", 0, &layout, error));
    MD_TRY(md_attribute_int(attributes, "input_forget", 0, &input_forget, error));
    MD_TRY(md_attribute_int(attributes, "linear_before_reset", 0, &linear_before_reset, error));
    MD_TRY(md_attribute_float(attributes, "clip", 0, &clip, error));
    if (layout != 0 && layout != 1)
        return md_fail(error, MD_INVALID_ARGUMENT, "attribute layout is %lld: range is [0,1]",
                       (long long)layout);
    parameters->batch_first = layout == 1;
    parameters->input_forget = input_forget != 0;
    parameters->linear_before_reset = linear_before_reset != 0;
    parameters->has_clip = clip > 0;
    parameters->clip = (double)clip;
    return MD_OK;
}

/* Is this what prepare will insist on for a scale or zero point? */
static bool fits_gates(const struct md_tensor *tensor, unsigned types, int64_t directions, int64_t width)
{
    const struct md_shape *shape = &tensor->shape;
    return md_datatype_in(tensor->datatype, types) &&
           (shape->rank == 1 || (shape->rank == 2 && shape->dims[1] == width)) &&
           shape->dims[0] == directions;
}

/* W or R as constants of the shape that prepare will insist on. False: not so, and it is packed at every run.
 */
static bool constant_weights(const struct md_configuration *configuration,
                             const struct md_recurrent_cell *cell, size_t input, size_t scale_input,
                             int64_t directions, struct md_recurrent_weights *out_weights, size_t *out_depth,
                             size_t *out_width)
{
    static const unsigned bytes = MD_TYPE(MD_INT8) | MD_TYPE(MD_UINT8);
    struct md_recurrent_weights weights = { .elements = md_constant_input(configuration, input) };
    if (weights.elements == NULL || weights.elements->count == 0 || weights.elements->shape.rank != 3 ||
        weights.elements->shape.dims[0] != directions)
        return false;
    int64_t width = weights.elements->shape.dims[cell->quantized ? 2 : 1];
    if (cell->quantized) {
        weights.scale = md_constant_input(configuration, scale_input);
        weights.zero_point = md_constant_input(configuration, scale_input + 1);
        if (weights.scale == NULL || weights.zero_point == NULL ||
            !md_datatype_in(weights.elements->datatype, bytes) ||
            !fits_gates(weights.scale, MD_TYPE(MD_FP32), directions, width) ||
            !fits_gates(weights.zero_point, bytes, directions, width))
            return false;
    }
    *out_weights = weights;
    *out_width = (size_t)width;
    *out_depth = (size_t)weights.elements->shape.dims[cell->quantized ? 1 : 2];
    return true;
}

static enum md_code pack_part(const struct md_configuration *configuration,
                              const struct md_recurrent_cell *cell,
                              const struct md_recurrent_weights *weights, enum md_gemm_type type,
                              size_t direction, size_t depth, size_t width, size_t first, size_t columns,
                              const struct md_packed_matrix **out_packed)
{
    size_t size;
    if (!md_matrix_pack_size(type, depth, columns, &size))
        return MD_OK;
    struct md_packed_matrix *packed = md_arena_allocate(configuration->arena, sizeof *packed);
    void *panels;
    bool ready;
    if (packed == NULL)
        return md_fail_memory(configuration->error, "packed weights");
    MD_TRY(md_prepared_take(configuration, "recurrent panels", size, &panels, &ready));
    if (ready)
        *packed = (struct md_packed_matrix){ type, depth, columns, panels };
    else
        md_recurrent_pack(cell, weights, type, direction, depth, width, first, columns, panels, packed);
    *out_packed = packed;
    return MD_OK;
}

/* Constant weights are packed now. */
static enum md_code pack_weights(const struct md_configuration *configuration,
                                 struct md_recurrent_parameters *parameters)
{
    const struct md_recurrent_cell *cell = parameters->cell;
    struct md_recurrent_weights w, r;
    enum md_gemm_type type = MD_GEMM_F32;
    size_t input_size, hidden, width, r_width, gates_width;
    int64_t directions = (int64_t)parameters->directions;
    if (!constant_weights(configuration, cell, 1, 8, directions, &w, &input_size, &width) ||
        !constant_weights(configuration, cell, 2, 10, directions, &r, &hidden, &r_width) ||
        __builtin_mul_overflow(hidden, cell->gates, &gates_width) || width != gates_width ||
        r_width != gates_width || w.elements->datatype != r.elements->datatype)
        return MD_OK;
    if (!cell->quantized && !md_gemm_type_of(w.elements->datatype, &type))
        return MD_OK;
    bool all = true;
    for (size_t d = 0; d < parameters->directions; d++) {
        size_t first = 0;
        MD_TRY(pack_part(configuration, cell, &w, type, d, input_size, width, 0, width,
                         &parameters->input_weights[d]));
        all = all && parameters->input_weights[d] != NULL;
        for (size_t i = 0; i < cell->parts; i++) {
            size_t columns = cell->part_gates[i] * hidden;
            MD_TRY(pack_part(configuration, cell, &r, type, d, hidden, width, first, columns,
                             &parameters->recurrent_weights[d][i]));
            all = all && parameters->recurrent_weights[d][i] != NULL;
            first += columns;
        }
    }
    if (all) {
        md_constant_release(configuration, 1);
        md_constant_release(configuration, 2);
    }
    return MD_OK;
}

enum md_code md_recurrent_configure(const struct md_configuration *configuration,
                                    const struct md_recurrent_cell *cell, const void **out_parameters)
{
    struct md_recurrent_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    parameters->cell = cell;
    MD_TRY(read_attributes(configuration, parameters));
    *out_parameters = parameters;
    return pack_weights(configuration, parameters);
}
