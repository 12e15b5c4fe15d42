/* constant.c - tensors made from a shape or from numbers: ConstantOfShape, Range, EyeLike, and Constant for
 * the case that import has left one in the graph. */
#include "operator_table.h"
#include "parameters.h"
#include "strided_copy.h"

#include <math.h>

/* ---- Constant ---- */
static enum md_code constant_lists(const struct md_configuration *configuration, struct md_tensor *tensor)
{
    static const char *const names[] = { "value_int",    "value_float",   "value_string", "value_ints",
                                         "value_floats", "value_strings", "sparse_value" };
    const struct md_attribute *attribute = NULL;
    for (size_t i = 0; attribute == NULL && i < sizeof names / sizeof names[0]; i++)
        attribute = md_attribute_find(configuration->attributes, names[i]);
    if (attribute == NULL)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "Constant has no value");
    int64_t count = (int64_t)attribute->count;
    struct md_shape scalar = { 0 }, list = md_shape_of(1, &count);
    const void *bytes;
    enum md_datatype datatype;
    const struct md_shape *shape = &list;
    switch (attribute->kind) {
    case MD_ATTRIBUTE_INT:
    case MD_ATTRIBUTE_INTS:
        datatype = MD_INT64;
        bytes = attribute->kind == MD_ATTRIBUTE_INT ? &attribute->value.i : attribute->value.ints;
        break;
    case MD_ATTRIBUTE_FLOAT:
    case MD_ATTRIBUTE_FLOATS:
        datatype = MD_FP32;
        bytes = attribute->kind == MD_ATTRIBUTE_FLOAT ? &attribute->value.f : attribute->value.floats;
        break;
    case MD_ATTRIBUTE_STRING:
    case MD_ATTRIBUTE_STRINGS:
        datatype = MD_BYTES;
        bytes = attribute->kind == MD_ATTRIBUTE_STRING ? &attribute->value.string : attribute->value.strings;
        break;
    case MD_ATTRIBUTE_TENSOR:
    case MD_ATTRIBUTE_SPARSE_TENSOR: /* made dense at import */
        *tensor = attribute->value.tensor;
        return MD_OK;
    default:
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "attribute \"%s\" of Constant has kind %d",
                       attribute->name, (int)attribute->kind);
    }
    if (attribute->kind <= MD_ATTRIBUTE_STRING)
        shape = &scalar;
    tensor->datatype = datatype;
    tensor->shape = *shape;
    tensor->count = shape == &scalar ? 1 : attribute->count;
    size_t size = tensor->count * md_datatype_size(datatype);
    tensor->bytes = md_arena_allocate(configuration->arena, size);
    if (tensor->bytes == NULL)
        return md_fail_memory(configuration->error, "Constant");
    md_copy_bytes(tensor->bytes, bytes, size);
    return MD_OK;
}

