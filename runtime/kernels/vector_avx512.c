/* vector_avx512.c - rows and attention for AVX-512: this file alone is compiled for it. */
#include "vector_variant.h"

#include "attention_tile.h"
#include "row_tile.h"

static bool is_supported(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
}

const struct md_vector_loops md_vector_loops_avx512 = {
    .name = "avx512",
    .is_supported = is_supported,
    .map = row_map,
    .layer_norm = row_layer_norm,
    .attention_workspace = attention_workspace,
    .attention = attention_run,
};
