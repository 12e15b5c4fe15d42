/* scan.c - Scan: a body run for every element of the scan inputs, with state from one to the next.
 *
 * Opset 9 on: (states..., scan inputs...), each scan input along its own axis and direction.
 * Opset 8: (sequence_lens, states..., scan inputs...), with a batch dim before the sequence dim; every batch
 * entry is scanned by itself, and shorter ones are filled up with zeros. */
#include "operator_table.h"
#include "parameters.h"
#include "strided_copy.h"
#include "value_list.h"

struct scan_parameters {
    size_t scan_inputs;
    struct md_int_list input_axes, input_directions, output_axes, output_directions;
};

/* One execution of the node. Body: (states..., slices...) -> (states..., scan outputs...). */
struct scan {
    size_t first; /* node input that is state 0 */
    size_t states, slices, scans;
    bool batched;                /* opset 8 */
    int64_t batch;               /* 1 without */
    int64_t length;              /* of the longest sequence */
    struct md_value *inputs;     /* of the body: states + slices */
    struct md_value *outputs;    /* of the body: states + scans */
    struct md_value *sources;    /* slices: scan inputs with the scan axis in front */
    struct md_value_list *lists; /* states (opset 8 only) + scans */
};

static enum md_code scan_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct scan_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    bool batched = configuration->opset < 9;
    int64_t count;
    MD_TRY(md_attribute_int(configuration->attributes, "num_scan_inputs", 0, &count, configuration->error));
    size_t inputs = configuration->input_count - (batched && configuration->input_count > 0 ? 1 : 0);
    if (count < 1 || (uint64_t)count > inputs)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT,
                       "num_scan_inputs is %lld, the node has %zu inputs", (long long)count, inputs);
    parameters->scan_inputs = (size_t)count;
    if (configuration->output_count < inputs - parameters->scan_inputs)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT,
                       "Scan carries %zu values and has %zu outputs", inputs - parameters->scan_inputs,
                       configuration->output_count);
    MD_TRY(md_int_list_read(configuration, "scan_input_axes", &parameters->input_axes));
    MD_TRY(md_int_list_read(configuration, batched ? "directions" : "scan_input_directions",
                            &parameters->input_directions));
    MD_TRY(md_int_list_read(configuration, "scan_output_axes", &parameters->output_axes));
    MD_TRY(md_int_list_read(configuration, "scan_output_directions", &parameters->output_directions));
    size_t scans = configuration->output_count - (inputs - parameters->scan_inputs);
    const struct md_int_list *lists[4] = { &parameters->input_axes, &parameters->input_directions,
                                           &parameters->output_axes, &parameters->output_directions };
    for (size_t i = 0; i < 4; i++) {
        size_t wanted = i < 2 ? parameters->scan_inputs : scans;
        if (lists[i]->present && lists[i]->count != wanted)
            return md_fail(configuration->error, MD_INVALID_ARGUMENT,
                           "a list of axes or directions has %zu entries for %zu", lists[i]->count, wanted);
    }
    return MD_OK;
}

static int64_t entry(const struct md_int_list *list, size_t index)
{
    return list->present ? list->values[index] : 0;
}

static void scan_counts(const struct md_invocation *invocation, struct scan *scan)
{
    const struct scan_parameters *parameters = invocation->parameters;
    memset(scan, 0, sizeof *scan);
    scan->batched = invocation->opset < 9;
    scan->first = scan->batched ? 1 : 0;
    scan->slices = parameters->scan_inputs;
    scan->states = invocation->input_count - scan->first - scan->slices;
    scan->scans = invocation->output_count - scan->states;
    scan->batch = 1;
}

/* Reads one length from every input; they must agree. */
static enum md_code agree(struct md_invocation *invocation, const char *what, size_t input, int64_t dim,
                          int64_t *length)
{
    if (*length >= 0 && *length != dim)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "%s of input %zu is %lld, of others %lld",
                       what, input, (long long)dim, (long long)*length);
    *length = dim;
    return MD_OK;
}

