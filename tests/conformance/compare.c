/* compare.c - see compare.h. */
#include "compare.h"

#include <math.h>

static const double relative_tolerance = 1e-3;
static double absolute_tolerance = 1e-7;

void compare_set_absolute_tolerance(double tolerance)
{
    absolute_tolerance = tolerance;
}

static bool close_enough(double got, double want)
{
    if (isnan(want))
        return isnan(got);
    if (isinf(want) || isinf(got))
        return isinf(got) && isinf(want) && signbit(got) == signbit(want);
    return fabs(got - want) <= absolute_tolerance + relative_tolerance * fabs(want);
}

/* Element as `lanes` doubles: two for complex numbers. */
static double lane(const struct md_tensor *tensor, size_t index)
{
    if (tensor->datatype == MD_COMPLEX64)
        return (double)md_elements(const float, tensor)[index];
    if (tensor->datatype == MD_COMPLEX128)
        return md_elements(const double, tensor)[index];
    return md_tensor_double(tensor, index);
}

static enum md_code compare_numbers(const struct md_tensor *got, const struct md_tensor *want, struct md_error *error)
{
    size_t lanes = md_datatype_in(want->datatype, MD_TYPES_COMPLEX) ? 2 : 1;
    size_t wrong = 0;
    size_t first = 0;
    for (size_t i = 0; i < want->count * lanes; i++)
        if (!close_enough(lane(got, i), lane(want, i)) && wrong++ == 0)
            first = i;
    if (wrong == 0)
        return MD_OK;
    return md_fail(error, MD_INTERNAL, "%zu of %zu elements differ; element %zu is %.9g, expected %.9g", wrong,
                   want->count, first / lanes, lane(got, first), lane(want, first));
}

static enum md_code compare_tensors(const struct md_tensor *got, const struct md_tensor *want, struct md_error *error)
{
    char got_text[MD_SHAPE_TEXT_SIZE];
    char want_text[MD_SHAPE_TEXT_SIZE];
    if (got->datatype != want->datatype)
        return md_fail(error, MD_INTERNAL, "datatype %s, expected %s", md_datatype_name(got->datatype),
                       md_datatype_name(want->datatype));
    if (!md_shape_equal(&got->shape, &want->shape))
        return md_fail(error, MD_INTERNAL, "shape %s, expected %s",
                       md_shape_text(&got->shape, got_text, sizeof got_text),
                       md_shape_text(&want->shape, want_text, sizeof want_text));
    if (want->datatype != MD_BYTES)
        return compare_numbers(got, want, error);
    for (size_t i = 0; i < want->count; i++) {
        struct md_span a = md_elements(const struct md_span, got)[i];
        struct md_span b = md_elements(const struct md_span, want)[i];
        if (!md_span_equal(a, b))
            return md_fail(error, MD_INTERNAL, "element %zu is \"%.*s\", expected \"%.*s\"", i, (int)a.size,
                           a.bytes == NULL ? "" : a.bytes, (int)b.size, b.bytes == NULL ? "" : b.bytes);
    }
    return MD_OK;
}

enum md_code compare_values(const struct md_value *got, const struct md_value *want, struct md_error *error)
{
    if (got->kind != want->kind)
        return md_fail(error, MD_INTERNAL, "value of kind %d, expected %d", (int)got->kind, (int)want->kind);
    if (want->kind == MD_VALUE_TENSOR)
        return compare_tensors(&got->tensor, &want->tensor, error);
    if (want->kind == MD_VALUE_NONE)
        return MD_OK;
    if (got->sequence->count != want->sequence->count)
        return md_fail(error, MD_INTERNAL, "sequence of %zu, expected %zu", got->sequence->count,
                       want->sequence->count);
    for (size_t i = 0; i < want->sequence->count; i++) {
        enum md_code code = compare_values(&got->sequence->items[i], &want->sequence->items[i], error);
        if (code != MD_OK)
            return md_fail_prefix(error, code, "element %zu of the sequence", i);
    }
    return MD_OK;
}
