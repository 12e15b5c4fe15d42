/* vector_variant.h - the variants of vector_loops.h. Private to kernels/. */
#ifndef MD_VECTOR_VARIANT_H
#define MD_VECTOR_VARIANT_H

#include "vector_loops.h"

extern const struct md_vector_loops md_vector_loops_portable;
#if defined(__x86_64__)
extern const struct md_vector_loops md_vector_loops_avx2;
extern const struct md_vector_loops md_vector_loops_avx512;
extern const struct md_attention_loops md_attention_loops_bf16;
#endif

#endif
