/* recurrent.c - the walk over time of RNN, GRU and LSTM; see recurrent.h. */
#include "recurrent.h"

#include "gemm_operand.h"
#include "parallel.h"

enum {
    INPUT_X,
    INPUT_W,
    INPUT_R,
    INPUT_B,
    INPUT_LENGTHS,
    INPUT_H,
    INPUT_C,
    INPUT_P,
    INPUT_W_SCALE,
    INPUT_W_ZERO_POINT,
    INPUT_R_SCALE,
    INPUT_R_ZERO_POINT
};

/* Elements of gates computed ahead: what stays in the second-level cache. */
static const size_t chunk_elements = (size_t)1 << 17;

struct sizes {
    size_t steps, batch, input_size, hidden;
};

/* Scratch offsets, in bytes. */
struct layout {
    size_t gates, state, memory, extra, summed_bias, workspace, input_panels;
    size_t recurrent_panels[MD_CELL_MAX_PARTS];
    size_t chunk_steps;
    size_t total;
};

/* ---- prepare ---- */
static enum md_code expect_shape(struct md_invocation *invocation, size_t index, const char *name,
                                 int32_t rank, int64_t d0, int64_t d1, int64_t d2)
{
    const struct md_tensor *tensor = md_input(invocation, index);
    struct md_shape expected = { rank, { d0, d1, d2 } };
    char found[MD_SHAPE_TEXT_SIZE], wanted[MD_SHAPE_TEXT_SIZE];
    if (tensor == NULL || md_shape_equal(&tensor->shape, &expected))
        return MD_OK;
    return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input %s has shape %s, expected %s", name,
                   md_shape_text(&tensor->shape, found, sizeof found),
                   md_shape_text(&expected, wanted, sizeof wanted));
}

/* Scale or zero point of quantized weights: [directions] or [directions, gates * hidden]. */
static enum md_code expect_per_gate(struct md_invocation *invocation, size_t index, unsigned types,
                                    int64_t directions, int64_t width)
{
    const struct md_tensor *tensor = md_input(invocation, index);
    char text[MD_SHAPE_TEXT_SIZE];
    MD_TRY(md_expect_tensor(invocation, index));
    MD_TRY(md_expect_datatype(invocation, index, types));
    const int64_t *dims = tensor->shape.dims;
    if ((tensor->shape.rank == 1 && dims[0] == directions) ||
        (tensor->shape.rank == 2 && dims[0] == directions && dims[1] == width))
        return MD_OK;
    return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                   "input %zu has shape %s, expected [%lld] or [%lld,%lld]", index,
                   md_shape_text(&tensor->shape, text, sizeof text), (long long)directions,
                   (long long)directions, (long long)width);
}

static enum md_code check_codes(struct md_invocation *invocation, int64_t directions, int64_t width)
{
    static const unsigned byte_types = MD_TYPE(MD_INT8) | MD_TYPE(MD_UINT8);
    MD_TRY(md_expect_datatype(invocation, INPUT_W, byte_types));
    MD_TRY(md_expect_datatype(invocation, INPUT_R, byte_types));
    MD_TRY(expect_per_gate(invocation, INPUT_W_SCALE, MD_TYPE(MD_FP32), directions, width));
    MD_TRY(expect_per_gate(invocation, INPUT_R_SCALE, MD_TYPE(MD_FP32), directions, width));
    MD_TRY(expect_per_gate(invocation, INPUT_W_ZERO_POINT, byte_types, directions, width));
    return expect_per_gate(invocation, INPUT_R_ZERO_POINT, byte_types, directions, width);
}

