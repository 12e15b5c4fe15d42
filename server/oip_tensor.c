/* oip_tensor.c - see oip_tensor.h. */
#include "oip_tensor.h"

#include "wire_tensor.h"

#include <inttypes.h>
#include <string.h>

typedef Inference__InferTensorContents contents_message;
typedef Inference__ModelInferRequest__InferInputTensor input_message;

/* The fields of InferTensorContents, and which datatypes each carries. */
enum field {
    FIELD_BOOL,
    FIELD_INT,
    FIELD_INT64,
    FIELD_UINT,
    FIELD_UINT64,
    FIELD_FP32,
    FIELD_FP64,
    FIELD_BYTES,
    FIELD_COUNT
};

static const struct {
    const char *name;
    unsigned types;
    size_t count_offset;
} fields[FIELD_COUNT] = {
#define COUNT_OF(field) offsetof(contents_message, n_##field)
    [FIELD_BOOL] = { "bool_contents", MD_TYPE(MD_BOOL), COUNT_OF(bool_contents) },
    [FIELD_INT] = { "int_contents", MD_TYPE(MD_INT8) | MD_TYPE(MD_INT16) | MD_TYPE(MD_INT32),
                    COUNT_OF(int_contents) },
    [FIELD_INT64] = { "int64_contents", MD_TYPE(MD_INT64), COUNT_OF(int64_contents) },
    [FIELD_UINT] = { "uint_contents", MD_TYPE(MD_UINT8) | MD_TYPE(MD_UINT16) | MD_TYPE(MD_UINT32),
                     COUNT_OF(uint_contents) },
    [FIELD_UINT64] = { "uint64_contents", MD_TYPE(MD_UINT64), COUNT_OF(uint64_contents) },
    [FIELD_FP32] = { "fp32_contents", MD_TYPE(MD_FP32), COUNT_OF(fp32_contents) },
    [FIELD_FP64] = { "fp64_contents", MD_TYPE(MD_FP64), COUNT_OF(fp64_contents) },
    [FIELD_BYTES] = { "bytes_contents", MD_TYPE(MD_BYTES), COUNT_OF(bytes_contents) },
#undef COUNT_OF
};

static size_t field_size(const contents_message *contents, enum field field)
{
    size_t count;
    memcpy(&count, (const char *)contents + fields[field].count_offset, sizeof count);
    return count;
}

/* FIELD_COUNT: the datatype has raw contents only. */
static enum field field_of(enum md_datatype datatype)
{
    enum field field = FIELD_BOOL;
    while (field < FIELD_COUNT && !md_datatype_in(datatype, fields[field].types))
        field++;
    return field;
}

/* ---- shared memory ---- */

static enum md_code read_size(const char *key, const Inference__InferParameter *value, uint64_t *out_size,
                              struct md_error *error)
{
    if (value->parameter_choice_case == INFERENCE__INFER_PARAMETER__PARAMETER_CHOICE_UINT64_PARAM) {
        *out_size = value->uint64_param;
        return MD_OK;
    }
    if (value->parameter_choice_case != INFERENCE__INFER_PARAMETER__PARAMETER_CHOICE_INT64_PARAM)
        return md_fail(error, MD_INVALID_ARGUMENT, "parameter \"%s\" is no integer", key);
    if (value->int64_param < 0)
        return md_fail(error, MD_INVALID_ARGUMENT, "parameter \"%s\" is %" PRId64 ", the least is 0", key,
                       value->int64_param);
    *out_size = (uint64_t)value->int64_param;
    return MD_OK;
}

enum md_code md_oip_region_parameter(const char *key, const Inference__InferParameter *value,
                                     struct md_oip_region *region, struct md_error *error)
{
    MD_TRY(md_oip_check_parameter(key, value, error));
    if (strcmp(key, "shared_memory_offset") == 0)
        return read_size(key, value, &region->offset, error);
    if (strcmp(key, "shared_memory_byte_size") == 0)
        return read_size(key, value, &region->size, error);
    if (strcmp(key, "shared_memory_region") != 0)
        return MD_OK;
    if (value->parameter_choice_case != INFERENCE__INFER_PARAMETER__PARAMETER_CHOICE_STRING_PARAM)
        return md_fail(error, MD_INVALID_ARGUMENT, "parameter \"shared_memory_region\" is no string");
    region->name = value->string_param;
    return MD_OK;
}

enum md_code md_oip_input_region(const input_message *input, struct md_oip_region *out_region,
                                 struct md_error *error)
{
    *out_region = (struct md_oip_region){ 0 };
    for (size_t i = 0; i < input->n_parameters; i++)
        MD_TRY(md_oip_region_parameter(input->parameters[i]->key, input->parameters[i]->value, out_region, error));
    return MD_OK;
}

