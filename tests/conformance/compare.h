/* compare.h - is a value what was expected? The official tolerances of the ONNX backend tests. */
#ifndef MD_TEST_COMPARE_H
#define MD_TEST_COMPARE_H

#include "tensor.h"

/* Before any comparison; 1e-7 otherwise. For whole models, whose sums cancel to values near 0. */
void compare_set_absolute_tolerance(double tolerance);
/* INTERNAL, with the first element that differs and how many do; datatypes and shapes must be equal. */
MD_NODISCARD enum md_code compare_values(const struct md_value *got, const struct md_value *want,
                                         struct md_error *error);

#endif