static enum md_code scan_lengths(struct md_invocation *invocation, struct scan *scan)
{
    const struct scan_parameters *parameters = invocation->parameters;
    int64_t batch = scan->batched ? -1 : 1, length = -1;
    for (size_t i = scan->first; i < invocation->input_count; i++) {
        const struct md_tensor *input = md_input(invocation, i);
        bool is_state = i < scan->first + scan->states;
        if (is_state && !scan->batched)
            continue;
        MD_TRY(
            md_expect_tensor_rank(invocation, i, (scan->batched ? 1 : 0) + (is_state ? 0 : 1), MD_MAX_RANK));
        if (scan->batched)
            MD_TRY(agree(invocation, "the batch size", i, input->shape.dims[0], &batch));
        if (is_state)
            continue;
        int32_t axis = 1;
        if (!scan->batched)
            MD_TRY(md_expect_axis(invocation, entry(&parameters->input_axes, i - scan->states),
                                  input->shape.rank, &axis));
        MD_TRY(agree(invocation, "the sequence length", i, input->shape.dims[axis], &length));
    }
    scan->batch = batch;
    scan->length = length;
    return MD_OK;
}

static enum md_code scan_prepare(struct md_invocation *invocation)
{
    struct scan scan;
    scan_counts(invocation, &scan);
    MD_TRY(scan_lengths(invocation, &scan));
    const struct md_tensor *lengths = scan.batched ? md_input(invocation, 0) : NULL;
    if (lengths != NULL) {
        MD_TRY(md_expect_datatype(invocation, 0, MD_TYPE(MD_INT64)));
        if (lengths->shape.rank != 1 || lengths->shape.dims[0] != scan.batch)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "sequence_lens has %zu entries, the batch size is %lld", lengths->count,
                           (long long)scan.batch);
        for (size_t i = 0; i < lengths->count; i++)
            if (md_index_at(lengths, i) < 0 || md_index_at(lengths, i) > scan.length)
                return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                               "sequence length %lld: range is [0,%lld]", (long long)md_index_at(lengths, i),
                               (long long)scan.length);
    }
    return md_scratch(invocation, (2 * scan.states + 2 * scan.slices + scan.scans) * sizeof(struct md_value) +
                                      (scan.states + scan.scans) * sizeof(struct md_value_list));
}

/* The scan input with its scan axis in front: itself, or a transposed copy. */
static enum md_code scan_source(struct md_invocation *invocation, size_t input, int64_t wanted_axis,
                                struct md_value *out_source)
{
    const struct md_tensor *tensor = md_input(invocation, input);
    int32_t axis;
    MD_TRY(md_expect_axis(invocation, wanted_axis, tensor->shape.rank, &axis));
    if (axis == 0) {
        md_value_share(invocation->inputs[input], out_source);
        return MD_OK;
    }
    struct md_shape shape = tensor->shape;
    struct md_strided dense = md_strided_of(tensor), from = dense;
    for (int32_t i = axis; i > 0; i--) {
        shape.dims[i] = tensor->shape.dims[i - 1];
        from.strides[i] = dense.strides[i - 1];
    }
    shape.dims[0] = tensor->shape.dims[axis];
    from.strides[0] = dense.strides[axis];
    MD_TRY(md_value_new(invocation, tensor->datatype, &shape, out_source));
    struct md_strided to = md_strided_of(&out_source->tensor);
    md_strided_copy(shape.rank, shape.dims, &to, &from, md_datatype_size(tensor->datatype));
    return MD_OK;
}

/* The values of one iteration of batch entry b. */
static void set_slices(struct md_invocation *invocation, struct scan *scan, int64_t b, int64_t t,
                       int64_t length)
{
    const struct scan_parameters *parameters = invocation->parameters;
    for (size_t i = 0; i < scan->slices; i++) {
        struct md_value *slice = &scan->inputs[scan->states + i];
        int64_t at = entry(&parameters->input_directions, i) == 1 ? length - 1 - t : t;
        md_value_clear(slice);
        if (!scan->batched) {
            md_value_slice(&scan->sources[i], (size_t)at, slice);
            continue;
        }
        struct md_value row;
        md_value_slice(&scan->sources[i], (size_t)b, &row);
        md_value_slice(&row, (size_t)at, slice);
        md_value_clear(&row);
    }
}

static enum md_code scan_step(struct md_invocation *invocation, struct scan *scan)
{
    MD_TRY(md_run_subgraph(invocation, 0, scan->inputs, scan->states + scan->slices, scan->outputs,
                           scan->states + scan->scans));
    for (size_t i = 0; i < scan->states; i++) {
        md_value_clear(&scan->inputs[i]);
        scan->inputs[i] = scan->outputs[i];
        scan->outputs[i] = (struct md_value){ 0 };
    }
    for (size_t i = 0; i < scan->scans; i++) {
        struct md_value *value = &scan->outputs[scan->states + i];
        if (md_wants_output(invocation, scan->states + i))
            MD_TRY(md_value_list_append(invocation, &scan->lists[scan->states + i], value));
        else
            md_value_clear(value);
    }
    return MD_OK;
}

