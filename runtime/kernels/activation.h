/* activation.h - exp, sigmoid and tanh over rows of floats: exp written so that the compiler vectorises it, the others
 * from vector_math.h.
 *
 * Error against the exact value: below 4e-7 relative for exp, below 2e-7 absolute for the other two (tanh: below 4e-7
 * relative near 0). Infinities and NaN come out as mathematics has them. An element's bits do not depend on its place
 * in the row. `in` and `out` may be the same. Threads: pure functions. */
#ifndef MD_KERNEL_ACTIVATION_H
#define MD_KERNEL_ACTIVATION_H

#include <stddef.h>

void md_exp_f32(size_t count, const float *in, float *out);
void md_sigmoid_f32(size_t count, const float *in, float *out);
void md_tanh_f32(size_t count, const float *in, float *out);
void md_exp_f64(size_t count, const double *in, double *out);
void md_sigmoid_f64(size_t count, const double *in, double *out);
void md_tanh_f64(size_t count, const double *in, double *out);

#endif