/* ---- where the contents are ---- */

static enum md_code check_input(const input_message *input, const struct md_oip_region *region, size_t raw_count,
                                struct md_error *error)
{
    if (region->name != NULL && input->contents != NULL)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "input \"%.128s\" has contents, but is in shared memory region \"%.128s\"", input->name,
                       region->name);
    if (raw_count > 0 && input->contents != NULL)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "input \"%.128s\" has contents, but the request uses raw_input_contents (%zu "
                       "entries): all inputs are raw or none is",
                       input->name, raw_count);
    if (raw_count == 0 && input->contents == NULL && region->name == NULL)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "input \"%.128s\" has neither contents nor raw_input_contents", input->name);
    return MD_OK;
}

enum md_code md_oip_check_contents(const Inference__ModelInferRequest *request, struct md_error *error)
{
    size_t raw_count = request->n_raw_input_contents, in_message = 0;
    for (size_t i = 0; i < request->n_inputs; i++) {
        struct md_oip_region region;
        enum md_code code = md_oip_input_region(request->inputs[i], &region, error);
        if (code != MD_OK)
            return md_fail_prefix(error, code, "input \"%.128s\"", request->inputs[i]->name);
        MD_TRY(check_input(request->inputs[i], &region, raw_count, error));
        in_message += region.name == NULL ? 1 : 0;
    }
    if (raw_count > 0 && raw_count != in_message)
        return md_fail(error, MD_INVALID_ARGUMENT, "raw_input_contents has %zu entries for %zu inputs", raw_count,
                       in_message);
    return MD_OK;
}

/* ---- typed contents to a tensor ---- */

static enum md_code check_field(const contents_message *contents, const struct md_tensor *tensor,
                                enum field field, struct md_error *error)
{
    char text[MD_SHAPE_TEXT_SIZE];
    const char *datatype = md_datatype_name(tensor->datatype);
    if (field == FIELD_COUNT)
        return md_fail(error, MD_INVALID_ARGUMENT, "%s has no typed contents; send raw_input_contents",
                       datatype);
    for (enum field other = FIELD_BOOL; other < FIELD_COUNT; other++)
        if (other != field && field_size(contents, other) > 0)
            return md_fail(error, MD_INVALID_ARGUMENT, "%zu elements in %s, but %s is sent in %s%s",
                           field_size(contents, other), fields[other].name, datatype, fields[field].name,
                           field_size(contents, field) > 0 ? " (both have elements)" : "");
    if (field_size(contents, field) != tensor->count)
        return md_fail(error, MD_INVALID_ARGUMENT, "%zu elements in %s, but shape %s takes %zu",
                       field_size(contents, field), fields[field].name,
                       md_shape_text(&tensor->shape, text, sizeof text), tensor->count);
    return MD_OK;
}

#define NARROW(NAME, WIDE, FORMAT, TYPE, MIN, MAX)                                                           \
    static enum md_code NAME(const WIDE *from, size_t count, TYPE *to, struct md_error *error)               \
    {                                                                                                        \
        for (size_t i = 0; i < count; i++) {                                                                 \
            if (from[i] < (MIN) || from[i] > (MAX))                                                          \
                return md_fail(error, MD_INVALID_ARGUMENT,                                                   \
                               "element %zu is %" FORMAT ", limits are %d to %d", i, from[i], (int)(MIN),    \
                               (int)(MAX));                                                                  \
            to[i] = (TYPE)from[i];                                                                           \
        }                                                                                                    \
        return MD_OK;                                                                                        \
    }
NARROW(narrow_int8, int32_t, PRId32, int8_t, INT8_MIN, INT8_MAX)
NARROW(narrow_int16, int32_t, PRId32, int16_t, INT16_MIN, INT16_MAX)

/* Unsigned values have no lower limit to check. */
static enum md_code narrow_unsigned(const uint32_t *from, size_t count, struct md_tensor *tensor,
                                    struct md_error *error)
{
    uint32_t limit = tensor->datatype == MD_UINT8 ? UINT8_MAX : UINT16_MAX;
    for (size_t i = 0; i < count; i++) {
        if (from[i] > limit)
            return md_fail(error, MD_INVALID_ARGUMENT, "element %zu is %" PRIu32 ", limits are 0 to %" PRIu32,
                           i, from[i], limit);
        if (tensor->datatype == MD_UINT8)
            md_elements(uint8_t, tensor)[i] = (uint8_t)from[i];
        else
            md_elements(uint16_t, tensor)[i] = (uint16_t)from[i];
    }
    return MD_OK;
}

