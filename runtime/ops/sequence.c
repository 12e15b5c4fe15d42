/* sequence.c - sequences and optionals. A sequence is shared, never changed: inserting makes a new list of
 * the same tensors. An optional that has an element is the element itself, one without is MD_VALUE_NONE. */
#include "operator_table.h"
#include "parameters.h"
#include "value_list.h"

static enum md_code expect_sequence(struct md_invocation *invocation, size_t input,
                                    const struct md_sequence **out_sequence)
{
    if (input >= invocation->input_count || invocation->inputs[input]->kind != MD_VALUE_SEQUENCE)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input %zu must be a sequence", input);
    *out_sequence = invocation->inputs[input]->sequence;
    return MD_OK;
}

static enum md_code new_sequence(struct md_invocation *invocation, enum md_datatype datatype, size_t count,
                                 struct md_value *out_value)
{
    struct md_sequence *sequence = md_sequence_create(md_run_allocator(invocation), datatype, count);
    if (sequence == NULL)
        return md_fail_memory(invocation->error, "a sequence");
    *out_value = (struct md_value){ .kind = MD_VALUE_SEQUENCE, .sequence = sequence };
    return MD_OK;
}

/* Gives the caller's share of *value to output `index`. */
static enum md_code give_output(struct md_invocation *invocation, size_t index, struct md_value *value)
{
    enum md_code code =
        md_wants_output(invocation, index) ? md_output_value(invocation, index, value) : MD_OK;
    md_value_clear(value);
    return code;
}

/* ---- making ---- */
static enum md_code construct_prepare(struct md_invocation *invocation)
{
    for (size_t i = 0; i < invocation->input_count; i++) {
        MD_TRY(md_expect_tensor(invocation, i));
        MD_TRY(md_expect_same_datatype(invocation, 0, i));
    }
    struct md_value value;
    MD_TRY(new_sequence(invocation, md_input(invocation, 0)->datatype, invocation->input_count, &value));
    for (size_t i = 0; i < invocation->input_count; i++)
        md_value_share(invocation->inputs[i], &value.sequence->items[i]);
    return give_output(invocation, 0, &value);
}

struct empty_parameters {
    enum md_datatype datatype;
};

static enum md_code empty_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct empty_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    int64_t datatype;
    MD_TRY(md_attribute_int(configuration->attributes, "dtype", MD_FP32, &datatype, configuration->error));
    if (datatype < 1 || datatype >= MD_DATATYPE_COUNT)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "dtype %lld is no datatype",
                       (long long)datatype);
    parameters->datatype = (enum md_datatype)datatype;
    return MD_OK;
}

static enum md_code empty_prepare(struct md_invocation *invocation)
{
    const struct empty_parameters *parameters = invocation->parameters;
    struct md_value value;
    MD_TRY(new_sequence(invocation, parameters->datatype, 0, &value));
    return give_output(invocation, 0, &value);
}

/* ---- positions ---- */
/* Input `input` as a position in [-count, count), or in [-count, count] when `end` is legal; normalised. */
static enum md_code read_position(struct md_invocation *invocation, size_t input, size_t count, bool end,
                                  size_t *out_position)
{
    int64_t position = 0, limit = (int64_t)count;
    size_t entries = 0;
    MD_TRY(md_input_ints(invocation, input, 1, &position, &entries));
    if (entries != 1)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "the position has %zu elements, it must have 1", entries);
    if (position < -limit || position >= limit + (end ? 1 : 0))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "position %lld in a sequence of %zu",
                       (long long)position, count);
    *out_position = (size_t)(position < 0 ? position + limit : position);
    return MD_OK;
}

