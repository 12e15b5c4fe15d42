/* recurrent_parameters.c - attributes and fixed weights of RNN, GRU and LSTM; see recurrent.h. */
#include "recurrent.h"

#include "gemm_operand.h"
#include "parameters.h"

static enum md_code read_direction(const struct md_configuration *configuration,
                                   struct md_recurrent_parameters *parameters)
{
    struct md_span direction;
    MD_TRY(md_attribute_string(configuration->attributes, "direction", "forward", &direction, configuration->error));
    parameters->reverse = md_span_equal(direction, md_span_of("reverse"));
    bool both = md_span_equal(direction, md_span_of("bidirectional"));
    parameters->directions = both ? 2 : 1;
    if (both || parameters->reverse || md_span_equal(direction, md_span_of("forward")))
        return MD_OK;
    return md_fail(configuration->error, MD_INVALID_ARGUMENT, "attribute direction is \"%.*s\"",
                   direction.size > 40 ? 40 : (int)direction.size, direction.bytes);
}

/* activation_alpha and activation_beta are consumed by those functions that have such parameters, in order. */
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
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "attribute activations has %zu names, expected %zu",
                       name_count, needed);
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
        return md_fail(error, MD_INVALID_ARGUMENT, "attribute layout is %lld: range is [0,1]", (long long)layout);
    parameters->batch_first = layout == 1;
    parameters->input_forget = input_forget != 0;
    parameters->linear_before_reset = linear_before_reset != 0;
    parameters->has_clip = clip > 0;
    parameters->clip = (double)clip;
    return MD_OK;
}

/* Constant W and R of the shapes that prepare will insist on are packed now. */
static enum md_code pack_weights(const struct md_configuration *configuration,
                                 struct md_recurrent_parameters *parameters)
{
    const struct md_recurrent_cell *cell = parameters->cell;
    const struct md_tensor *w = md_constant_input(configuration, 1), *r = md_constant_input(configuration, 2);
    if (r == NULL || w == NULL || r->count == 0 || w->count == 0 || r->shape.rank != 3 || w->shape.rank != 3)
        return MD_OK;
    size_t hidden = (size_t)r->shape.dims[2], input_size = (size_t)w->shape.dims[2], width;
    if (__builtin_mul_overflow(hidden, cell->gates, &width) || (size_t)r->shape.dims[1] != width ||
        (size_t)w->shape.dims[1] != width || (size_t)r->shape.dims[0] != parameters->directions ||
        (size_t)w->shape.dims[0] != parameters->directions || w->datatype != r->datatype)
        return MD_OK;
    for (size_t d = 0; d < parameters->directions; d++) {
        size_t first = d * width;
        MD_TRY(md_pack_weight(configuration, w, first * input_size, input_size, width, 1, (ptrdiff_t)input_size,
                              &parameters->input_weights[d]));
        for (size_t i = 0; i < cell->parts; i++) {
            size_t columns = cell->part_gates[i] * hidden;
            MD_TRY(md_pack_weight(configuration, r, first * hidden, hidden, columns, 1, (ptrdiff_t)hidden,
                                  &parameters->recurrent_weights[d][i]));
            first += columns;
        }
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
