/* vector_portable.c - rows and attention for any machine. */
#include "vector_variant.h"

#include "attention_fp32.h"

#include "attention_tile.h"
#include "row_tile.h"

const struct md_vector_loops md_vector_loops_portable = {
    .isa = MD_ISA_PORTABLE,
    .map = row_map,
    .layer_norm = row_layer_norm,
    .copy_rows = row_copy_rows,
    .largest = row_largest_each,
    .range = row_range,
    .codes = row_codes,
    .largest_of_columns = row_largest_of_columns,
    .lstm_cell = row_lstm_cell,
    .attention_workspace = attention_workspace,
    .attention = attention_run,
};
