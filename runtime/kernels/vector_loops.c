/* vector_loops.c - chooses the variant; see vector_loops.h. */
#include "vector_variant.h"

#include <pthread.h>

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

/* Written once, before anybody reads it. */
static pthread_once_t chosen_once = PTHREAD_ONCE_INIT;
static const struct md_vector_loops *chosen;

static void choose(void)
{
    size_t index = 0;
    while (!variants[index]->is_supported())
        index++;
    chosen = variants[index];
}

const struct md_vector_loops *md_vector_loops(void)
{
    (void)pthread_once(&chosen_once, choose); /* fails only for a broken once_control */
    return chosen;
}