/* The elements are not those of the message: copies them, checked, into memory of the tensor's own. */
static enum md_code convert(struct md_arena *arena, const contents_message *contents,
                            struct md_tensor *tensor, struct md_error *error)
{
    tensor->bytes = md_arena_allocate(arena, md_tensor_size(tensor));
    if (tensor->bytes == NULL)
        return md_fail_memory(error, "tensor");
    switch (tensor->datatype) {
    case MD_INT8:
        return narrow_int8(contents->int_contents, tensor->count, tensor->bytes, error);
    case MD_INT16:
        return narrow_int16(contents->int_contents, tensor->count, tensor->bytes, error);
    case MD_UINT8:
    case MD_UINT16:
        return narrow_unsigned(contents->uint_contents, tensor->count, tensor, error);
    case MD_BOOL:
        for (size_t i = 0; i < tensor->count; i++)
            md_elements(uint8_t, tensor)[i] = contents->bool_contents[i] != 0;
        return MD_OK;
    case MD_BYTES:
        for (size_t i = 0; i < tensor->count; i++)
            md_elements(struct md_span, tensor)[i] =
                (struct md_span){ (const char *)contents->bytes_contents[i].data,
                                  contents->bytes_contents[i].len };
        return MD_OK;
    default:
        return md_fail(error, MD_INTERNAL, "no conversion for %s", md_datatype_name(tensor->datatype));
    }
}

static enum md_code typed_tensor(struct md_arena *arena, const contents_message *contents,
                                 struct md_tensor *tensor, struct md_error *error)
{
    enum field field = field_of(tensor->datatype);
    MD_TRY(check_field(contents, tensor, field, error));
    switch (tensor->datatype) {
    case MD_INT32:
        tensor->bytes = contents->int_contents;
        return MD_OK;
    case MD_INT64:
        tensor->bytes = contents->int64_contents;
        return MD_OK;
    case MD_UINT32:
        tensor->bytes = contents->uint_contents;
        return MD_OK;
    case MD_UINT64:
        tensor->bytes = contents->uint64_contents;
        return MD_OK;
    case MD_FP32:
        tensor->bytes = contents->fp32_contents;
        return MD_OK;
    case MD_FP64:
        tensor->bytes = contents->fp64_contents;
        return MD_OK;
    default:
        return convert(arena, contents, tensor, error);
    }
}

enum md_code md_oip_input_tensor(struct md_arena *arena, const input_message *input,
                                 const ProtobufCBinaryData *raw, struct md_tensor *out_tensor,
                                 struct md_error *error)
{
    enum md_datatype datatype;
    struct md_shape shape;
    struct md_tensor tensor;
    MD_TRY(md_wire_datatype(input->datatype, &datatype, error));
    MD_TRY(md_wire_shape(datatype, input->shape, input->n_shape, &shape, error));
    for (size_t i = 0; i < input->n_parameters; i++)
        MD_TRY(md_oip_check_parameter(input->parameters[i]->key, input->parameters[i]->value, error));
    if (raw != NULL)
        return md_wire_tensor_from_raw(arena, datatype, &shape, raw->data, raw->len, out_tensor, error);
    if (input->contents == NULL)
        return md_fail(error, MD_INVALID_ARGUMENT, "neither contents nor raw_input_contents");
    MD_TRY(md_tensor_describe(datatype, &shape, NULL, &tensor, error));
    MD_TRY(typed_tensor(arena, input->contents, &tensor, error));
    *out_tensor = tensor;
    return MD_OK;
}

/* ---- a tensor to typed contents ---- */