static enum md_code read_sizes(struct md_invocation *invocation, struct sizes *out_sizes)
{
    const struct md_recurrent_parameters *parameters = invocation->parameters;
    bool quantized = parameters->cell->quantized;
    for (size_t i = INPUT_X; i <= INPUT_R; i++) {
        MD_TRY(md_expect_tensor(invocation, i));
        MD_TRY(md_expect_rank(invocation, i, 3, 3));
        if (!quantized)
            MD_TRY(md_expect_same_datatype(invocation, INPUT_X, i));
    }
    const int64_t *x = md_input(invocation, INPUT_X)->shape.dims;
    int64_t hidden = md_input(invocation, INPUT_R)->shape.dims[quantized ? 1 : 2];
    int64_t width;
    if (parameters->hidden_size != 0 && parameters->hidden_size != hidden)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "attribute hidden_size is %lld, input R has %lld", (long long)parameters->hidden_size,
                       (long long)hidden);
    if (__builtin_mul_overflow(hidden, 2 * (int64_t)parameters->cell->gates, &width))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "hidden size %lld is too large",
                       (long long)hidden);
    width /= 2;
    int64_t directions = (int64_t)parameters->directions;
    if (quantized) {
        MD_TRY(expect_shape(invocation, INPUT_W, "W", 3, directions, x[2], width));
        MD_TRY(expect_shape(invocation, INPUT_R, "R", 3, directions, hidden, width));
        MD_TRY(check_codes(invocation, directions, width));
    } else {
        MD_TRY(expect_shape(invocation, INPUT_W, "W", 3, directions, width, x[2]));
        MD_TRY(expect_shape(invocation, INPUT_R, "R", 3, directions, width, hidden));
    }
    *out_sizes = (struct sizes){ (size_t)x[parameters->batch_first ? 1 : 0],
                                 (size_t)x[parameters->batch_first ? 0 : 1], (size_t)x[2], (size_t)hidden };
    return MD_OK;
}

static enum md_code check_lengths(struct md_invocation *invocation, const struct sizes *sizes)
{
    const struct md_tensor *lengths = md_input(invocation, INPUT_LENGTHS);
    if (lengths == NULL)
        return MD_OK;
    MD_TRY(md_expect_datatype(invocation, INPUT_LENGTHS, MD_TYPE(MD_INT32)));
    MD_TRY(expect_shape(invocation, INPUT_LENGTHS, "sequence_lens", 1, (int64_t)sizes->batch, 0, 0));
    for (size_t b = 0; b < sizes->batch; b++) {
        int32_t length = md_elements(const int32_t, lengths)[b];
        if (length < 0 || (size_t)length > sizes->steps)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "sequence_lens[%zu] is %d: range is [0,%zu]", b, (int)length, sizes->steps);
    }
    return MD_OK;
}

static enum md_code check_states(struct md_invocation *invocation, const struct sizes *sizes)
{
    const struct md_recurrent_parameters *parameters = invocation->parameters;
    int64_t directions = (int64_t)parameters->directions, batch = (int64_t)sizes->batch;
    int64_t hidden = (int64_t)sizes->hidden, gates = (int64_t)parameters->cell->gates;
    int64_t outer = parameters->batch_first ? batch : directions,
            inner = parameters->batch_first ? directions : batch;
    static const size_t real_inputs[] = { INPUT_B, INPUT_H, INPUT_C, INPUT_P };
    for (size_t i = 0; i < sizeof real_inputs / sizeof real_inputs[0]; i++)
        MD_TRY(md_expect_same_datatype(invocation, INPUT_X, real_inputs[i]));
    MD_TRY(expect_shape(invocation, INPUT_B, "B", 2, directions, 2 * gates * hidden, 0));
    MD_TRY(expect_shape(invocation, INPUT_H, "initial_h", 3, outer, inner, hidden));
    if (!parameters->cell->has_memory)
        return MD_OK;
    MD_TRY(expect_shape(invocation, INPUT_C, "initial_c", 3, outer, inner, hidden));
    return expect_shape(invocation, INPUT_P, "P", 2, directions, 3 * hidden, 0);
}

static bool reserve(size_t *total, size_t count, size_t unit, size_t *out_offset)
{
    size_t size;
    *out_offset = *total;
    return !__builtin_mul_overflow(count, unit, &size) && !__builtin_add_overflow(size, 63, &size) &&
           !__builtin_add_overflow(*total, size & ~(size_t)63, total);
}