static enum md_code insert_prepare(struct md_invocation *invocation)
{
    const struct md_sequence *old;
    MD_TRY(expect_sequence(invocation, 0, &old));
    MD_TRY(md_expect_tensor(invocation, 1));
    enum md_datatype datatype = md_input(invocation, 1)->datatype;
    if (old->count > 0 && old->datatype != datatype)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "%s inserted into a sequence of %s",
                       md_datatype_name(datatype), md_datatype_name(old->datatype));
    size_t at = old->count;
    if (md_input(invocation, 2) != NULL)
        MD_TRY(read_position(invocation, 2, old->count, true, &at));
    struct md_value value;
    MD_TRY(new_sequence(invocation, datatype, old->count + 1, &value));
    for (size_t i = 0; i < old->count; i++)
        md_value_share(&old->items[i], &value.sequence->items[i < at ? i : i + 1]);
    md_value_share(invocation->inputs[1], &value.sequence->items[at]);
    return give_output(invocation, 0, &value);
}

static enum md_code erase_prepare(struct md_invocation *invocation)
{
    const struct md_sequence *old;
    MD_TRY(expect_sequence(invocation, 0, &old));
    if (old->count == 0)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "SequenceErase from an empty sequence");
    size_t at = old->count - 1;
    if (md_input(invocation, 1) != NULL)
        MD_TRY(read_position(invocation, 1, old->count, false, &at));
    struct md_value value;
    MD_TRY(new_sequence(invocation, old->datatype, old->count - 1, &value));
    for (size_t i = 0; i < old->count - 1; i++)
        md_value_share(&old->items[i < at ? i : i + 1], &value.sequence->items[i]);
    return give_output(invocation, 0, &value);
}

static enum md_code at_prepare(struct md_invocation *invocation)
{
    const struct md_sequence *sequence;
    size_t at;
    MD_TRY(expect_sequence(invocation, 0, &sequence));
    MD_TRY(md_expect_tensor(invocation, 1));
    MD_TRY(read_position(invocation, 1, sequence->count, false, &at));
    return md_wants_output(invocation, 0) ? md_output_value(invocation, 0, &sequence->items[at]) : MD_OK;
}

static enum md_code length_prepare(struct md_invocation *invocation)
{
    const struct md_sequence *sequence;
    struct md_shape scalar = { 0 };
    MD_TRY(expect_sequence(invocation, 0, &sequence));
    int64_t count = (int64_t)sequence->count;
    if (!md_wants_output(invocation, 0))
        return MD_OK;
    MD_TRY(md_output_now(invocation, 0, MD_INT64, &scalar));
    md_elements(int64_t, md_output_tensor(invocation, 0))[0] = count;
    return MD_OK;
}

/* ---- ConcatFromSequence ---- */
struct axis_parameters {
    int64_t axis;
    bool flag; /* new_axis of ConcatFromSequence, keepdims of SplitToSequence */
};

static enum md_code concat_configure(const struct md_configuration *configuration,
                                     const void **out_parameters)
{
    struct axis_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    int64_t flag;
    MD_TRY(md_attribute_int(configuration->attributes, "axis", 0, &parameters->axis, configuration->error));
    MD_TRY(md_attribute_int(configuration->attributes, "new_axis", 0, &flag, configuration->error));
    parameters->flag = flag != 0;
    return MD_OK;
}

/* Shape of the result; all tensors must agree but along the axis. */
static enum md_code concat_shape(struct md_invocation *invocation, const struct md_sequence *sequence,
                                 int32_t axis, bool new_axis, struct md_shape *shape)
{
    const struct md_tensor *first = &sequence->items[0].tensor;
    int64_t sum = 0;
    for (size_t i = 0; i < sequence->count; i++) {
        const struct md_tensor *item = &sequence->items[i].tensor;
        struct md_shape same = item->shape;
        if (!new_axis && same.rank == first->shape.rank)
            same.dims[axis] = first->shape.dims[axis];
        char a[MD_SHAPE_TEXT_SIZE], b[MD_SHAPE_TEXT_SIZE];
        if (item->datatype != first->datatype || !md_shape_equal(&same, &first->shape))
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "element %zu is %s %s, element 0 is %s %s",
                           i, md_datatype_name(item->datatype), md_shape_text(&item->shape, a, sizeof a),
                           md_datatype_name(first->datatype), md_shape_text(&first->shape, b, sizeof b));
        if (__builtin_add_overflow(sum, new_axis ? 1 : item->shape.dims[axis], &sum))
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "the sum of sizes along axis %d overflows",
                           axis);
    }
    *shape = first->shape;
    if (new_axis) {
        for (int32_t i = shape->rank++; i > axis; i--)
            shape->dims[i] = shape->dims[i - 1];
    }
    shape->dims[axis] = sum;
    return MD_OK;
}

