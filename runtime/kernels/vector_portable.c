/* vector_portable.c - rows and attention for any machine. */
#include "vector_variant.h"

#include "attention_tile.h"
#include "row_tile.h"

static bool is_supported(void)
{
    return true;
}

const struct md_vector_loops md_vector_loops_portable = {
    .name = "portable",
    .is_supported = is_supported,
    .map = row_map,
    .layer_norm = row_layer_norm,
    .attention_workspace = attention_workspace,
    .attention = attention_run,
};