static bool reserve_panels(enum md_gemm_type type, size_t depth, size_t columns, bool needed, size_t *total,
                           size_t *out_offset)
{
    size_t size = 0;
    if (needed && !md_matrix_pack_size(type, depth, columns, &size))
        return false;
    return reserve(total, size, 1, out_offset);
}

/* False: overflow. */
static bool lay_out(const struct md_recurrent_parameters *parameters, const struct sizes *sizes,
                    enum md_gemm_type type, struct layout *out_layout)
{
    const struct md_recurrent_cell *cell = parameters->cell;
    struct layout layout = { .total = 0 };
    size_t unit = md_gemm_element_size(type), width = cell->gates * sizes->hidden, step, states;
    if (__builtin_mul_overflow(width, sizes->batch, &step) ||
        __builtin_mul_overflow(sizes->hidden, sizes->batch, &states))
        return false;
    layout.chunk_steps = step == 0 || chunk_elements / step == 0 ? 1 : chunk_elements / step;
    if (layout.chunk_steps > sizes->steps)
        layout.chunk_steps = sizes->steps;
    bool fits = reserve(&layout.total, layout.chunk_steps * step, unit, &layout.gates) &&
                reserve(&layout.total, states, unit, &layout.state) &&
                reserve(&layout.total, cell->has_memory ? states : 0, unit, &layout.memory) &&
                reserve(&layout.total, cell->has_extra ? states : 0, unit, &layout.extra) &&
                reserve(&layout.total, width, unit, &layout.summed_bias) &&
                reserve_panels(type, sizes->input_size, width, parameters->input_weights[0] == NULL,
                               &layout.total, &layout.input_panels);
    for (size_t i = 0; fits && i < cell->parts; i++)
        fits = reserve_panels(type, sizes->hidden, cell->part_gates[i] * sizes->hidden,
                              parameters->recurrent_weights[0][i] == NULL, &layout.total,
                              &layout.recurrent_panels[i]);
    *out_layout = layout;
    return fits;
}

static enum md_code declare_outputs(struct md_invocation *invocation, const struct sizes *sizes)
{
    const struct md_recurrent_parameters *parameters = invocation->parameters;
    enum md_datatype datatype = md_input(invocation, INPUT_X)->datatype;
    int64_t steps = (int64_t)sizes->steps, batch = (int64_t)sizes->batch, hidden = (int64_t)sizes->hidden;
    int64_t directions = (int64_t)parameters->directions;
    struct md_shape sequence = { 4, { steps, directions, batch, hidden } };
    struct md_shape state = { 3, { directions, batch, hidden } };
    if (parameters->batch_first) {
        sequence = (struct md_shape){ 4, { batch, steps, directions, hidden } };
        state = (struct md_shape){ 3, { batch, directions, hidden } };
    }
    MD_TRY(md_output(invocation, 0, datatype, &sequence));
    MD_TRY(md_output(invocation, 1, datatype, &state));
    return parameters->cell->has_memory ? md_output(invocation, 2, datatype, &state) : MD_OK;
}

enum md_code md_recurrent_prepare(struct md_invocation *invocation)
{
    struct sizes sizes;
    struct layout layout;
    enum md_gemm_type type;
    MD_TRY(read_sizes(invocation, &sizes));
    MD_TRY(check_lengths(invocation, &sizes));
    MD_TRY(check_states(invocation, &sizes));
    MD_TRY(declare_outputs(invocation, &sizes));
    (void)md_gemm_type_of(md_input(invocation, INPUT_X)->datatype,
                          &type); /* the row's native types all have one */
    if (!lay_out(invocation->parameters, &sizes, type, &layout))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "batch %zu of hidden size %zu is too large",
                       sizes.batch, sizes.hidden);
    return md_scratch(invocation, layout.total);
}

/* ---- run ---- */
static const void *at(const void *elements, size_t index, size_t size)
{
    return elements == NULL ? NULL : (const unsigned char *)elements + index * size;
}