static enum md_code concat_prepare(struct md_invocation *invocation)
{
    const struct axis_parameters *parameters = invocation->parameters;
    const struct md_sequence *sequence;
    MD_TRY(expect_sequence(invocation, 0, &sequence));
    if (sequence->count == 0 || sequence->items[0].kind != MD_VALUE_TENSOR)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "ConcatFromSequence of an empty sequence");
    int32_t axis, rank = sequence->items[0].tensor.shape.rank + (parameters->flag ? 1 : 0);
    struct md_shape shape;
    if (rank > MD_MAX_RANK)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "the result would have rank %d, the limit is %d", rank, MD_MAX_RANK);
    MD_TRY(md_expect_axis(invocation, parameters->axis, rank, &axis));
    MD_TRY(concat_shape(invocation, sequence, axis, parameters->flag, &shape));
    return md_output(invocation, 0, sequence->items[0].tensor.datatype, &shape);
}

static enum md_code concat_run(struct md_invocation *invocation)
{
    const struct axis_parameters *parameters = invocation->parameters;
    const struct md_sequence *sequence = invocation->inputs[0]->sequence;
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    int32_t axis;
    MD_TRY(md_expect_axis(invocation, parameters->axis, output->shape.rank, &axis));
    size_t outer = md_shape_product(&output->shape, 0, axis);
    size_t pitch = md_tensor_size(output) / outer;
    char *to = output->bytes;
    for (size_t i = 0; i < sequence->count; i++) {
        const struct md_tensor *item = &sequence->items[i].tensor;
        size_t run = md_tensor_size(item) / outer;
        for (size_t o = 0; run > 0 && o < outer; o++)
            memcpy(to + o * pitch, md_elements(const char, item) + o * run, run);
        to += run;
    }
    return MD_OK;
}

/* ---- SplitToSequence ---- */
static enum md_code split_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct axis_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    int64_t keep;
    MD_TRY(md_attribute_int(configuration->attributes, "axis", 0, &parameters->axis, configuration->error));
    MD_TRY(md_attribute_int(configuration->attributes, "keepdims", 1, &keep, configuration->error));
    parameters->flag = keep != 0;
    return MD_OK;
}

/* Elements [first, first + size) along the axis. drop: the axis, of size 1, is left out. */
static enum md_code split_piece(struct md_invocation *invocation, int32_t axis, int64_t first, int64_t size,
                                bool drop, struct md_value *out_value)
{
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_shape shape = input->shape;
    size_t element = md_datatype_size(input->datatype);
    size_t run = md_shape_product(&shape, axis + 1, shape.rank) * element;
    size_t outer = md_shape_product(&shape, 0, axis), pitch = run * (size_t)shape.dims[axis];
    shape.dims[axis] = size;
    MD_TRY(md_value_new(invocation, input->datatype, &shape, out_value));
    char *to = out_value->tensor.bytes;
    run *= (size_t)size;
    for (size_t o = 0; run > 0 && o < outer; o++)
        memcpy(to + o * run, md_elements(const char, input) + o * pitch + run / (size_t)size * (size_t)first,
               run);
    if (drop) {
        struct md_shape *kept = &out_value->tensor.shape;
        for (int32_t i = axis; i + 1 < kept->rank; i++)
            kept->dims[i] = kept->dims[i + 1];
        kept->rank--;
    }
    return MD_OK;
}

