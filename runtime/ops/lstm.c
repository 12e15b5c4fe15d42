/* lstm.c - LSTM (opsets 1, 7, 14, 22) and com.microsoft's DynamicQuantizeLSTM. Gates lie in the order i, o,
 * f, c; peepholes in the order i, o, f. */
#include "operator_table.h"
#include "recurrent.h"
#include "vector_loops.h"

static const struct md_recurrent_cell lstm_cell = {
    .gates = 4,
    .activation_count = 3,
    .default_activations = { "Sigmoid", "Tanh", "Tanh" },
    .parts = 1,
    .part_gates = { 4 },
    .has_memory = true,
    .has_extra = true,
};

/* com.microsoft's DynamicQuantizeLSTM. */
static const struct md_recurrent_cell quantized_cell = {
    .gates = 4,
    .activation_count = 3,
    .default_activations = { "Sigmoid", "Tanh", "Tanh" },
    .parts = 1,
    .part_gates = { 4 },
    .has_memory = true,
    .has_extra = true,
    .quantized = true,
};

/* One batch entry. `squashed` has room for a row of C on its way through the last activation, whose input is
 * the one that is not clipped: `clip` bounds gates, and so do the implementations that models were trained
 * with. */
#define DEFINE_CELL(type)                                                                                    \
    static void clip_##type(double limit, size_t count, type *values)                                        \
    {                                                                                                        \
        const type high = (type)limit;                                                                       \
        for (size_t i = 0; i < count; i++)                                                                   \
            values[i] = values[i] > high ? high : values[i] < -high ? -high : values[i];                     \
    }                                                                                                        \
    static void squash_##type(const struct md_recurrent_pass *pass, size_t which, size_t count,              \
                              type *values)                                                                  \
    {                                                                                                        \
        if (pass->parameters->has_clip)                                                                      \
            clip_##type(pass->parameters->clip, count, values);                                              \
        md_named_activation_apply(&pass->activations[which], pass->is_double, count, values);                \
    }                                                                                                        \
    static void peep_##type(const type *peephole, const type *memory, size_t count, type *gate)              \
    {                                                                                                        \
        for (size_t i = 0; peephole != NULL && i < count; i++)                                               \
            gate[i] += peephole[i] * memory[i];                                                              \
    }                                                                                                        \
    static void cell_##type(const struct md_recurrent_pass *pass, type *gates, type *state, type *memory,    \
                            type *squashed)                                                                  \
    {                                                                                                        \
        const size_t hidden = pass->hidden;                                                                  \
        const type *peephole = pass->peephole;                                                               \
        type *input = gates, *output = gates + hidden, *forget = gates + 2 * hidden;                         \
        type *candidate = gates + 3 * hidden;                                                                \
        peep_##type(peephole, memory, hidden, input);                                                        \
        peep_##type(peephole != NULL ? peephole + 2 * hidden : NULL, memory, hidden, forget);                \
        squash_##type(pass, 0, hidden, input);                                                               \
        squash_##type(pass, 0, hidden, forget);                                                              \
        squash_##type(pass, 1, hidden, candidate);                                                           \
        for (size_t i = 0; pass->parameters->input_forget && i < hidden; i++)                                \
            forget[i] = 1 - input[i];                                                                        \
        for (size_t i = 0; i < hidden; i++)                                                                  \
            memory[i] = forget[i] * memory[i] + input[i] * candidate[i];                                     \
        peep_##type(peephole != NULL ? peephole + hidden : NULL, memory, hidden, output);                    \
        squash_##type(pass, 0, hidden, output);                                                              \
        memcpy(squashed, memory, hidden * sizeof *squashed);                                                 \
        md_named_activation_apply(&pass->activations[2], pass->is_double, hidden, squashed);                 \
        for (size_t i = 0; i < hidden; i++)                                                                  \
            state[i] = output[i] * squashed[i];                                                              \
    }                                                                                                        \
    static void step_##type(const struct md_recurrent_pass *pass, size_t step, size_t rows, type *gates)     \
    {                                                                                                        \
        type *state = pass->state, *memory = pass->memory, *squashed = pass->extra;                          \
        for (size_t b = 0; b < rows; b++)                                                                    \
            if (md_recurrent_is_active(pass, b, step))                                                       \
                cell_##type(pass, gates + b * 4 * pass->hidden, state + b * pass->hidden,                    \
                            memory + b * pass->hidden, squashed + b * pass->hidden);                         \
    }

DEFINE_CELL(float)
DEFINE_CELL(double)

/* Is it the cell that everybody uses? That one is a single pass over the gates. */
static bool is_usual(const struct md_recurrent_pass *pass)
{
    const struct md_recurrent_parameters *parameters = pass->parameters;
    return !pass->is_double && pass->peephole == NULL && !parameters->has_clip && !parameters->input_forget &&
           pass->activations[0].kind == MD_ACTIVATION_SIGMOID && pass->activations[1].kind == MD_ACTIVATION_TANH &&
           pass->activations[2].kind == MD_ACTIVATION_TANH;
}

static void step_usual(const struct md_recurrent_pass *pass, size_t step, size_t rows, const float *gates)
{
    const struct md_vector_loops *loops = md_vector_loops();
    float *state = pass->state, *memory = pass->memory;
    for (size_t b = 0; b < rows; b++)
        if (md_recurrent_is_active(pass, b, step))
            loops->lstm_cell(pass->hidden, gates + b * 4 * pass->hidden, memory + b * pass->hidden,
                             state + b * pass->hidden);
}

static void lstm_step(const struct md_recurrent_pass *pass, size_t step, size_t rows, void *gates)
{
    md_recurrent_product(pass, rows, pass->state, 0, gates, 4 * pass->hidden, 0, true, NULL);
    if (pass->is_double)
        step_double(pass, step, rows, gates);
    else if (is_usual(pass))
        step_usual(pass, step, rows, gates);
    else
        step_float(pass, step, rows, gates);
}

static enum md_code lstm_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    return md_recurrent_configure(configuration, &lstm_cell, out_parameters);
}

static enum md_code quantized_configure(const struct md_configuration *configuration,
                                        const void **out_parameters)
{
    return md_recurrent_configure(configuration, &quantized_cell, out_parameters);
}

static enum md_code lstm_run(struct md_invocation *invocation)
{
    return md_recurrent_run(invocation, lstm_step);
}

const struct md_operator md_operators_lstm[] = {
    { MD_ONNX, "LSTM", 1, MD_OPSET_NEWEST, 3, 8, 0, 3, MD_TYPES_FLOAT, MD_TYPE(MD_FP32) | MD_TYPE(MD_FP64), 0,
      lstm_configure, md_recurrent_prepare, lstm_run },
    { MD_MICROSOFT, "DynamicQuantizeLSTM", 1, MD_OPSET_MICROSOFT, 3, 12, 0, 3, MD_TYPE(MD_FP32), 0, 0,
      quantized_configure, md_recurrent_prepare, lstm_run },
    { 0 },
};
