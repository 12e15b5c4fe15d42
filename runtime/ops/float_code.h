/* float_code.h - rows of numbers whose type C does not know (FP16, BF16, FP8, FP4) to and from floats, and 4-bit
 * integers. Threads: pure functions. */
#ifndef MD_FLOAT_CODE_H
#define MD_FLOAT_CODE_H

#include "datatype.h"

enum {
    MD_TYPES_FP8 = (1 << MD_FP8E4M3FN) | (1 << MD_FP8E4M3FNUZ) | (1 << MD_FP8E5M2) | (1 << MD_FP8E5M2FNUZ),
    /* elements are codes of a float */
    MD_TYPES_CODED = (1 << MD_FP16) | (1 << MD_BF16) | MD_TYPES_FP8 | (1 << MD_FP4E2M1),
    MD_TYPES_4_BITS = (1 << MD_INT4) | (1 << MD_UINT4)
};

/* datatype is in MD_TYPES_CODED. saturate: as md_float_to_small_float. */
void md_decode_floats(enum md_datatype datatype, size_t count, const void *codes, float *out_floats);
void md_encode_floats(enum md_datatype datatype, bool saturate, size_t count, const float *floats, void *out_codes);
/* Any of the real types and coded types; element i is at index i * step. */
void md_read_reals(enum md_datatype datatype, size_t count, const void *elements, size_t step, double *out_reals);
/* Keeps the low four bits, extended by sign for MD_INT4. */
void md_wrap_4_bits(enum md_datatype datatype, size_t count, uint8_t *bytes);

#endif
