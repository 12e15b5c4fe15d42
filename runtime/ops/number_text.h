/* number_text.h - numbers as the text that Cast to STRING makes, and back.
 *
 * Reals are written with the fewest digits that give the same number again: "0.1", "1.0", "1e-05", "nan", "-inf";
 * exponents are used below 1e-4 and from 1e16 on. Nothing depends on the locale of LC_CTYPE. */
#ifndef MD_NUMBER_TEXT_H
#define MD_NUMBER_TEXT_H

#include "datatype.h"
#include "span.h"

enum { MD_NUMBER_TEXT_SIZE = 32 };

/* Each writes at most MD_NUMBER_TEXT_SIZE bytes and returns how many; there is no NUL to count on. */
size_t md_text_from_int64(int64_t value, char *out_text);
size_t md_text_from_uint64(uint64_t value, char *out_text);
/* `precision` is the type that the number came from: MD_FP64, MD_FP32 or MD_FP16. */
size_t md_text_from_real(double value, enum md_datatype precision, char *out_text);

/* False: the text is no number. Surrounding white space is allowed. Reals: plain and scientific notation, INF and
 * NaN in any case. Integers: decimal; a real is truncated; what does not fit saturates. */
bool md_text_to_float(struct md_span text, float *out_value);
bool md_text_to_double(struct md_span text, double *out_value);
bool md_text_to_int64(struct md_span text, int64_t *out_value);
bool md_text_to_uint64(struct md_span text, uint64_t *out_value);
bool md_text_to_bool(struct md_span text, bool *out_value); /* "true", "False", or a number */

#endif