static enum md_code constant_configure(const struct md_configuration *configuration,
                                       const void **out_parameters)
{
    struct md_tensor *tensor = md_parameters_new(configuration, sizeof *tensor);
    if (tensor == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = tensor;
    const struct md_attribute *value = md_attribute_find(configuration->attributes, "value");
    if (value == NULL)
        return constant_lists(configuration, tensor);
    const struct md_tensor *given;
    MD_TRY(md_attribute_tensor(configuration->attributes, "value", &given, configuration->error));
    *tensor = *given;
    return MD_OK;
}

static enum md_code constant_prepare(struct md_invocation *invocation)
{
    if (!md_wants_output(invocation, 0))
        return MD_OK;
    struct md_value value = { .kind = MD_VALUE_TENSOR,
                              .tensor = *(const struct md_tensor *)invocation->parameters };
    return md_output_value(invocation, 0, &value);
}

/* ---- ConstantOfShape ---- */
static enum md_code filled_configure(const struct md_configuration *configuration,
                                     const void **out_parameters)
{
    static const float zero = 0;
    struct md_tensor *element = md_parameters_new(configuration, sizeof *element);
    if (element == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = element;
    const struct md_tensor *value;
    MD_TRY(md_attribute_tensor(configuration->attributes, "value", &value, configuration->error));
    if (value != NULL && value->count != 1)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT,
                       "value of ConstantOfShape has %zu elements, it must have 1", value->count);
    if (value != NULL) {
        *element = *value;
        return MD_OK;
    }
    *element = (struct md_tensor){ .datatype = MD_FP32, .count = 1 };
    element->bytes = md_arena_allocate(configuration->arena, sizeof zero);
    if (element->bytes == NULL)
        return md_fail_memory(configuration->error, "ConstantOfShape");
    memcpy(element->bytes, &zero, sizeof zero);
    return MD_OK;
}

static enum md_code filled_prepare(struct md_invocation *invocation)
{
    const struct md_tensor *element = invocation->parameters;
    MD_TRY(md_expect_tensor(invocation, 0));
    struct md_shape shape = { 0 };
    size_t rank = 0;
    MD_TRY(md_input_ints(invocation, 0, MD_MAX_RANK, shape.dims, &rank));
    shape.rank = (int32_t)rank;
    return md_output(invocation, 0, element->datatype, &shape);
}

static enum md_code filled_run(struct md_invocation *invocation)
{
    const struct md_tensor *element = invocation->parameters;
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output != NULL)
        md_fill_elements(output->bytes, element->bytes, output->count, md_datatype_size(element->datatype));
    return MD_OK;
}

/* ---- Range ---- */
enum { RANGE_LIMIT = INT32_MAX };

/* ceil((limit - start) / delta) without overflow, for integers. False: delta is 0 or the count absurd. */
static bool count_integers(int64_t start, int64_t limit, int64_t delta, int64_t *out_count)
{
    if (delta == 0)
        return false;
    *out_count = 0;
    if (delta > 0 ? start >= limit : start <= limit)
        return true;
    uint64_t span = delta > 0 ? (uint64_t)limit - (uint64_t)start : (uint64_t)start - (uint64_t)limit;
    uint64_t step = delta > 0 ? (uint64_t)delta : 0 - (uint64_t)delta;
    uint64_t count = 1 + (span - 1) / step;
    *out_count = (int64_t)count;
    return count <= RANGE_LIMIT;
}

static bool count_reals(double start, double limit, double delta, int64_t *out_count)
{
    double count = ceil((limit - start) / delta);
    if (delta == 0 || !(count <= (double)RANGE_LIMIT)) /* also when it is no number */
        return false;
    *out_count = count > 0 ? (int64_t)count : 0;
    return true;
}

static enum md_code range_prepare(struct md_invocation *invocation)
{
    for (size_t i = 0; i < 3; i++) {
        MD_TRY(md_expect_tensor(invocation, i));
        MD_TRY(md_expect_same_datatype(invocation, 0, i));
        if (md_input(invocation, i)->count != 1)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "input %zu of Range has %zu elements, it must have 1", i,
                           md_input(invocation, i)->count);
    }
    const struct md_tensor *start = md_input(invocation, 0), *limit = md_input(invocation, 1);
    const struct md_tensor *delta = md_input(invocation, 2);
    int64_t count = 0;
    bool legal = md_datatype_in(start->datatype, MD_TYPES_INTEGER)
                     ? count_integers(md_tensor_int(start, 0), md_tensor_int(limit, 0),
                                      md_tensor_int(delta, 0), &count)
                     : count_reals(md_tensor_double(start, 0), md_tensor_double(limit, 0),
                                   md_tensor_double(delta, 0), &count);
    if (!legal)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "Range from %g to %g by %g: limit is %d elements", md_tensor_double(start, 0),
                       md_tensor_double(limit, 0), md_tensor_double(delta, 0), RANGE_LIMIT);
    struct md_shape shape = md_shape_of(1, &count);
    return md_output(invocation, 0, start->datatype, &shape);
}

