/* output_difference.h - how far the outputs of two sessions of one model lie apart; of this folder only.
 *
 * Collected over many runs: a single run may have outputs near 0, where a ratio says nothing. */
#ifndef MD_OUTPUT_DIFFERENCE_H
#define MD_OUTPUT_DIFFERENCE_H

#include "tensor.h"

/* Of one output. Starts zeroed. */
struct md_output_difference {
    double largest_difference;
    double largest_value; /* of the reference */
    size_t count;         /* elements compared */
};

/* Adds one run's output. Only tensors of floating point are compared: a whole number (a class, an index) jumps where two
 * scores are near. Elements that are not finite in `reference` are left out.
 * FAILED_PRECONDITION: an element is finite in `reference` only, or the shapes differ. */
MD_NODISCARD enum md_code md_output_difference_add(struct md_output_difference *difference,
                                                   const struct md_value *output, const struct md_value *reference,
                                                   struct md_error *error);
/* largest_difference / largest_value; 0 when nothing differs. */
double md_output_difference_ratio(const struct md_output_difference *difference);

#endif