/* Elements that are not stored as the message has them, widened into the arena. */
static enum md_code widen(struct md_arena *arena, const struct md_tensor *tensor, contents_message *contents,
                          struct md_error *error)
{
    size_t count = tensor->count;
    bool is_signed = md_datatype_in(tensor->datatype, MD_TYPES_SIGNED);
    if (tensor->datatype == MD_BYTES) {
        contents->bytes_contents = md_arena_allocate_zeroed(arena, count, sizeof *contents->bytes_contents);
        contents->n_bytes_contents = count;
    } else if (tensor->datatype == MD_BOOL) {
        contents->bool_contents = md_arena_allocate_zeroed(arena, count, sizeof *contents->bool_contents);
        contents->n_bool_contents = count;
    } else if (is_signed) {
        contents->int_contents = md_arena_allocate_zeroed(arena, count, sizeof *contents->int_contents);
        contents->n_int_contents = count;
    } else {
        contents->uint_contents = md_arena_allocate_zeroed(arena, count, sizeof *contents->uint_contents);
        contents->n_uint_contents = count;
    }
    if (contents->bytes_contents == NULL && contents->bool_contents == NULL &&
        contents->int_contents == NULL && contents->uint_contents == NULL)
        return md_fail_memory(error, "answer");
    for (size_t i = 0; i < count; i++) {
        const struct md_span *span =
            tensor->datatype == MD_BYTES ? &md_elements(const struct md_span, tensor)[i] : NULL;
        if (span != NULL)
            contents->bytes_contents[i] =
                (ProtobufCBinaryData){ span->size, (uint8_t *)(uintptr_t)span->bytes };
        else if (tensor->datatype == MD_BOOL)
            contents->bool_contents[i] = md_tensor_int(tensor, i) != 0;
        else if (is_signed)
            contents->int_contents[i] = (int32_t)md_tensor_int(tensor, i);
        else
            contents->uint_contents[i] = (uint32_t)md_tensor_int(tensor, i);
    }
    return MD_OK;
}

/* A copy in the arena: the run's outputs do not outlive the request's hold on the run. */
static enum md_code copy_elements(struct md_arena *arena, const struct md_tensor *tensor, void *out_array,
                                  size_t *out_count, struct md_error *error)
{
    size_t size = md_tensor_size(tensor);
    void *copy = md_arena_allocate(arena, size);
    if (copy == NULL)
        return md_fail_memory(error, "answer");
    if (size > 0)
        memcpy(copy, tensor->bytes, size);
    memcpy(out_array, &copy, sizeof copy);
    *out_count = tensor->count;
    return MD_OK;
}

static enum md_code fill(struct md_arena *arena, const struct md_tensor *tensor, contents_message *contents,
                         struct md_error *error)
{
    switch (tensor->datatype) {
    case MD_INT32:
        return copy_elements(arena, tensor, &contents->int_contents, &contents->n_int_contents, error);
    case MD_INT64:
        return copy_elements(arena, tensor, &contents->int64_contents, &contents->n_int64_contents, error);
    case MD_UINT32:
        return copy_elements(arena, tensor, &contents->uint_contents, &contents->n_uint_contents, error);
    case MD_UINT64:
        return copy_elements(arena, tensor, &contents->uint64_contents, &contents->n_uint64_contents, error);
    case MD_FP32:
        return copy_elements(arena, tensor, &contents->fp32_contents, &contents->n_fp32_contents, error);
    case MD_FP64:
        return copy_elements(arena, tensor, &contents->fp64_contents, &contents->n_fp64_contents, error);
    default:
        return widen(arena, tensor, contents, error);
    }
}

/* BYTES elements are spans into the run: their bytes are copied, too. */
static enum md_code copy_texts(struct md_arena *arena, contents_message *contents, struct md_error *error)
{
    for (size_t i = 0; i < contents->n_bytes_contents; i++) {
        ProtobufCBinaryData *item = &contents->bytes_contents[i];
        item->data = (uint8_t *)md_arena_copy_string(arena, (const char *)item->data, item->len);
        if (item->data == NULL)
            return md_fail_memory(error, "answer");
    }
    return MD_OK;
}

enum md_code md_oip_output_contents(struct md_arena *arena, const struct md_tensor *tensor,
                                    contents_message **out_contents, struct md_error *error)
{
    if (!md_datatype_in(tensor->datatype, MD_WIRE_TYPES))
        return md_fail(error, MD_UNIMPLEMENTED, "datatype %s has no name on the wire",
                       md_datatype_name(tensor->datatype));
    if (field_of(tensor->datatype) == FIELD_COUNT)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "%s has no typed contents; leave out binary_data_output=false",
                       md_datatype_name(tensor->datatype));
    contents_message *contents = md_arena_allocate(arena, sizeof *contents);
    if (contents == NULL)
        return md_fail_memory(error, "answer");
    inference__infer_tensor_contents__init(contents);
    MD_TRY(fill(arena, tensor, contents, error));
    MD_TRY(copy_texts(arena, contents, error));
    *out_contents = contents;
    return MD_OK;
}

enum md_code md_oip_check_parameter(const char *key, const Inference__InferParameter *value,
                                    struct md_error *error)
{
    if (value == NULL ||
        value->parameter_choice_case == INFERENCE__INFER_PARAMETER__PARAMETER_CHOICE__NOT_SET)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "parameter \"%.128s\" has no value; set one of bool, int64, string, double, uint64",
                       key);
    return MD_OK;
}
