/* vector_bf16.c - attention with operands in BF16: this file alone is compiled for AVX-512 BF16. */
#include "vector_variant.h"

#include "attention_bf16.h"

#include "attention_tile.h"

const struct md_attention_loops md_attention_loops_bf16 = {
    .isa = MD_ISA_AVX512_BF16,
    .workspace = attention_workspace,
    .run = attention_run,
};
