#include "value_list.h"

#include "allocator.h"
#include "strided_copy.h"

static void free_block(struct md_buffer *buffer)
{
    md_release(buffer->owner, buffer);
}

/* The block is the buffer's description and, 64 bytes aligned behind it, the elements. */
enum { BLOCK_HEADER = (sizeof(struct md_buffer) + MD_ALIGNMENT - 1) / MD_ALIGNMENT * MD_ALIGNMENT };

enum md_code md_value_new(struct md_invocation *invocation, enum md_datatype datatype,
                          const struct md_shape *shape, struct md_value *out_value)
{
    const struct md_allocator *allocator = md_run_allocator(invocation);
    struct md_value value = { .kind = MD_VALUE_TENSOR };
    MD_TRY(md_tensor_describe(datatype, shape, NULL, &value.tensor, invocation->error));
    size_t size = md_tensor_size(&value.tensor);
    struct md_buffer *buffer =
        size > PTRDIFF_MAX - BLOCK_HEADER ? NULL : md_allocate(allocator, BLOCK_HEADER + size);
    if (buffer == NULL)
        return md_fail_memory(invocation->error, "a tensor of a sequence or loop");
    void *owner;
    memcpy(&owner, &allocator, sizeof owner); /* owner is only handed back to the allocator */
    *buffer = (struct md_buffer){ .bytes = (char *)buffer + BLOCK_HEADER,
                                  .size = size,
                                  .references = 1,
                                  .free_buffer = free_block,
                                  .owner = owner };
    value.buffer = buffer;
    value.tensor.bytes = buffer->bytes;
    *out_value = value;
    return MD_OK;
}

void md_value_slice(const struct md_value *value, size_t index, struct md_value *out_value)
{
    md_value_share(value, out_value);
    struct md_tensor *tensor = &out_value->tensor;
    tensor->count = md_shape_product(&tensor->shape, 1, tensor->shape.rank);
    if (tensor->bytes != NULL)
        tensor->bytes = (char *)tensor->bytes + index * tensor->count * md_datatype_size(tensor->datatype);
    tensor->shape.rank--;
    for (int32_t i = 0; i < tensor->shape.rank; i++)
        tensor->shape.dims[i] = value->tensor.shape.dims[i + 1];
}

enum md_code md_value_list_append(struct md_invocation *invocation, struct md_value_list *list,
                                  struct md_value *value)
{
    size_t capacity = list->sequence != NULL ? list->sequence->count : 0;
    if (list->count == MD_MAX_COLLECTED) {
        md_value_clear(value);
        return md_fail(invocation->error, MD_RESOURCE_EXHAUSTED, "more than %d values for one output",
                       MD_MAX_COLLECTED);
    }
    if (list->count == capacity) {
        struct md_sequence *larger = md_sequence_create(md_run_allocator(invocation), MD_DATATYPE_NONE,
                                                        capacity == 0 ? 8 : 2 * capacity);
        if (larger == NULL) {
            md_value_clear(value);
            return md_fail_memory(invocation->error, "values collected by a loop");
        }
        for (size_t i = 0; i < list->count; i++) { /* moved: the old sequence keeps nothing */
            larger->items[i] = list->sequence->items[i];
            list->sequence->items[i] = (struct md_value){ 0 };
        }
        size_t count = list->count;
        md_value_list_clear(list);
        list->sequence = larger;
        list->count = count;
    }
    list->sequence->items[list->count++] = *value;
    *value = (struct md_value){ 0 };
    return MD_OK;
}

void md_value_list_clear(struct md_value_list *list)
{
    struct md_value owner = { .kind = MD_VALUE_SEQUENCE, .sequence = list->sequence };
    md_value_clear(&owner);
    *list = (struct md_value_list){ 0 };
}

/* The first tensor of the list, with which all others must agree. */
static enum md_code check_alike(struct md_invocation *invocation, const struct md_value_list *list,
                                const struct md_tensor **out_model)
{
    *out_model = NULL;
    for (size_t i = 0; i < list->count; i++) {
        const struct md_value *value = &list->sequence->items[i];
        if (value->kind == MD_VALUE_NONE)
            continue;
        if (value->kind != MD_VALUE_TENSOR)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "value %zu of a scan output is not a tensor", i);
        if (*out_model == NULL)
            *out_model = &value->tensor;
        char a[MD_SHAPE_TEXT_SIZE], b[MD_SHAPE_TEXT_SIZE];
        if (value->tensor.datatype != (*out_model)->datatype ||
            !md_shape_equal(&value->tensor.shape, &(*out_model)->shape))
            return md_fail(
                invocation->error, MD_INVALID_ARGUMENT,
                "value %zu of a scan output is %s %s, others are %s %s", i,
                md_datatype_name(value->tensor.datatype), md_shape_text(&value->tensor.shape, a, sizeof a),
                md_datatype_name((*out_model)->datatype), md_shape_text(&(*out_model)->shape, b, sizeof b));
    }
    return MD_OK;
}

static enum md_code stack_shape(struct md_invocation *invocation, const struct md_tensor *model,
                                const struct md_stack_options *options, int32_t *out_axis,
                                struct md_shape *out_shape)
{
    const struct md_shape scalar = { 0 };
    const struct md_shape *element = model != NULL ? &model->shape : &scalar;
    int32_t rank = element->rank + options->lead_rank;
    if (rank > MD_MAX_RANK)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "a scan output would have rank %d, the limit is %d", rank, MD_MAX_RANK);
    MD_TRY(md_expect_axis(invocation, options->axis, rank, out_axis));
    out_shape->rank = 0;
    for (int32_t i = 0; i < *out_axis; i++)
        out_shape->dims[out_shape->rank++] = element->dims[i];
    for (int32_t i = 0; i < options->lead_rank; i++)
        out_shape->dims[out_shape->rank++] = options->lead[i];
    for (int32_t i = *out_axis; i < element->rank; i++)
        out_shape->dims[out_shape->rank++] = element->dims[i];
    return MD_OK;
}

enum md_code md_value_list_stack(struct md_invocation *invocation, size_t index,
                                 const struct md_value_list *list, const struct md_stack_options *options)
{
    if (!md_wants_output(invocation, index))
        return MD_OK;
    const struct md_tensor *model;
    struct md_shape shape;
    int32_t axis;
    MD_TRY(check_alike(invocation, list, &model));
    MD_TRY(stack_shape(invocation, model, options, &axis, &shape));
    MD_TRY(md_output_now(invocation, index, model != NULL ? model->datatype : MD_FP32, &shape));
    struct md_tensor *output = md_output_tensor(invocation, index);
    if (output->count == 0)
        return MD_OK;
    if (model == NULL) {
        memset(output->bytes, 0, md_tensor_size(output));
        return MD_OK;
    }
    size_t run = md_shape_product(&model->shape, axis, model->shape.rank) * md_datatype_size(model->datatype);
    size_t outer = md_shape_product(&model->shape, 0, axis);
    for (size_t i = 0; i < list->count; i++) {
        const struct md_value *value = &list->sequence->items[i];
        size_t place = options->reverse ? list->count - 1 - i : i;
        for (size_t o = 0; o < outer; o++) {
            char *to = md_elements(char, output) + (o * list->count + place) * run;
            if (value->kind == MD_VALUE_NONE)
                memset(to, 0, run);
            else
                memcpy(to, md_elements(const char, &value->tensor) + o * run, run);
        }
    }
    return MD_OK;
}