static void *place(void *elements, size_t index, size_t size)
{
    return (unsigned char *)elements + index * size;
}

/* Moves hidden-sized rows between a state tensor and the dense state of this direction. */
static size_t state_row(const struct md_recurrent_pass *pass, size_t b)
{
    const struct md_recurrent_parameters *parameters = pass->parameters;
    return parameters->batch_first ? b * parameters->directions + pass->direction
                                   : pass->direction * pass->batch + b;
}

static void load_state(const struct md_recurrent_pass *pass, const struct md_tensor *initial, void *state)
{
    size_t row = pass->hidden * pass->element_size;
    if (initial == NULL) {
        memset(state, 0, pass->batch * row);
        return;
    }
    for (size_t b = 0; b < pass->batch; b++)
        memcpy(place(state, b, row), at(initial->bytes, state_row(pass, b), row), row);
}

static void store_state(const struct md_recurrent_pass *pass, const void *state, struct md_tensor *output)
{
    size_t row = pass->hidden * pass->element_size;
    for (size_t b = 0; output != NULL && b < pass->batch; b++)
        memcpy(place(output->bytes, state_row(pass, b), row), at(state, b, row), row);
}

/* W's and R's biases in one, but not R's for GRU's last gate when it is multiplied by the reset gate. */
static void sum_biases(const struct md_recurrent_pass *pass)
{
    size_t width = pass->parameters->cell->gates * pass->hidden;
    size_t both = pass->parameters->linear_before_reset ? width - pass->hidden : width;
    if (pass->bias == NULL) {
        memset(pass->summed_bias, 0, width * pass->element_size);
        return;
    }
    for (size_t i = 0; i < width; i++) {
        if (pass->is_double)
            ((double *)pass->summed_bias)[i] =
                ((const double *)pass->bias)[i] + (i < both ? ((const double *)pass->bias)[width + i] : 0.0);
        else
            ((float *)pass->summed_bias)[i] =
                ((const float *)pass->bias)[i] + (i < both ? ((const float *)pass->bias)[width + i] : 0.0f);
    }
}

static size_t length_of(const struct md_recurrent_pass *pass, size_t b)
{
    return pass->lengths == NULL ? pass->steps : (size_t)pass->lengths[b];
}

/* The time index of a step of batch entry b. */
static size_t time_of(const struct md_recurrent_pass *pass, size_t b, size_t step)
{
    return pass->reverse ? length_of(pass, b) - 1 - step : step;
}

/* gates = X W' + bias for steps [first, first + count). */
static void project(const struct md_recurrent_pass *pass, const struct md_tensor *x, size_t first,
                    size_t count)
{
    bool batch_first = pass->parameters->batch_first;
    size_t width = pass->parameters->cell->gates * pass->hidden;
    size_t step_stride = batch_first ? pass->input_size : pass->batch * pass->input_size;
    size_t entry_stride = batch_first ? pass->steps * pass->input_size : pass->input_size;
    struct md_gemm gemm = {
        .type = pass->type,
        .columns = width,
        .depth = pass->input_size,
        .packed = &pass->input_weights,
        .finish = { .alpha = 1.0, .column_bias = pass->summed_bias },
    };
    if (!pass->reverse && !batch_first) {
        gemm.rows = count * pass->batch;
        gemm.a = (struct md_matrix){ at(x->bytes, first * step_stride, pass->element_size),
                                     (ptrdiff_t)pass->input_size, 1 };
        gemm.c = pass->gates;
        gemm.c_stride = width;
        md_parallel_gemm(pass->invocation, &gemm, NULL);
        return;
    }
    for (size_t b = 0; b < pass->batch; b++) {
        size_t length = length_of(pass, b);
        if (first >= length)
            continue;
        gemm.rows = count < length - first ? count : length - first;
        gemm.a = (struct md_matrix){ at(x->bytes, b * entry_stride + time_of(pass, b, first) * step_stride,
                                        pass->element_size),
                                     pass->reverse ? -(ptrdiff_t)step_stride : (ptrdiff_t)step_stride, 1 };
        gemm.c = place(pass->gates, b * width, pass->element_size);
        gemm.c_stride = pass->batch * width;
        md_parallel_gemm(pass->invocation, &gemm, NULL);
    }
}

