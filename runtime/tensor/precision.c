/* precision.c - see precision.h. */
#include "precision.h"

static const char *const names[MD_PRECISION_COUNT] = { "fp32", "bf16", "int8" };

const char *md_precision_name(enum md_precision precision)
{
    return names[precision];
}

bool md_precision_find(struct md_span name, enum md_precision *out_precision)
{
    for (int i = 0; i < MD_PRECISION_COUNT; i++)
        if (md_span_equal(name, md_span_of(names[i]))) {
            *out_precision = (enum md_precision)i;
            return true;
        }
    return false;
}
