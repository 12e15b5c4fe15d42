/* tensor.c - tensors and values; see tensor.h. */
#include "tensor.h"

#include "allocator.h"
#include "checked.h"

#include <string.h>

size_t md_tensor_size(const struct md_tensor *tensor)
{
    return tensor->count * md_datatype_size(tensor->datatype);
}

enum md_code md_tensor_describe(enum md_datatype datatype, const struct md_shape *shape, void *bytes,
                                struct md_tensor *out_tensor, struct md_error *error)
{
    size_t count;
    if (!md_shape_count(shape, datatype, &count)) {
        char text[MD_SHAPE_TEXT_SIZE];
        return md_fail(error, MD_INVALID_ARGUMENT, "shape %s of datatype %s is negative or too large",
                       md_shape_text(shape, text, sizeof text), md_datatype_name(datatype));
    }
    *out_tensor = (struct md_tensor){ .datatype = datatype, .shape = *shape, .count = count, .bytes = bytes };
    return MD_OK;
}

int64_t md_tensor_int(const struct md_tensor *tensor, size_t index)
{
    switch (tensor->datatype) {
#define READ(datatype, type)                                                                                 \
    case datatype:                                                                                           \
        return (int64_t)md_elements(const type, tensor)[index];
        MD_FOR_EACH_INTEGER(READ)
        READ(MD_BOOL, uint8_t)
        READ(MD_UINT4, uint8_t)
        READ(MD_INT4, int8_t)
#undef READ
    default:
        return 0;
    }
}

double md_tensor_double(const struct md_tensor *tensor, size_t index)
{
    switch (tensor->datatype) {
    case MD_FP32:
        return (double)md_elements(const float, tensor)[index];
    case MD_FP64:
        return md_elements(const double, tensor)[index];
    case MD_FP16:
        return (double)md_fp16_to_float(md_elements(const uint16_t, tensor)[index]);
    case MD_BF16:
        return (double)md_bf16_to_float(md_elements(const uint16_t, tensor)[index]);
    case MD_UINT64:
        return (double)md_elements(const uint64_t, tensor)[index];
    case MD_FP8E4M3FN:
    case MD_FP8E4M3FNUZ:
    case MD_FP8E5M2:
    case MD_FP8E5M2FNUZ:
    case MD_FP4E2M1:
        return (double)md_small_float_to_float(tensor->datatype, md_elements(const uint8_t, tensor)[index]);
    default:
        return (double)md_tensor_int(tensor, index);
    }
}

void md_tensor_set_double(struct md_tensor *tensor, size_t index, double value)
{
    switch (tensor->datatype) {
    case MD_FP32:
        md_elements(float, tensor)[index] = (float)value;
        break;
    case MD_FP64:
        md_elements(double, tensor)[index] = value;
        break;
    case MD_FP16:
        md_elements(uint16_t, tensor)[index] = md_float_to_fp16((float)value);
        break;
    case MD_BF16:
        md_elements(uint16_t, tensor)[index] = md_float_to_bf16((float)value);
        break;
    case MD_FP8E4M3FN:
    case MD_FP8E4M3FNUZ:
    case MD_FP8E5M2:
    case MD_FP8E5M2FNUZ:
    case MD_FP4E2M1:
        md_elements(uint8_t, tensor)[index] = md_float_to_small_float(tensor->datatype, (float)value, true);
        break;
    case MD_BOOL:
        md_elements(uint8_t, tensor)[index] = (uint8_t)(value < 0 || value > 0);
        break;
#define WRITE(datatype, type)                                                                                \
    case datatype:                                                                                           \
        md_elements(type, tensor)[index] = (type)value;                                                      \
        break;
        MD_FOR_EACH_INTEGER(WRITE)
        WRITE(MD_UINT4, uint8_t)
        WRITE(MD_INT4, int8_t)
#undef WRITE
    default:
        break;
    }
}

struct md_sequence *md_sequence_create(const struct md_allocator *allocator, enum md_datatype datatype, size_t count)
{
    size_t size;
    if (!md_checked_multiply(count, sizeof(struct md_value), &size) ||
        !md_checked_add(size, sizeof(struct md_sequence), &size))
        return NULL;
    struct md_sequence *sequence = md_allocate(allocator, size);
    if (sequence == NULL)
        return NULL;
    memset(sequence, 0, size);
    sequence->references = 1;
    sequence->datatype = datatype;
    sequence->count = count;
    sequence->allocator = allocator;
    return sequence;
}

void md_value_share(const struct md_value *value, struct md_value *out_value)
{
    *out_value = *value;
    if (value->buffer != NULL)
        value->buffer->references++;
    if (value->sequence != NULL)
        value->sequence->references++;
}

static void sequence_unref(struct md_sequence *sequence)
{
    if (--sequence->references > 0)
        return;
    for (size_t i = 0; i < sequence->count; i++)
        md_value_clear(&sequence->items[i]);
    md_release(sequence->allocator, sequence);
}

void md_value_clear(struct md_value *value)
{
    if (value->buffer != NULL && --value->buffer->references == 0 && value->buffer->free_buffer != NULL)
        value->buffer->free_buffer(value->buffer);
    if (value->sequence != NULL)
        sequence_unref(value->sequence); /* sequences of sequences are refused at import: depth is bounded */
    memset(value, 0, sizeof *value);
}