void md_recurrent_product(const struct md_recurrent_pass *pass, size_t rows, const void *source, size_t part,
                          void *target, size_t stride, size_t column, bool accumulate, const void *bias)
{
    const struct md_packed_matrix *weights = &pass->recurrent_weights[part];
    struct md_gemm gemm = {
        .type = pass->type,
        .rows = rows,
        .columns = weights->columns,
        .depth = weights->depth,
        .a = { source, (ptrdiff_t)pass->hidden, 1 },
        .packed = weights,
        .c = place(target, column, pass->element_size),
        .c_stride = stride,
        .finish = { .alpha = 1.0, .column_bias = bias, .accumulate = accumulate },
        .backwards = pass->backwards && rows <= md_gemm_row_tile(pass->type),
    };
    md_parallel_gemm(pass->invocation, &gemm, NULL);
}

/* Copies the new states to output Y. */
static void emit(const struct md_recurrent_pass *pass, size_t step, size_t rows, struct md_tensor *y)
{
    size_t directions = pass->parameters->directions;
    size_t row = pass->hidden * pass->element_size;
    for (size_t b = 0; b < rows; b++) {
        if (!md_recurrent_is_active(pass, b, step))
            continue;
        size_t t = time_of(pass, b, step);
        size_t index = pass->parameters->batch_first ? (b * pass->steps + t) * directions + pass->direction
                                                     : (t * directions + pass->direction) * pass->batch + b;
        memcpy(place(y->bytes, index, row), at(pass->state, b, row), row);
    }
}

/* One more than the last active batch entry. */
static size_t active_rows(const struct md_recurrent_pass *pass, size_t step)
{
    size_t rows = pass->batch;
    while (rows > 0 && !md_recurrent_is_active(pass, rows - 1, step))
        rows--;
    return rows;
}

static void walk(struct md_recurrent_pass *pass, const struct md_tensor *x, md_recurrent_step_fn step_fn,
                 struct md_tensor *y)
{
    size_t step_size = pass->batch * pass->parameters->cell->gates * pass->hidden;
    for (size_t first = 0; first < pass->steps; first += pass->chunk_steps) {
        size_t count = pass->steps - first < pass->chunk_steps ? pass->steps - first : pass->chunk_steps;
        project(pass, x, first, count);
        for (size_t i = 0; i < count; i++) {
            size_t rows = active_rows(pass, first + i);
            if (rows == 0)
                return;
            pass->backwards = (first + i) % 2 != 0;
            step_fn(pass, first + i, rows, place(pass->gates, i * step_size, pass->element_size));
            if (y != NULL)
                emit(pass, first + i, rows, y);
        }
    }
}

static void open_weights(const struct md_invocation *invocation, const struct layout *layout,
                         struct md_recurrent_pass *pass)
{
    const struct md_recurrent_parameters *parameters = pass->parameters;
    const struct md_recurrent_cell *cell = parameters->cell;
    struct md_recurrent_weights w = { md_input(invocation, INPUT_W), md_input(invocation, INPUT_W_SCALE),
                                      md_input(invocation, INPUT_W_ZERO_POINT) };
    struct md_recurrent_weights r = { md_input(invocation, INPUT_R), md_input(invocation, INPUT_R_SCALE),
                                      md_input(invocation, INPUT_R_ZERO_POINT) };
    unsigned char *scratch = invocation->scratch;
    size_t first = 0, width = cell->gates * pass->hidden, direction = pass->direction;
    if (parameters->input_weights[direction] != NULL)
        pass->input_weights = *parameters->input_weights[direction];
    else
        md_recurrent_pack(cell, &w, pass->type, direction, pass->input_size, width, 0, width,
                          scratch + layout->input_panels, &pass->input_weights);
    for (size_t i = 0; i < cell->parts; i++) {
        size_t columns = cell->part_gates[i] * pass->hidden;
        if (parameters->recurrent_weights[direction][i] != NULL)
            pass->recurrent_weights[i] = *parameters->recurrent_weights[direction][i];
        else
            md_recurrent_pack(cell, &r, pass->type, direction, pass->hidden, width, first, columns,
                              scratch + layout->recurrent_panels[i], &pass->recurrent_weights[i]);
        first += columns;
    }
}

