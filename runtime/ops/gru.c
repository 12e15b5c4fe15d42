/* gru.c - GRU (opsets 1, 3, 7, 14, 22). Gates lie in the order z (update), r (reset), h (candidate). */
#include "operator_table.h"
#include "recurrent.h"

/* The candidate's recurrent weights meet another operand than those of z and r: two matrices. */
static const struct md_recurrent_cell gru_cell = {
    .gates = 3,
    .activation_count = 2,
    .default_activations = { "Sigmoid", "Tanh" },
    .parts = 2,
    .part_gates = { 2, 1 },
    .has_extra = true,
};

#define DEFINE_CELL(type)                                                                                    \
    static void squash_##type(const struct md_recurrent_pass *pass, size_t which, size_t count,              \
                              type *values)                                                                  \
    {                                                                                                        \
        const type high = (type)pass->parameters->clip;                                                      \
        for (size_t i = 0; pass->parameters->has_clip && i < count; i++)                                     \
            values[i] = values[i] > high ? high : values[i] < -high ? -high : values[i];                     \
        md_named_activation_apply(&pass->activations[which], pass->is_double, count, values);                \
    }                                                                                                        \
    /* z and r; then extra = r * H, the operand of the candidate's product (linear_before_reset 0). */       \
    static void reset_##type(const struct md_recurrent_pass *pass, size_t rows, type *gates)                 \
    {                                                                                                        \
        const size_t hidden = pass->hidden;                                                                  \
        const type *state = pass->state;                                                                     \
        type *extra = pass->extra;                                                                           \
        for (size_t b = 0; b < rows; b++) {                                                                  \
            type *z = gates + b * 3 * hidden, *r = z + hidden;                                               \
            squash_##type(pass, 0, 2 * hidden, z);                                                           \
            for (size_t i = 0; !pass->parameters->linear_before_reset && i < hidden; i++)                    \
                extra[b * hidden + i] = r[i] * state[b * hidden + i];                                        \
        }                                                                                                    \
    }                                                                                                        \
    static void update_##type(const struct md_recurrent_pass *pass, size_t step, size_t rows, type *gates)   \
    {                                                                                                        \
        const size_t hidden = pass->hidden;                                                                  \
        const type *extra = pass->extra;                                                                     \
        for (size_t b = 0; b < rows; b++) {                                                                  \
            type *state = (type *)pass->state + b * hidden;                                                  \
            const type *z = gates + b * 3 * hidden, *r = z + hidden;                                         \
            type *candidate = gates + b * 3 * hidden + 2 * hidden;                                           \
            if (!md_recurrent_is_active(pass, b, step))                                                      \
                continue;                                                                                    \
            for (size_t i = 0; pass->parameters->linear_before_reset && i < hidden; i++)                     \
                candidate[i] += r[i] * extra[b * hidden + i];                                                \
            squash_##type(pass, 1, hidden, candidate);                                                       \
            for (size_t i = 0; i < hidden; i++)                                                              \
                state[i] = (1 - z[i]) * candidate[i] + z[i] * state[i];                                      \
        }                                                                                                    \
    }

DEFINE_CELL(float)
DEFINE_CELL(double)

static void gru_step(const struct md_recurrent_pass *pass, size_t step, size_t rows, void *gates)
{
    size_t hidden = pass->hidden;
    md_recurrent_product(pass, rows, pass->state, 0, gates, 3 * hidden, 0, true, NULL);
    if (pass->is_double)
        reset_double(pass, rows, gates);
    else
        reset_float(pass, rows, gates);
    if (pass->parameters->linear_before_reset) {
        const unsigned char *bias = pass->bias;
        md_recurrent_product(pass, rows, pass->state, 1, pass->extra, hidden, 0, false,
                             bias != NULL ? bias + 5 * hidden * pass->element_size : NULL);
    } else {
        md_recurrent_product(pass, rows, pass->extra, 1, gates, 3 * hidden, 2 * hidden, true, NULL);
    }
    if (pass->is_double)
        update_double(pass, step, rows, gates);
    else
        update_float(pass, step, rows, gates);
}

static enum md_code gru_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    return md_recurrent_configure(configuration, &gru_cell, out_parameters);
}

static enum md_code gru_run(struct md_invocation *invocation)
{
    return md_recurrent_run(invocation, gru_step);
}

const struct md_operator md_operators_gru[] = {
    { MD_ONNX, "GRU", 1, MD_OPSET_NEWEST, 3, 6, 0, 2, MD_TYPES_FLOAT, MD_TYPE(MD_FP32) | MD_TYPE(MD_FP64), 0,
      gru_configure, md_recurrent_prepare, gru_run },
    { 0 },
};