/* How many pieces; and the size of each when all but the last are alike (`split` is a scalar or absent). */
static enum md_code split_plan(struct md_invocation *invocation, int64_t dim, int64_t *out_chunk,
                               size_t *out_count)
{
    const struct md_tensor *split = md_input(invocation, 1);
    *out_chunk = 1;
    if (split != NULL && split->shape.rank > 0) {
        int64_t left = dim;
        *out_chunk = 0;
        *out_count = split->count;
        for (size_t i = 0; i < split->count; i++) {
            int64_t size = md_index_at(split, i);
            if (size < 0 || size > left)
                return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                               "entry %zu of split is %lld, %lld elements are left", i, (long long)size,
                               (long long)left);
            left -= size;
        }
        if (left != 0)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "split adds up to %lld, the axis has size %lld", (long long)(dim - left),
                           (long long)dim);
        return MD_OK;
    }
    if (split != NULL)
        *out_chunk = md_index_at(split, 0);
    if (*out_chunk < 1)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "split is %lld, it must be positive",
                       (long long)*out_chunk);
    *out_count = (size_t)(dim / *out_chunk + (dim % *out_chunk != 0));
    return MD_OK;
}

static enum md_code split_prepare(struct md_invocation *invocation)
{
    const struct axis_parameters *parameters = invocation->parameters;
    MD_TRY(md_expect_tensor_rank(invocation, 0, 1, MD_MAX_RANK));
    MD_TRY(md_expect_datatype(invocation, 1, MD_TYPES_INDEX));
    MD_TRY(md_expect_rank(invocation, 1, 0, 1));
    const struct md_tensor *input = md_input(invocation, 0), *split = md_input(invocation, 1);
    int32_t axis;
    int64_t chunk, first = 0;
    size_t count;
    MD_TRY(md_expect_axis(invocation, parameters->axis, input->shape.rank, &axis));
    int64_t dim = input->shape.dims[axis];
    MD_TRY(split_plan(invocation, dim, &chunk, &count));
    if (count > MD_MAX_COLLECTED)
        return md_fail(invocation->error, MD_RESOURCE_EXHAUSTED,
                       "SplitToSequence into %zu tensors: the limit is %d", count, MD_MAX_COLLECTED);
    struct md_value value;
    MD_TRY(new_sequence(invocation, input->datatype, count, &value));
    enum md_code code = MD_OK;
    for (size_t i = 0; i < count && code == MD_OK; i++) {
        int64_t size = chunk == 0 ? md_index_at(split, i) : chunk < dim - first ? chunk : dim - first;
        code = split_piece(invocation, axis, first, size, split == NULL && !parameters->flag,
                           &value.sequence->items[i]);
        first += size;
    }
    if (code == MD_OK)
        return give_output(invocation, 0, &value);
    md_value_clear(&value);
    return code;
}

/* ---- SequenceMap ---- */
/* Body: one element of every sequence, every tensor as it is -> one element of every output sequence. */
static enum md_code map_prepare(struct md_invocation *invocation)
{
    const struct md_sequence *first;
    MD_TRY(expect_sequence(invocation, 0, &first));
    for (size_t i = 1; i < invocation->input_count; i++)
        if (invocation->inputs[i]->kind == MD_VALUE_SEQUENCE &&
            invocation->inputs[i]->sequence->count != first->count)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "the sequence of input %zu has %zu elements, of input 0 %zu", i,
                           invocation->inputs[i]->sequence->count, first->count);
    return md_scratch(invocation,
                      (invocation->input_count + 2 * invocation->output_count) * sizeof(struct md_value));
}

static enum md_code map_element(struct md_invocation *invocation, size_t at, struct md_value *inputs,
                                struct md_value *results, const struct md_value *sequences)
{
    for (size_t i = 0; i < invocation->input_count; i++) { /* borrowed: the inputs outlive the body */
        const struct md_value *input = invocation->inputs[i];
        inputs[i] = input->kind == MD_VALUE_SEQUENCE ? input->sequence->items[at] : *input;
    }
    MD_TRY(
        md_run_subgraph(invocation, 0, inputs, invocation->input_count, results, invocation->output_count));
    enum md_code code = MD_OK;
    for (size_t i = 0; i < invocation->output_count; i++) {
        if (results[i].kind != MD_VALUE_TENSOR && code == MD_OK)
            code = md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "output %zu of the body of SequenceMap is not a tensor", i);
        sequences[i].sequence->datatype = results[i].tensor.datatype;
        sequences[i].sequence->items[at] = results[i];
        results[i] = (struct md_value){ 0 };
    }
    return code;
}