static void run_direction(struct md_invocation *invocation, const struct layout *layout,
                          struct md_recurrent_pass *pass, md_recurrent_step_fn step_fn)
{
    const struct md_recurrent_parameters *parameters = pass->parameters;
    const struct md_recurrent_cell *cell = parameters->cell;
    const struct md_tensor *bias = md_input(invocation, INPUT_B), *peephole = md_input(invocation, INPUT_P);
    struct md_tensor *y = md_output_tensor(invocation, 0);
    pass->reverse = parameters->reverse || pass->direction == 1;
    pass->activations = parameters->activations[pass->direction];
    pass->bias = bias == NULL
                     ? NULL
                     : at(bias->bytes, pass->direction * 2 * cell->gates * pass->hidden, pass->element_size);
    pass->peephole = peephole == NULL || !cell->has_memory
                         ? NULL
                         : at(peephole->bytes, pass->direction * 3 * pass->hidden, pass->element_size);
    open_weights(invocation, layout, pass);
    sum_biases(pass);
    load_state(pass, md_input(invocation, INPUT_H), pass->state);
    if (cell->has_memory)
        load_state(pass, md_input(invocation, INPUT_C), pass->memory);
    walk(pass, md_input(invocation, INPUT_X), step_fn, y);
    store_state(pass, pass->state, md_output_tensor(invocation, 1));
    if (cell->has_memory)
        store_state(pass, pass->memory, md_output_tensor(invocation, 2));
}

enum md_code md_recurrent_run(struct md_invocation *invocation, md_recurrent_step_fn step_fn)
{
    const struct md_recurrent_parameters *parameters = invocation->parameters;
    const struct md_tensor *lengths = md_input(invocation, INPUT_LENGTHS);
    struct md_tensor *y = md_output_tensor(invocation, 0);
    struct sizes sizes;
    struct layout layout;
    MD_TRY(read_sizes(invocation, &sizes));
    if (sizes.batch == 0 || sizes.hidden == 0)
        return MD_OK;
    struct md_recurrent_pass pass = {
        .invocation = invocation,
        .parameters = parameters,
        .is_double = md_input(invocation, INPUT_X)->datatype == MD_FP64,
        .steps = sizes.steps,
        .batch = sizes.batch,
        .input_size = sizes.input_size,
        .hidden = sizes.hidden,
        .lengths = lengths != NULL ? md_elements(const int32_t, lengths) : NULL,
    };
    pass.type = pass.is_double ? MD_GEMM_F64 : MD_GEMM_F32;
    pass.element_size = md_gemm_element_size(pass.type);
    if (!lay_out(parameters, &sizes, pass.type, &layout))
        return md_fail(invocation->error, MD_INTERNAL, "sizes have changed since prepare");
    unsigned char *scratch = invocation->scratch;
    pass.gates = scratch + layout.gates;
    pass.state = scratch + layout.state;
    pass.memory = scratch + layout.memory;
    pass.extra = scratch + layout.extra;
    pass.summed_bias = scratch + layout.summed_bias;
    pass.chunk_steps = layout.chunk_steps;
    if (y != NULL && lengths != NULL && y->count != 0)
        memset(y->bytes, 0, md_tensor_size(y)); /* what lies behind a sequence's end */
    for (pass.direction = 0; pass.direction < parameters->directions; pass.direction++)
        run_direction(invocation, &layout, &pass, step_fn);
    return MD_OK;
}
