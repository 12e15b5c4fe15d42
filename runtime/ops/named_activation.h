/* named_activation.h - activation functions that an attribute names: of recurrent networks and of fused
 * operators.
 *
 * ONNX lists them under RNN, GRU and LSTM ("Activation functions"); com.microsoft's fused operators use the
 * same names. Names compare without regard to case. Threads: pure functions. */
#ifndef MD_NAMED_ACTIVATION_H
#define MD_NAMED_ACTIVATION_H

#include "span.h"
#include "status.h"

#include <stdbool.h>

enum md_activation_kind {
    MD_ACTIVATION_IDENTITY = 0,
    MD_ACTIVATION_RELU,
    MD_ACTIVATION_TANH,
    MD_ACTIVATION_SIGMOID,
    MD_ACTIVATION_AFFINE,
    MD_ACTIVATION_LEAKY_RELU,
    MD_ACTIVATION_THRESHOLDED_RELU,
    MD_ACTIVATION_SCALED_TANH,
    MD_ACTIVATION_HARD_SIGMOID,
    MD_ACTIVATION_ELU,
    MD_ACTIVATION_SOFTSIGN,
    MD_ACTIVATION_SOFTPLUS,
    MD_ACTIVATION_CLIP,       /* to [alpha, beta] */
    MD_ACTIVATION_HARD_SWISH, /* x * clip(alpha x + beta, 0, 1) */
    MD_ACTIVATION_GELU
};

struct md_named_activation {
    enum md_activation_kind kind;
    float alpha, beta;
};

/* The activation with its default parameters, and how many parameters (alpha, then beta) it takes.
 * INVALID_ARGUMENT: no such name. */
MD_NODISCARD enum md_code md_named_activation_find(struct md_span name,
                                                   struct md_named_activation *out_activation,
                                                   size_t *out_parameter_count, struct md_error *error);

/* values[i] = f(values[i]); is_double: double elements, else float. */
void md_named_activation_apply(const struct md_named_activation *activation, bool is_double, size_t count,
                               void *values);

#endif
