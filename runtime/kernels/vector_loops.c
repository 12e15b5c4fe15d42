/* vector_loops.c - chooses the variant; see vector_loops.h. */
#include "vector_variant.h"

static const struct md_vector_loops *const variants[] = {
#if defined(__x86_64__)
    &md_vector_loops_avx512,
    &md_vector_loops_avx2,
#endif
    &md_vector_loops_portable,
};

const struct md_vector_loops *md_vector_loops_at(size_t index)
{
    return index < sizeof variants / sizeof variants[0] ? variants[index] : NULL;
}

const struct md_vector_loops *md_vector_loops(void)
{
    size_t index = 0;
    while (variants[index]->isa > md_isa())
        index++;
    return variants[index];
}

const struct md_attention_loops *md_attention_bf16(void)
{
#if defined(__x86_64__)
    return md_isa() >= md_attention_loops_bf16.isa ? &md_attention_loops_bf16 : NULL;
#else
    return NULL;
#endif
}
