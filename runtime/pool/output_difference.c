/* output_difference.c - see output_difference.h. */
#include "output_difference.h"

#include <math.h>

static enum md_code add_element(struct md_output_difference *difference, double value, double reference,
                                struct md_error *error)
{
    if (!isfinite(reference))
        return MD_OK;
    if (!isfinite(value))
        return md_fail(error, MD_FAILED_PRECONDITION, "%g where fp32 has %g", value, reference);
    difference->largest_difference = fmax(difference->largest_difference, fabs(value - reference));
    difference->largest_value = fmax(difference->largest_value, fabs(reference));
    difference->count++;
    return MD_OK;
}

static bool is_float(const struct md_value *value)
{
    return value->kind == MD_VALUE_TENSOR && md_datatype_in(value->tensor.datatype, MD_TYPES_FLOAT);
}

enum md_code md_output_difference_add(struct md_output_difference *difference, const struct md_value *output,
                                      const struct md_value *reference, struct md_error *error)
{
    char shape[MD_SHAPE_TEXT_SIZE], expected[MD_SHAPE_TEXT_SIZE];
    if (!is_float(output) || !is_float(reference))
        return MD_OK;
    if (!md_shape_equal(&output->tensor.shape, &reference->tensor.shape))
        return md_fail(error, MD_FAILED_PRECONDITION, "shape %s where fp32 has %s",
                       md_shape_text(&output->tensor.shape, shape, sizeof shape),
                       md_shape_text(&reference->tensor.shape, expected, sizeof expected));
    for (size_t i = 0; i < reference->tensor.count; i++)
        MD_TRY(add_element(difference, md_tensor_double(&output->tensor, i), md_tensor_double(&reference->tensor, i),
                           error));
    return MD_OK;
}

double md_output_difference_ratio(const struct md_output_difference *difference)
{
    return difference->largest_difference > 0 ? difference->largest_difference / difference->largest_value : 0;
}
