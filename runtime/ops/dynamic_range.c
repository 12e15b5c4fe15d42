/* dynamic_range.c - see dynamic_range.h. */
#include "dynamic_range.h"

#include "parallel.h"

#include <math.h>

struct md_dynamic_range md_dynamic_range_of(size_t count, const float *values)
{
    float low, high;
    md_vector_loops()->range(count, values, &low, &high);
    const float scale = high > low ? (high - low) / 255.0f : 1.0f, zero = rintf(-low / scale);
    return (struct md_dynamic_range){ scale, zero > 255.0f ? 255.0f : zero > 0.0f ? zero : 0.0f };
}

struct coding {
    struct md_dynamic_range range;
    const float *values;
    uint8_t *codes;
};

static void run_codes(void *context, size_t first, size_t count, size_t slot)
{
    const struct coding *coding = context;
    (void)slot; /* needs no scratch */
    md_vector_loops()->codes(count, coding->values + first, coding->range.scale, coding->range.zero_point,
                             coding->codes + first);
}

void md_dynamic_codes(const struct md_invocation *invocation, struct md_dynamic_range range, size_t count,
                      const float *values, uint8_t *out_codes)
{
    struct coding coding = { range, values, out_codes };
    md_parallel_elements(invocation, count, MD_COST_MOVE, run_codes, &coding);
}