/* Scans batch entry b; its final states go to the lists of opset 8, or stay in scan->inputs. */
static enum md_code scan_entry(struct md_invocation *invocation, struct scan *scan, int64_t b)
{
    const struct md_tensor *lengths = scan->batched ? md_input(invocation, 0) : NULL;
    int64_t length = lengths != NULL ? md_index_at(lengths, (size_t)b) : scan->length;
    for (size_t i = 0; i < scan->states; i++) {
        md_value_clear(&scan->inputs[i]);
        if (scan->batched)
            md_value_slice(invocation->inputs[scan->first + i], (size_t)b, &scan->inputs[i]);
        else
            md_value_share(invocation->inputs[scan->first + i], &scan->inputs[i]);
    }
    for (int64_t t = 0; t < length; t++) {
        set_slices(invocation, scan, b, t, length);
        MD_TRY(scan_step(invocation, scan));
    }
    struct md_value none = { 0 };
    for (int64_t t = length; t < scan->length; t++)
        for (size_t i = 0; i < scan->scans; i++)
            MD_TRY(md_value_list_append(invocation, &scan->lists[scan->states + i], &none));
    for (size_t i = 0; scan->batched && i < scan->states; i++)
        MD_TRY(md_value_list_append(invocation, &scan->lists[i], &scan->inputs[i]));
    return MD_OK;
}

static enum md_code scan_outputs(struct md_invocation *invocation, const struct scan *scan)
{
    const struct scan_parameters *parameters = invocation->parameters;
    const int64_t lead[2] = { scan->batch, scan->length };
    const struct md_stack_options stack_states = { .lead_rank = 1, .lead = lead };
    for (size_t i = 0; i < scan->states; i++) {
        if (!md_wants_output(invocation, i))
            continue;
        if (scan->batched)
            MD_TRY(md_value_list_stack(invocation, i, &scan->lists[i], &stack_states));
        else
            MD_TRY(md_output_value(invocation, i, &scan->inputs[i]));
    }
    for (size_t i = 0; i < scan->scans; i++) {
        struct md_stack_options options = { .lead_rank = scan->batched ? 2 : 1,
                                            .lead = scan->batched ? lead : lead + 1,
                                            .axis = scan->batched ? 0 : entry(&parameters->output_axes, i),
                                            .reverse = entry(&parameters->output_directions, i) == 1 };
        MD_TRY(md_value_list_stack(invocation, scan->states + i, &scan->lists[scan->states + i], &options));
    }
    return MD_OK;
}

static enum md_code scan_all(struct md_invocation *invocation, struct scan *scan)
{
    const struct scan_parameters *parameters = invocation->parameters;
    for (size_t i = 0; i < scan->slices; i++)
        MD_TRY(scan_source(invocation, scan->first + scan->states + i,
                           scan->batched ? 0 : entry(&parameters->input_axes, i), &scan->sources[i]));
    for (int64_t b = 0; b < scan->batch; b++)
        MD_TRY(scan_entry(invocation, scan, b));
    return scan_outputs(invocation, scan);
}

static enum md_code scan_run(struct md_invocation *invocation)
{
    struct scan scan;
    scan_counts(invocation, &scan);
    MD_TRY(scan_lengths(invocation, &scan));
    size_t values = 2 * scan.states + 2 * scan.slices + scan.scans, lists = scan.states + scan.scans;
    scan.inputs = invocation->scratch;
    scan.outputs = scan.inputs + scan.states + scan.slices;
    scan.sources = scan.outputs + scan.states + scan.scans;
    scan.lists = (struct md_value_list *)(void *)(scan.sources + scan.slices);
    memset(scan.inputs, 0, values * sizeof *scan.inputs);
    memset(scan.lists, 0, lists * sizeof *scan.lists);
    enum md_code code = scan_all(invocation, &scan);
    for (size_t i = 0; i < values; i++)
        md_value_clear(&scan.inputs[i]);
    for (size_t i = 0; i < lists; i++)
        md_value_list_clear(&scan.lists[i]);
    return code;
}

/* clang-format off */
const struct md_operator md_operators_scan[] = {
    { MD_ONNX, "Scan", 8, 8, 0, -1, 1, -1, 0, 0, 0, scan_configure, scan_prepare, scan_run },
    { MD_ONNX, "Scan", 9, MD_OPSET_NEWEST, 1, -1, 1, -1, 0, 0, 0, scan_configure, scan_prepare, scan_run },
    { 0 },
};
