/* precision.h - in which arithmetic a session computes its products with constant weights. Activations between operators
 * stay FP32 in every case. */
#ifndef MD_PRECISION_H
#define MD_PRECISION_H

#include "span.h"

#include <stdbool.h>

enum md_precision {
    MD_PRECISION_FP32, /* the default */
    MD_PRECISION_BF16, /* weights and the rows that meet them rounded to bfloat16, sums in FP32 */
    MD_PRECISION_INT8, /* weights INT8 per column, rows UINT8 by their own range (dynamic), sums in INT32 */
    MD_PRECISION_COUNT
};

/* "fp32", "bf16", "int8": in model.json, in messages, on the wire. */
const char *md_precision_name(enum md_precision precision);
/* False: no such name. */
bool md_precision_find(struct md_span name, enum md_precision *out_precision);

#endif