/* FP32 elements are computed in double and rounded once: start + i * delta stays exact for large i. */
#define RANGE_LOOP(datatype_, type, wide)                                                                    \
    case datatype_: {                                                                                        \
        const wide first = (wide)md_elements(const type, start)[0];                                          \
        const wide step = (wide)md_elements(const type, delta)[0];                                           \
        for (size_t i = 0; i < output->count; i++)                                                           \
            md_elements(type, output)[i] = (type)(first + (wide)i * step);                                   \
        break;                                                                                               \
    }
#define RANGE_REAL(datatype_, type)    RANGE_LOOP(datatype_, type, double)
#define RANGE_INTEGER(datatype_, type) RANGE_LOOP(datatype_, type, uint64_t)

static enum md_code range_run(struct md_invocation *invocation)
{
    const struct md_tensor *start = md_input(invocation, 0), *delta = md_input(invocation, 2);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL)
        return MD_OK;
    switch ((int)output->datatype) {
        MD_FOR_EACH_REAL(RANGE_REAL)
        MD_FOR_EACH_INTEGER(RANGE_INTEGER)
    default:
        break;
    }
    return MD_OK;
}

/* ---- EyeLike ---- */
struct eye_parameters {
    int64_t k;
    int64_t datatype; /* 0: that of the input */
};

static enum md_code eye_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct eye_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    MD_TRY(md_attribute_int(configuration->attributes, "k", 0, &parameters->k, configuration->error));
    MD_TRY(
        md_attribute_int(configuration->attributes, "dtype", 0, &parameters->datatype, configuration->error));
    if (parameters->datatype != 0 &&
        (parameters->datatype < 0 || parameters->datatype >= MD_DATATYPE_COUNT ||
         !md_datatype_in((enum md_datatype)parameters->datatype, MD_TYPES_NUMBER | MD_TYPE(MD_BOOL))))
        return md_fail(configuration->error, MD_INVALID_ARGUMENT,
                       "dtype %lld of EyeLike is not a number type", (long long)parameters->datatype);
    return MD_OK;
}

static enum md_code eye_prepare(struct md_invocation *invocation)
{
    const struct eye_parameters *parameters = invocation->parameters;
    MD_TRY(md_expect_tensor_rank(invocation, 0, 2, 2));
    const struct md_tensor *input = md_input(invocation, 0);
    enum md_datatype datatype =
        parameters->datatype != 0 ? (enum md_datatype)parameters->datatype : input->datatype;
    return md_output(invocation, 0, datatype, &input->shape);
}

static enum md_code eye_run(struct md_invocation *invocation)
{
    const struct eye_parameters *parameters = invocation->parameters;
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    memset(output->bytes, 0, md_tensor_size(output));
    int64_t rows = output->shape.dims[0], columns = output->shape.dims[1], k = parameters->k;
    if (k >= columns || k <= -rows)
        return MD_OK;
    for (int64_t row = k < 0 ? -k : 0; row < rows && row + k < columns; row++)
        md_tensor_set_double(output, (size_t)(row * columns + row + k), 1);
    return MD_OK;
}

/* clang-format off */
enum { RANGE_NATIVE = MD_TYPES_INTEGER | MD_TYPE(MD_FP32) | MD_TYPE(MD_FP64) };

const struct md_operator md_operators_constant[] = {
    { MD_ONNX, "Constant", 1, MD_OPSET_NEWEST, 0, 0, 1, 1, 0, 0, 0, constant_configure, constant_prepare,
      NULL },
    { MD_ONNX, "ConstantOfShape", 9, MD_OPSET_NEWEST, 1, 1, 1, 1, MD_TYPE(MD_INT64), 0, 0,
      filled_configure, filled_prepare, filled_run },
    { MD_ONNX, "Range", 11, MD_OPSET_NEWEST, 3, 3, 1, 1, MD_TYPES_NUMBER, RANGE_NATIVE, 0,
      NULL, range_prepare, range_run },
    { MD_ONNX, "EyeLike", 9, MD_OPSET_NEWEST, 1, 1, 1, 1, MD_TYPES_NUMBER | MD_TYPE(MD_BOOL), 0, 0,
      eye_configure, eye_prepare, eye_run },
    { 0 },
};
