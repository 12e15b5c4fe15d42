/* rnn.c - RNN, the simple recurrent network (opsets 1, 7, 14, 22). */
#include "operator_table.h"
#include "recurrent.h"

static const struct md_recurrent_cell rnn_cell = {
    .gates = 1,
    .activation_count = 1,
    .default_activations = { "Tanh" },
    .parts = 1,
    .part_gates = { 1 },
};

#define DEFINE_CELL(type)                                                                                    \
    static void step_##type(const struct md_recurrent_pass *pass, size_t step, size_t rows, type *gates)     \
    {                                                                                                        \
        const size_t hidden = pass->hidden;                                                                  \
        const type high = (type)pass->parameters->clip;                                                      \
        for (size_t b = 0; b < rows; b++) {                                                                  \
            type *sums = gates + b * hidden;                                                                 \
            if (!md_recurrent_is_active(pass, b, step))                                                      \
                continue;                                                                                    \
            for (size_t i = 0; pass->parameters->has_clip && i < hidden; i++)                                \
                sums[i] = sums[i] > high ? high : sums[i] < -high ? -high : sums[i];                         \
            md_named_activation_apply(&pass->activations[0], pass->is_double, hidden, sums);                 \
            memcpy((type *)pass->state + b * hidden, sums, hidden * sizeof *sums);                           \
        }                                                                                                    \
    }

DEFINE_CELL(float)
DEFINE_CELL(double)

static void rnn_step(const struct md_recurrent_pass *pass, size_t step, size_t rows, void *gates)
{
    md_recurrent_product(pass, rows, pass->state, 0, gates, pass->hidden, 0, true, NULL);
    if (pass->is_double)
        step_double(pass, step, rows, gates);
    else
        step_float(pass, step, rows, gates);
}

static enum md_code rnn_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    return md_recurrent_configure(configuration, &rnn_cell, out_parameters);
}

static enum md_code rnn_run(struct md_invocation *invocation)
{
    return md_recurrent_run(invocation, rnn_step);
}

const struct md_operator md_operators_rnn[] = {
    { MD_ONNX, "RNN", 1, MD_OPSET_NEWEST, 3, 6, 0, 2, MD_TYPES_FLOAT, MD_TYPE(MD_FP32) | MD_TYPE(MD_FP64), 0,
      rnn_configure, md_recurrent_prepare, rnn_run },
    { 0 },
};