static enum md_code map_run(struct md_invocation *invocation)
{
    struct md_value *inputs = invocation->scratch;
    struct md_value *results = inputs + invocation->input_count,
                    *sequences = results + invocation->output_count;
    size_t count = invocation->inputs[0]->sequence->count;
    enum md_code code = MD_OK;
    memset(results, 0, 2 * invocation->output_count * sizeof *results);
    for (size_t i = 0; i < invocation->output_count && code == MD_OK; i++)
        code = new_sequence(invocation, MD_FP32, count, &sequences[i]);
    for (size_t at = 0; at < count && code == MD_OK; at++)
        code = map_element(invocation, at, inputs, results, sequences);
    for (size_t i = 0; i < invocation->output_count && code == MD_OK; i++)
        if (md_wants_output(invocation, i))
            code = md_output_value(invocation, i, &sequences[i]);
    for (size_t i = 0; i < invocation->output_count; i++)
        md_value_clear(&sequences[i]);
    return code;
}

/* ---- Optional ---- */
static enum md_code optional_prepare(struct md_invocation *invocation)
{
    static const struct md_value none = { 0 };
    if (!md_wants_output(invocation, 0))
        return MD_OK;
    return md_output_value(invocation, 0, invocation->input_count > 0 ? invocation->inputs[0] : &none);
}

static enum md_code get_element_prepare(struct md_invocation *invocation)
{
    if (invocation->inputs[0]->kind == MD_VALUE_NONE)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "OptionalGetElement of an empty optional");
    return optional_prepare(invocation);
}

static enum md_code has_element_prepare(struct md_invocation *invocation)
{
    struct md_shape scalar = { 0 };
    bool has = invocation->input_count > 0 && invocation->inputs[0]->kind != MD_VALUE_NONE;
    if (!md_wants_output(invocation, 0))
        return MD_OK;
    MD_TRY(md_output_now(invocation, 0, MD_BOOL, &scalar));
    md_elements(uint8_t, md_output_tensor(invocation, 0))[0] = has;
    return MD_OK;
}

/* clang-format off */
#define ROW(op, from, min_inputs, max_inputs, max_outputs, configure, prepare, run)                          \
    { MD_ONNX, op, from, MD_OPSET_NEWEST, min_inputs, max_inputs, 1, max_outputs, 0, 0, 0,                   \
      configure, prepare, run }

const struct md_operator md_operators_sequence[] = {
    ROW("SequenceConstruct",  11, 1, -1, 1,  NULL,             construct_prepare,   NULL),
    ROW("SequenceEmpty",      11, 0, 0,  1,  empty_configure,  empty_prepare,       NULL),
    ROW("SequenceInsert",     11, 2, 3,  1,  NULL,             insert_prepare,      NULL),
    ROW("SequenceErase",      11, 1, 2,  1,  NULL,             erase_prepare,       NULL),
    ROW("SequenceAt",         11, 2, 2,  1,  NULL,             at_prepare,          NULL),
    ROW("SequenceLength",     11, 1, 1,  1,  NULL,             length_prepare,      NULL),
    ROW("ConcatFromSequence", 11, 1, 1,  1,  concat_configure, concat_prepare,      concat_run),
    ROW("SplitToSequence",    11, 1, 2,  1,  split_configure,  split_prepare,       NULL),
    ROW("SequenceMap",        17, 1, -1, -1, NULL,             map_prepare,         map_run),
    ROW("Optional",           15, 0, 1,  1,  NULL,             optional_prepare,    NULL),
    ROW("OptionalGetElement", 15, 1, 1,  1,  NULL,             get_element_prepare, NULL),
    ROW("OptionalHasElement", 15, 0, 1,  1,  NULL,             has_element_prepare, NULL),
    { 0 },
};
