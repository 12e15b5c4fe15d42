/* recurrent.h - what RNN, GRU and LSTM share: attributes, shapes, the walk over time; the cells are in their
 * files.
 *
 * The products with the input are computed for many steps at once, then every step adds the product with the
 * state:
 *
 *     gates[step][batch][gate * hidden]  =  X W' + bias          one tall product per chunk of steps
 *     gates[step]                       +=  H R', cell -> H, C   step by step
 *
 * Steps count along the sequence in the direction of the pass: with lengths, step 0 of a reverse pass is the
 * last valid element of each sequence. Weights that are constants are packed at load, others at each run.
 * Memory: the invocation's scratch. Threads: parameters are immutable, a pass belongs to one thread. */
#ifndef MD_RECURRENT_H
#define MD_RECURRENT_H

#include "gemm.h"
#include "named_activation.h"
#include "operator.h"

enum { MD_CELL_MAX_PARTS = 2, MD_CELL_MAX_ACTIVATIONS = 3 };

/* What a cell is: static, one per operator. */
struct md_recurrent_cell {
    size_t gates;
    size_t activation_count;
    const char *default_activations[MD_CELL_MAX_ACTIVATIONS];
    size_t parts;                         /* the gates' recurrent weights are packed in this many matrices */
    size_t part_gates[MD_CELL_MAX_PARTS]; /* gates of each, in order */
    bool has_memory;                      /* LSTM's C: inputs 6 and 7, output 2 */
    bool has_extra;                       /* wants md_recurrent_pass.extra */
    bool quantized; /* W and R are codes [directions, depth, gates * hidden]; inputs 8 to 11 are
                       W's scale and zero point, and R's */
};

/* W or R, as the model has them. */
struct md_recurrent_weights {
    const struct md_tensor *elements;
    const struct md_tensor *scale, *zero_point; /* of codes: one or gates * hidden per direction */
};

struct md_recurrent_parameters {
    const struct md_recurrent_cell *cell;
    size_t directions;
    bool reverse;     /* the only direction is backwards */
    bool batch_first; /* layout 1 */
    bool input_forget;
    bool linear_before_reset;
    bool has_clip;
    double clip;
    int64_t hidden_size; /* 0: attribute absent */
    struct md_named_activation activations[2][MD_CELL_MAX_ACTIVATIONS];
    const struct md_packed_matrix *input_weights[2];
    const struct md_packed_matrix *recurrent_weights[2][MD_CELL_MAX_PARTS];
};

/* One direction of one run, as the cells see it. Rows of the state are dense: [batch][hidden]. */
struct md_recurrent_pass {
    const struct md_invocation *invocation; /* for its threads, which share the larger products */
    const struct md_recurrent_parameters *parameters;
    const struct md_named_activation *activations;
    bool is_double;
    enum md_gemm_type type;
    size_t element_size;
    size_t steps, batch, input_size, hidden;
    size_t direction;
    bool reverse;
    const int32_t *lengths; /* per batch entry, or NULL */
    struct md_packed_matrix input_weights;
    struct md_packed_matrix recurrent_weights[MD_CELL_MAX_PARTS];
    const void *bias;     /* of this direction: W's gates, then R's; NULL: none */
    const void *peephole; /* of this direction, or NULL */
    void *summed_bias;    /* what is added to every gate once */
    void *gates;          /* of one chunk of steps */
    size_t chunk_steps;
    bool backwards;       /* every second step: recurrent weights that just miss the cache are half there */
    void *state, *memory, *extra; /* [batch][hidden] each */
    void *workspace;
};

/* Is batch entry `b` still in its sequence at `step`? */
static inline bool md_recurrent_is_active(const struct md_recurrent_pass *pass, size_t b, size_t step)
{
    return pass->lengths == NULL || step < (size_t)pass->lengths[b];
}

/* Computes the new state of the active ones among the first `rows` batch entries from gates[batch][gates *
 * hidden] of this step. */
typedef void (*md_recurrent_step_fn)(const struct md_recurrent_pass *pass, size_t step, size_t rows,
                                     void *gates);

MD_NODISCARD enum md_code md_recurrent_configure(const struct md_configuration *configuration,
                                                 const struct md_recurrent_cell *cell,
                                                 const void **out_parameters);
MD_NODISCARD enum md_code md_recurrent_prepare(struct md_invocation *invocation);
MD_NODISCARD enum md_code md_recurrent_run(struct md_invocation *invocation, md_recurrent_step_fn step);

/* Packs the weights of `columns` gate elements from `first` on, of one direction; codes become floats.
 * `width` is gates * hidden. */
void md_recurrent_pack(const struct md_recurrent_cell *cell, const struct md_recurrent_weights *weights,
                       enum md_gemm_type type, size_t direction, size_t depth, size_t width, size_t first,
                       size_t columns, void *panels, struct md_packed_matrix *out_packed);

/* target[rows][stride], from column `column` on, += source[rows][hidden] times part `part` of the recurrent
 * weights; or = that + bias if not accumulate. */
void md_recurrent_product(const struct md_recurrent_pass *pass, size_t rows, const void *source, size_t part,
                          void *target, size_t stride, size_t column, bool accumulate, const void *bias);

#endif
